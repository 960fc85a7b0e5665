"""Kernel parameters that fit best, by a search that always takes the same steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ldp_core.optics.kernels import KernelSpec
from ldp_core.optics.realism.matching import Placed

_ROUNDS = 2
_GAIN = 1e-6

Loss = Callable[[KernelSpec], float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kernel family to fit: where it starts, the values to try per parameter, how its place matters."""

    name: str
    start: KernelSpec
    values: Mapping[str, Sequence[float]]
    placed: Placed | None = None


def search(candidate: Candidate, loss: Loss) -> tuple[KernelSpec, float]:
    """One parameter after the other, twice over its values, then once halfway to the neighbours."""
    best, least = candidate.start, loss(candidate.start)
    for _ in range(_ROUNDS if len(candidate.values) > 1 else 1):
        for name, values in candidate.values.items():
            best, least = _try(best, least, name, values, loss)
    for name, values in candidate.values.items():
        best, least = _try(best, least, name, _halfway(getattr(best, name), values), loss)
    return best, least


def _try(
    best: KernelSpec, least: float, name: str, values: Sequence[float], loss: Loss
) -> tuple[KernelSpec, float]:
    current = best
    for value in values:
        if value != getattr(current, name):
            trial = current.model_copy(update={name: value})
            found = loss(trial)
            if found < least - _GAIN:
                best, least = trial, found
    return best, least


def _halfway(value: float, values: Sequence[float]) -> list[float]:
    if any(isinstance(one, int) for one in values):
        return []
    ordered = sorted({*values, value})
    place = ordered.index(value)
    return [(value + ordered[near]) / 2 for near in (place - 1, place + 1) if 0 <= near < len(ordered)]
