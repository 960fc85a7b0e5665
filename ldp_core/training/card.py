"""Model cards, and the export of trained weights with theirs."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ldp_core import __version__
from ldp_core.deblur.ldp_network import LdpNetwork, NetworkSettings, count_parameters
from ldp_core.errors import WeightsError
from ldp_core.storage import write_bytes
from ldp_core.weights.files import pack_weights

_WEIGHED = ("learning_rate", "blur_weight", "reblur_weight", "balance_weight")
LARGEST_BYTES = 16 * 2**20
SOURCE_LICENCES = "kodak24 unrestricted; BSDS500, Middlebury, Sintel, NYUv2, TUM, SUN, Redwood: research"


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a person must know of weights before using them.

    `scores` are PSNR in dB by set, of the input, of wiener and restored; `not_trained_on` names the sets
    that were only measured.
    """

    name: str
    summary: str
    commands: Sequence[str]
    seed: int
    steps: int
    network: Mapping[str, Any]
    parameters: int
    training: Mapping[str, Any]
    sources: Sequence[str]
    source_licences: str
    not_trained_on: Sequence[str]
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


def describe_run(
    state: Mapping[str, Any],
    *,
    name: str,
    size: str,
    scores: Mapping[str, Mapping[str, float]],
    notes: Sequence[str] = (),
) -> ModelCard:
    """The card of the weights of a run; `notes` say what its settings do not tell."""
    fit, batch = state["fit_settings"], state["batch_settings"]
    return ModelCard(
        name=name,
        summary="Deblurs dual-pixel pairs; trained on simulation.",
        notes=notes,
        commands=[write_command(state, size=size)],
        seed=fit["seed"],
        steps=state["step"],
        network=state["network_settings"],
        parameters=count_parameters(LdpNetwork(NetworkSettings.parse(state["network_settings"]))),
        training={"fit": fit, "batch": batch, "frames": state["frames"]},
        sources=[path for paths in state["sources"].values() for path in paths],
        source_licences=SOURCE_LICENCES,
        not_trained_on=sorted(scores),
        scores=scores,
    )


def write_command(state: Mapping[str, Any], *, size: str) -> str:
    """What to type to train as the run of this checkpoint was; folders by their last names."""
    fit, batch = state["fit_settings"], state["batch_settings"]
    options = [(kind, path) for kind, paths in state["sources"].items() for path in paths]
    options += [
        ("size", size),
        ("frames", state["frames"]["count"]),
        ("steps", fit["steps"]),
        ("seed", fit["seed"]),
    ]
    options += [("batch", batch["batch"]), ("crop", batch["crop_px"]), ("map", batch["map_source"])]
    options += [(name.replace("_", "-"), fit[name]) for name in _WEIGHED]
    return "ldp train ldp RUN " + " ".join(f"--{name} {value}" for name, value in options)


def write_card(path: Path, card: ModelCard, *, sha256: str) -> None:
    """The card as JSON, with the digest of its weights."""
    content = {"sha256": sha256, **asdict(card)}
    write_bytes(str(path), (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
