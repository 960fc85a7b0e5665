"""Kernel parameters that fit best, by a search that always takes the same steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from ldp_core.optics.kernels import KernelSpec
from ldp_core.optics.realism.matching import Placed

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
    """Kernel of least loss, and that loss.

    The first two parameters, which may stand in for each other, are tried in all combinations; then all
    in turn, once over their values and once halfway to the neighbours.
    """
    state = candidate.start, loss(candidate.start)
    names = list(candidate.values)
    for combined in product(*(candidate.values[name] for name in names[:2])):
        state = _try(state, dict(zip(names, combined, strict=False)), loss)
    for name in names[2:] + names[:2] if len(names) > 2 else []:
        for value in candidate.values[name]:
            state = _try(state, {name: value}, loss)
    for name, values in candidate.values.items():
        for value in _halfway(getattr(state[0], name), values):
            state = _try(state, {name: value}, loss)
    return state


def _try(
    state: tuple[KernelSpec, float], update: Mapping[str, float], loss: Loss
) -> tuple[KernelSpec, float]:
    best, least = state
    trial = best.model_copy(update=dict(update))
    found = least if trial == best else loss(trial)
    return (trial, found) if found < least - _GAIN else state


def _halfway(value: float, values: Sequence[float]) -> list[float]:
    if any(isinstance(one, int) for one in values):
        return []
    ordered = sorted({*values, value})
    place = ordered.index(value)
    return [(value + ordered[near]) / 2 for near in (place - 1, place + 1) if 0 <= near < len(ordered)]
