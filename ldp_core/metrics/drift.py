"""Whether the items of a run look like those of an earlier one, by signals that need no truth.

The rule: for every signal and group of items, the two-sample Kolmogorov-Smirnov test of the earlier items
against those of the run; its p-values corrected over all comparisons of a run (Holm 1979). A signal has
drifted where the corrected value is below the rate of false alarms that is asked for and the distance of the
two distributions is large enough to matter. The rate is that of a whole run of unchanged items: of a hundred
such runs at most one raises an alarm at a rate of .01.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from scipy.stats import ks_2samp

from ldp_core.errors import SettingsError

FALSE_ALARMS: Final = 0.01
"""Of runs of unchanged items, the share that raises an alarm, at most."""
LEAST_DISTANCE: Final = 0.2
"""Between cumulated distributions: that of normal ones half a standard deviation apart. With thousands of
items far less is significant, and nobody would act on it."""
FEWEST_ITEMS: Final = 20
"""Of a group, in either run, below which only gross changes could be told."""

Samples = Mapping[tuple[str, str], Sequence[float]]
"""Values by signal and group."""


class Quartiles(NamedTuple):
    """Of the values of a signal."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Shift:
    """One signal of one group, earlier and now.

    ``distance`` is the largest difference of the cumulated distributions, 0..1; ``p_value`` is corrected over
    all comparisons of the run.
    """

    signal: str
    group: str
    earlier_items: int
    items: int
    earlier: Quartiles
    now: Quartiles
    distance: float
    p_value: float
    drifted: bool


def find_shifts(
    earlier: Samples,
    now: Samples,
    *,
    false_alarms: float = FALSE_ALARMS,
    least_distance: float = LEAST_DISTANCE,
) -> tuple[Shift, ...]:
    """Every signal and group of which both have enough items, in the order of ``now``.

    Raises:
        SettingsError: a rate or a distance is none.
    """
    for name, value in (("--false-alarms", false_alarms), ("--least-distance", least_distance)):
        if not 0 <= value <= 1:
            raise SettingsError("not a share", where=name, expected="0..1", got=f"{value:g}")
    keys = [key for key in now if min(len(earlier.get(key, ())), len(now[key])) >= FEWEST_ITEMS]
    tests = [ks_2samp(earlier[key], now[key]) for key in keys]
    corrected = correct_p_values([float(test.pvalue) for test in tests])
    return tuple(
        Shift(
            *key,
            len(earlier[key]),
            len(now[key]),
            quartiles_of(earlier[key]),
            quartiles_of(now[key]),
            float(test.statistic),
            p_value,
            p_value < false_alarms and float(test.statistic) >= least_distance,
        )
        for key, test, p_value in zip(keys, tests, corrected, strict=True)
    )


def correct_p_values(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: rejecting below a rate errs in one or more of all at most at that rate."""
    order, largest = np.argsort(p_values, kind="stable"), 0.0
    corrected = [0.0] * len(p_values)
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = largest
    return corrected


def quartiles_of(values: Sequence[float]) -> Quartiles:
    """Quartiles, interpolated."""
    return Quartiles(*(float(value) for value in np.percentile(values, (25, 50, 75))))
