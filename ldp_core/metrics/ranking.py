"""How well a probability ranks pixels, whatever the threshold: exact, equal values sharing a rank.

The area under the ROC curve is the chance that a pixel of the class has the higher value than one
outside it, ties half (Mann and Whitney 1947). Average precision is the sum of precision times the step
of recall over the distinct values, from the highest down, without interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ranks:
    """Pixels in and outside the class at each distinct value of a probability, ascending, (n,) each."""

    inside: _Numbers
    outside: _Numbers

    @property
    def auroc(self) -> float:
        """0..1, .5 for a constant; nan where the class or its complement is empty."""
        pairs = int(self.inside.sum()) * int(self.outside.sum())
        if not pairs:
            return float("nan")
        below = np.cumsum(self.outside) - self.outside
        return float((self.inside * (below + self.outside / 2)).sum() / pairs)

    @property
    def average_precision(self) -> float:
        """Of the class, found from the highest value down: 0..1; nan where the class is empty."""
        return _average_precision(self.inside[::-1], self.outside[::-1])

    @property
    def average_precision_outside(self) -> float:
        """Of the complement, found from the lowest value up: 0..1; nan where it is empty."""
        return _average_precision(self.outside, self.inside)


def rank_pixels(probability: NDArray[np.float32], members: NDArray[np.bool_]) -> Ranks:
    """Count a probability's distinct values in and outside a class; both of one shape, no value below 0."""
    # Bits of floats that are not negative sort as the floats do; the class goes into the lowest bit.
    bits = (np.ascontiguousarray(probability, np.float32).ravel() + np.float32(0)).view(np.uint32)
    keys = np.sort((bits << np.uint32(1)) | members.ravel())
    ends = np.flatnonzero(np.append(np.diff(keys >> np.uint32(1)) > 0, np.full(min(1, keys.size), True)))
    inside = _steps(np.cumsum(keys & np.uint32(1), dtype=np.int64)[ends])
    return Ranks(inside, _steps(ends + 1) - inside)


def _average_precision(found: _Numbers, wrong: _Numbers) -> float:
    total = int(found.sum())
    if not total:
        return float("nan")
    true, false = np.cumsum(found), np.cumsum(wrong)
    return float((found * (true / (true + false))).sum() / total)


def _steps(running: _Numbers) -> _Numbers:
    return np.diff(running, prepend=0)
