"""Percentile bootstrap over items (Efron 1979): how far a mean could lie from the one seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ldp_core.errors import MetricError

RESAMPLES = 2000
LEVEL = 0.95
SEED = 0
_CHUNK = 4_000_000


class Interval(NamedTuple):
    """A mean and the bounds of its 95 % interval; with one item all three are equal."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def mean_interval(values: ArrayLike) -> Interval:
    """The interval of the mean of one value per item. The same values give the same interval.

    Raises:
        MetricError: there is no value, or one is not finite.
    """
    samples = _checked(values)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(_resampled_means(samples), (tail, 1 - tail))
    return Interval(float(samples.mean()), float(low), float(high))


def difference_interval(values: ArrayLike, baseline: ArrayLike) -> Interval:
    """The interval of the mean difference, item by item: both hold the same items in the same order.

    Raises:
        MetricError: they differ in length, or as for ``mean_interval``.
    """
    ours, theirs = _checked(values), _checked(baseline)
    if ours.size != theirs.size:
        raise MetricError(
            "a paired difference needs the same items",
            expected=f"{theirs.size} values",
            got=f"{ours.size}",
            remedy="compare only items that both have",
        )
    return mean_interval(ours - theirs)


def interval_of_means(
    rows: ArrayLike, statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
) -> Interval:
    """The interval of something computed from means over items, such as the maximum of a mean curve.

    Args:
        rows: one value per item, (n,), or a row of them, (n, k).
        statistic: from means, (draws, k), to values, (draws,); the mean itself, if not given.

    Raises:
        MetricError: as for ``mean_interval``.
    """
    if statistic is None:
        return mean_interval(rows)
    table = np.asarray(rows, dtype=np.float64)
    _checked(table)
    tail = (1 - LEVEL) / 2
    drawn = (statistic(_shares(draw, len(table)) @ table) for draw in _draws(len(table)))
    low, high = np.quantile(np.concatenate(list(drawn)), (tail, 1 - tail))
    return Interval(float(statistic(table.mean(axis=0, keepdims=True))[0]), float(low), float(high))


def _checked(values: ArrayLike) -> NDArray[np.float64]:
    samples = np.asarray(values, dtype=np.float64).ravel()
    if not samples.size or not np.isfinite(samples).all():
        raise MetricError(
            "a mean needs finite values",
            got=f"{samples.size} values",
            expected="at least one value, none of them nan or inf",
        )
    return samples


def _resampled_means(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of ``RESAMPLES`` draws with replacement, a bounded number of draws at a time."""
    return np.concatenate([samples[draw].mean(axis=1) for draw in _draws(samples.size)])


def _draws(size: int) -> Iterator[NDArray[np.int32]]:
    """Items drawn with replacement, (draws, size) at a time, ``RESAMPLES`` draws in all."""
    rng = np.random.default_rng(SEED)
    at_once = max(1, min(RESAMPLES, _CHUNK // size))
    sizes = (min(at_once, RESAMPLES - done) for done in range(0, RESAMPLES, at_once))
    return (rng.integers(size, size=(rows, size), dtype=np.int32) for rows in sizes)


def _shares(draw: NDArray[np.int32], size: int) -> NDArray[np.float64]:
    """How much each item counts in the means of draws: (draws, size), each row of sum 1."""
    places = draw + size * np.arange(len(draw), dtype=np.int64)[:, None]
    return np.bincount(places.ravel(), minlength=len(draw) * size).reshape(len(draw), size) / size
