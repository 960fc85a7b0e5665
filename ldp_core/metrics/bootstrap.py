"""Percentile bootstrap over items (Efron 1979): how far a mean could lie from the one seen."""

from __future__ import annotations

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
    rng = np.random.default_rng(SEED)
    at_once = max(1, min(RESAMPLES, _CHUNK // samples.size))
    sizes = [min(at_once, RESAMPLES - done) for done in range(0, RESAMPLES, at_once)]
    draws = (rng.integers(samples.size, size=(rows, samples.size), dtype=np.int32) for rows in sizes)
    return np.concatenate([samples[draw].mean(axis=1) for draw in draws])
