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
from ldp_core.errors import WeightsError
from ldp_core.storage import write_bytes
from ldp_core.weights.files import pack_weights

# What ships lies in the repository and in every wheel: 16 MiB each at most (infra/design.md).
LARGEST_BYTES = 16 * 2**20
SOURCE_LICENCES = "kodak24 unrestricted; BSDS500, Middlebury, Sintel, NYUv2, TUM, SUN, Redwood: research"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where weights come from: what a person has to say; the rest of a card is read from the run.

    Without `not_trained_on`, the card names the sets that were measured.
    """

    summary: str
    sources: Sequence[str]
    source_licences: str
    not_trained_on: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a person must know of weights before using them.

    `commands` trained them; `scores` are what the network's task measures, by set; `not_trained_on` names
    the sets that were only measured.
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


def write_card(path: Path, card: ModelCard, *, sha256: str) -> None:
    """The card as JSON, with the digest of its weights."""
    content = {"sha256": sha256, **asdict(card)}
    write_bytes(str(path), (json.dumps(content, indent=1, sort_keys=True) + "\n").encode())
