"""A network as `ldp train` sees it: training it, and writing its weights with their model card."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ldp_core import __version__
from ldp_core.deblur.ldp_network import count_parameters
from ldp_core.errors import WeightsError
from ldp_core.storage import write_bytes
from ldp_core.tensors import choose_device
from ldp_core.training.options import Command, CommandOptions, OptionGroup
from ldp_core.training.session import Intervals, RunFolder, Session, describe_entry
from ldp_core.training.trainer import (
    ALONE,
    FitSettings,
    ProcessGroup,
    Trainer,
    TrainingTask,
    join_processes,
)
from ldp_core.weights.files import pack_weights

# What ships lies in the repository and in every wheel: 16 MiB each at most (infra/design.md).
LARGEST_BYTES = 16 * 2**20
SOURCE_LICENCES = (
    "kodak24 unrestricted; BSDS500, Urban100, Middlebury, Sintel, NYUv2, TUM, SUN, Redwood: research"
)
_NOT_ON_CARD = {"network_settings", "step", "network", "average", "optimiser", "format", "commands"}


class RunOptions(CommandOptions):
    """How a run goes, whatever it trains."""

    heading = "Run"

    device: str = Field(default_factory=choose_device)
    """Where to compute: cpu, cuda or cuda:N; under torchrun, cuda is the GPU of each process."""
    minutes: float = Field(default=math.inf, ge=0)
    """Stop after so many minutes; the same command goes on."""
    measure_every: int = Field(default=500, ge=1)
    """Measure the averaged network, and draw pictures, every so many training steps."""
    compile: bool = False
    """Compile the network with torch.compile; worth its start-up time on a GPU."""


class WeightsOptions(OptionGroup):
    """How weights are written, and what their card says."""

    heading = "Weights and card"

    also: tuple[Path, ...] = ()
    """Average with the weights of this run too; may be repeated. The card is the first run's."""
    full: bool = False
    """Write float32 instead of float16."""
    note: tuple[str, ...] = ()
    """A sentence for the card that the settings do not tell; may be repeated."""


class TrainOptions(WeightsOptions, FitSettings, RunOptions):
    """What `ldp train NAME` takes for every network."""

    heading = "Weights and card"

    weights: Path | None = None
    """File of weights to write; FOLDER/NAME.safetensors, if not given."""


@dataclass(frozen=True)
class Provenance:
    """Where weights come from: what a person has to say; the rest of a card is read from the run.

    `not_trained_on` names what was only measured; without it, the card names the sets that have scores.
    """

    summary: str
    sources: Sequence[str]
    source_licences: str
    not_trained_on: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class ModelCard(Provenance):
    """What a person must know of weights before using them.

    `commands` trained them; `scores` are what the network's task measures, by set.
    """

    name: str
    commands: Sequence[str]
    seed: int
    steps: int
    network: Mapping[str, Any]
    parameters: int
    training: Mapping[str, Any]
    scores: Mapping[str, Any]
    notes: Sequence[str] = ()
    licence: str = "research use: the photographs it was trained on allow no more"
    environment: Mapping[str, str] = field(
        default_factory=lambda: {
            "ldp": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        }
    )


O = TypeVar("O", bound=TrainOptions)  # noqa: E741


def _prepare_nothing(options: TrainOptions) -> Iterator[str]:
    return iter(())


@dataclass(frozen=True)
class TrainingEntry(Generic[O]):
    """A network that `ldp train NAME` trains.

    `open_task` makes the task that the options ask for; `provenance` says where the weights of a checkpoint
    come from; `prepare` makes what the task reads, and yields what it does.
    """

    name: str
    options: type[O]
    open_task: Callable[[O], TrainingTask[Any]]
    provenance: Callable[[Mapping[str, Any]], Provenance]
    prepare: Callable[[O], Iterator[str]] = _prepare_nothing

    @property
    def command(self) -> Command[O]:
        """`ldp train NAME`: prepare, train or go on, then write weights and card."""
        return Command(self.options, self._run)

    def _run(self, options: O) -> Iterator[str]:
        with join_processes(options.device) as group:
            if group.is_first:
                yield from self.prepare(options)
            group.wait()
            task, command = self.open_task(options), to_command(self.name, options)
            yield from train(task, options.pick(FitSettings), options, group=group, command=command)
            if group.is_first:
                weights = options.weights or options.folder / f"{self.name}.safetensors"
                yield export(
                    options,
                    options.folder,
                    weights,
                    network=task.network,
                    measure=task.measure,
                    provenance=self.provenance,
                )


def to_command(name: str, options: CommandOptions) -> str:
    """What to type to run a command with these options; paths by their last two parts."""
    return shlex.join(["ldp", "train", *name.split(), *options.to_words()])


def train(
    task: TrainingTask[Any],
    fit: FitSettings,
    options: RunOptions,
    *,
    group: ProcessGroup = ALONE,
    command: str = "",
) -> Iterator[str]:
    """Train in `options.folder`, and say how it goes, where this process is the first of its group."""
    device = group.own_device(options.device)
    trainer = Trainer(task, fit, device=device, group=group, compiled=options.compile)
    intervals = Intervals(measure=options.measure_every)
    session = Session(RunFolder(options.folder), trainer, intervals, command=command)
    resumed = session.resume()
    if group.is_first:
        yield f"resumed at training step {trainer.step:,}" if resumed else "a new run"
    for entry in session.run(minutes=options.minutes):
        if group.is_first:
            yield describe_entry(entry, steps=fit.steps)


def export(
    options: WeightsOptions,
    folder: Path,
    weights: Path,
    *,
    network: nn.Module,
    measure: Callable[[nn.Module], Mapping[str, Any]],
    provenance: Callable[[Mapping[str, Any]], Provenance],
    changed: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Write the averaged weights of a run, or their mean over several, with their card beside them.

    Args:
        changed: settings of the network that differ from those of its training.

    Raises:
        WeightsError: a run has no checkpoint, the runs are of different networks, or the file is too large.
    """
    states = [RunFolder(each).load() for each in (folder, *options.also)]
    tensors = average_weights(states, half=not options.full)
    state, settings = states[0], {**states[0]["network_settings"], **changed}
    digest = write_weights(weights, tensors, metadata={"network": json.dumps(settings)})
    network.load_state_dict({name: x.float() if x.is_floating_point() else x for name, x in tensors.items()})
    scores, origin = measure(network.eval()), provenance(state)
    card = ModelCard(
        **{**asdict(origin), "not_trained_on": origin.not_trained_on or sorted(scores)},
        name=weights.stem,
        commands=state["commands"],
        seed=state["fit_settings"]["seed"],
        steps=state["step"],
        network=settings,
        parameters=count_parameters(network),
        training={name: x for name, x in state.items() if name not in _NOT_ON_CARD},
        scores=scores,
        notes=options.note,
    )
    write_card(weights.with_suffix(".json"), card, sha256=digest)
    return f"{weights}: sha256 {digest}"


def average_weights(states: Sequence[Mapping[str, Any]], *, half: bool = True) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint, float16 or float32, or their mean over several.

    Runs from one start may be averaged (Wortsman et al., "Model soups", ICML 2022).

    Raises:
        WeightsError: the checkpoints are of different networks.
    """
    shapes = [state["network_settings"] for state in states]
    other = next((shape for shape in shapes if shape != shapes[0]), None)
    if other is not None:
        raise WeightsError(
            "weights of different networks cannot be averaged",
            where="export",
            expected=str(shapes[0]),
            got=str(other),
            remedy="average runs of one size, bpa and residual",
        )
    dtype = torch.float16 if half else torch.float32
    averages = [state["average"] for state in states]
    return {name: _mean([a[name] for a in averages], dtype) for name in averages[0]}


def _mean(tensors: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Of whole numbers, which count batches, the first."""
    if not tensors[0].is_floating_point():
        return tensors[0]
    return torch.stack([*tensors]).mean(0).to(dtype)


def write_weights(
    path: Path,
    tensors: Mapping[str, Tensor],
    *,
    metadata: Mapping[str, str],
    largest_bytes: int = LARGEST_BYTES,
) -> str:
    """Write weights small enough to ship, and return the file's sha256.

    Raises:
        WeightsError: the file would exceed `largest_bytes`.
    """
    content = pack_weights(tensors, metadata=metadata)
    if len(content) > largest_bytes:
        raise WeightsError(
            "these weights are too large to ship",
            where=str(path),
            expected=f"at most {largest_bytes} bytes",
            got=f"{len(content)} bytes",
            remedy="train a smaller network",
        )
    write_bytes(str(path), content)
    return hashlib.sha256(content).hexdigest()


def write_card(path: Path, card: ModelCard, *, sha256: str) -> None:
    """The card as JSON, with the digest of its weights."""
    content = {"sha256": sha256, **asdict(card)}
    write_bytes(str(path), (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
