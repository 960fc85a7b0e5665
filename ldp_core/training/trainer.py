"""The trainer of every network: AdamW, cosine decay, moving average, one process or several.

What is particular to a network is its `TrainingTask`. All that is random in a step follows from the seed, the
step and the rank of the process, so a resumed run repeats itself bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ldp_core.errors import WeightsError
from ldp_core.tensors import autocast
from ldp_core.training.options import OptionGroup


@dataclass(frozen=True)
class Batch:
    """What one step learns from: tensors, and values that stay as they are."""

    def to(self, device: str) -> Self:
        """On another device; images (b, c, h, w) with channels last, which convolutions take faster."""
        return replace(self, **{part.name: _place(getattr(self, part.name), device) for part in fields(self)})


def _place(value: Any, device: str) -> Any:
    if isinstance(value, Batch):
        return value.to(device)
    if not isinstance(value, Tensor):
        return value
    return value.to(device, memory_format=torch.channels_last) if value.ndim == 4 else value.to(device)


B = TypeVar("B", bound=Batch)


class FitSettings(OptionGroup):
    """How to train. `steps` may be changed on resume; the learning rate follows the new length."""

    heading = "Training"

    steps: int = Field(default=10_000, ge=1)
    """Training steps; the learning rate falls on a cosine of this length."""
    # The shipped LDP began at 8e-4, the shipped BDIR, which starts from LDP's weights, at 5e-4.
    learning_rate: float = Field(default=8e-4, gt=0)
    """Learning rate after the warm-up."""
    last_learning_rate: float = Field(default=1e-6, gt=0)
    """Learning rate of the last step."""
    warmup_steps: int = Field(default=100, ge=0)
    """Steps over which the learning rate rises from 0."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay of AdamW."""
    # AdamW's usual .999 averages over 1,000 steps, a tenth of a run; .95 averages over 20.
    second_beta: float = Field(default=0.95, gt=0, lt=1)
    """How slowly AdamW forgets the size of gradients."""
    largest_gradient: float = Field(default=1.0, gt=0)
    """Norm to which gradients are clipped."""
    # .999 averages over the last 1,000 steps: right for 10,000 steps. The shipped detector took .995 for
    # 1,900, the comparisons in infra/benchmarks .97 to .99 for a few hundred.
    average_decay: float = Field(default=0.999, ge=0, lt=1)
    """Share of the moving average of the weights that each step keeps."""
    seed: int = Field(default=7, ge=0)
    """Of first weights and batches: the same seed, the same run."""


class TrainingTask(Protocol[B]):
    """All that is particular to training one network."""

    @property
    def network(self) -> nn.Module:
        """The network with its first weights."""
        ...

    @property
    def relative_rates(self) -> Mapping[str, float]:
        """Factors on the learning rate, by how a parameter's name begins; 1 for all others."""
        ...

    def draw(self, step: int, *, rank: int) -> B:
        """The batch of one step and one process; the same arguments give the same batch."""
        ...

    def loss(self, forward: Callable[..., Any], batch: B) -> Tensor:
        """The loss of a batch, on its device. `forward` calls the network, and is called once."""
        ...

    def measure(self, network: nn.Module) -> Mapping[str, Any]:
        """How good the averaged network is on what no step sees: figures by name, in one level or two."""
        ...

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        """Write pictures a person can judge the averaged network by."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain values that the checkpoint keeps, and that export and model card need.

        `network_settings` has to be among them: only the same network can resume a run.
        """
        ...


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """One step as it went: its number from 1, the loss of its batch, the learning rate it used."""

    number: int
    loss: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """This process among those that train one network together; each draws its own batches.

    torchrun starts them (`join_processes`). `DistributedDataParallel` averages their gradients, so the
    networks stay equal, and only the first process writes.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def own_device(self, device: str) -> str:
        """`cuda` becomes the GPU of this process; anything else stays."""
        return f"cuda:{self.rank % torch.cuda.device_count()}" if device == "cuda" else device

    def replicate(self, network: nn.Module) -> nn.Module:
        """The network as it is called in training. Batches without a map leave parameters unused."""
        if self.size == 1:
            return network
        return DistributedDataParallel(network, find_unused_parameters=True)

    def any_wants(self, flag: bool, *, device: str) -> bool:
        """Whether the flag is set in any process: all get the same answer."""
        if self.size == 1:
            return flag
        votes = torch.tensor([float(flag)], device=device)
        distributed.all_reduce(votes)
        return bool(votes.item() > 0)

    def wait(self) -> None:
        """Go on when every process is here."""
        if self.size > 1:
            distributed.barrier()


ALONE = ProcessGroup()
# The others wait while the first one renders frames, which takes hours on a CPU.
_PATIENCE = timedelta(days=1)


@contextmanager
def join_processes(device: str) -> Iterator[ProcessGroup]:
    """The group that torchrun started this process in, or this process alone, while the block runs."""
    if not distributed.is_torchelastic_launched():
        yield ALONE
        return
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=_PATIENCE)
    try:
        yield ProcessGroup(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


class Trainer(Generic[B]):
    """A network in training; `state` and `restore` carry it across processes."""

    def __init__(
        self,
        task: TrainingTask[B],
        fit: FitSettings,
        *,
        device: str = "cpu",
        group: ProcessGroup = ALONE,
        compiled: bool = False,
    ) -> None:
        self.task, self.fit, self.device, self.group, self.step = task, fit, device, group, 0
        self.network = task.network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        replica = group.replicate(self.network)
        self._forward = torch.compile(replica) if compiled else replica
        self._averaged = AveragedModel(
            self.network, multi_avg_fn=warmed_up_average(fit.average_decay), use_buffers=True
        )
        self._averaged.eval().requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            _group(self.network, task.relative_rates),
            lr=fit.learning_rate,
            betas=(0.9, fit.second_beta),
            weight_decay=fit.weight_decay,
        )

    @property
    def average(self) -> nn.Module:
        """The network with the moving average of its weights, which is what ships."""
        return self._averaged.module

    def run(self, *, until: float = math.inf) -> Iterator[TrainingStep]:
        """Train to the last step or to a moment on `time.monotonic`, and yield every step taken."""
        while self.step < self.fit.steps and not self._is_over(until):
            rate = learning_rate(self.fit, self.step)
            torch.manual_seed(step_seed(self.fit.seed, self.step, self.group.rank))
            batch = self.task.draw(self.step, rank=self.group.rank)
            loss = self._advance(batch.to(self.device), rate=rate)
            self.step += 1
            yield TrainingStep(self.step, loss, rate)

    def _is_over(self, until: float) -> bool:
        return self.group.any_wants(time.monotonic() >= until, device=self.device)

    def _advance(self, batch: B, *, rate: float) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["relative_rate"]
        self.network.train()
        with autocast(torch.device(self.device)):
            loss = self.task.loss(self._forward, batch)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.fit.largest_gradient)
        self.optimiser.step()
        self._averaged.update_parameters(self.network)
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """All that resuming and exporting need, as plain values and tensors."""
        return {
            **self.task.describe(),
            "fit_settings": self.fit.model_dump(mode="json"),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state.

        Raises:
            WeightsError: it is of a network with other settings.
        """
        own, other = self.task.describe()["network_settings"], state["network_settings"]
        if own != other:
            raise WeightsError(
                "this run trains another network",
                where="checkpoint",
                expected=str(other),
                got=str(own),
                remedy="give the options that the run began with, or another folder",
            )
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step = int(state["step"])
        self._averaged.n_averaged.fill_(self.step)


def learning_rate(fit: FitSettings, step: int) -> float:
    """Linear warm-up, then a cosine from `learning_rate` to `last_learning_rate`."""
    progress = min(step / fit.steps, 1.0)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    rate = fit.last_learning_rate + (fit.learning_rate - fit.last_learning_rate) * cosine
    return rate * min(1.0, (step + 1) / (fit.warmup_steps + 1))


def step_seed(seed: int, step: int, rank: int) -> int:
    """Seed of what a network draws by itself in one step, such as jitter, on any device."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0])


def warmed_up_average(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    """An averaging function for `AveragedModel` whose decay rises to `decay`.

    With .999 from the first step, first weights would still make up nine tenths after 100 steps.
    """

    def update(averages: Sequence[Tensor], currents: Sequence[Tensor], count: Tensor | int) -> None:
        counted = int(count)
        now = min(decay, (1 + counted) / (10 + counted))
        get_ema_multi_avg_fn(now)(averages, currents, count)  # type: ignore[no-untyped-call]

    return update


def _group(network: nn.Module, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Parameters by their relative rate, the ordinary ones first."""
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, parameter in network.named_parameters():
        rate = next((rate for start, rate in rates.items() if name.startswith(start)), 1.0)
        groups.setdefault(rate, []).append(parameter)
    return [{"params": held, "relative_rate": rate} for rate, held in groups.items() if held]
