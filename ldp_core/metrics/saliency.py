"""Maps of what is in focus, as salient object detection is evaluated: the protocol ``pysodmetrics``.

A map is taken as 8 bit and stretched to 0..1; its truth is a mask. Measures are those of the package
pysodmetrics, by their papers: F-measure (Achanta et al., CVPR 2009), S-measure (Fan et al., ICCV 2017),
E-measure (Fan et al., IJCAI 2018), weighted F-measure (Margolin et al., CVPR 2014). Curves over thresholds
are averaged over pictures first; their mean and maximum are taken then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d, distance_transform_edt

from ldp_core.metrics.bootstrap import Interval, interval_of_means, mean_interval
from ldp_core.metrics.detection import BETA_SQUARED, LEVELS, Mask, Probability, check_detection

_Plane = NDArray[np.float64]
_EPSILON: Final = float(np.spacing(1))
_OBJECT_SHARE: Final = 0.5
"""Alpha of the S-measure: how much the object counts, beside the regions."""
# Of the weighted F-measure, as published: errors spread over 7x7 pixels, sigma 5; importance halves in 5 px.
_SPREAD_RADIUS, _SPREAD_SIGMA, _HALVED_IN_PX = 3, 5.0, 5.0


@dataclass(frozen=True, slots=True)
class SaliencySample:
    """What one picture gives; ``f_curve`` and ``e_curve`` (256,) are over thresholds."""

    mae: float
    s_measure: float
    e_adaptive: float
    f_adaptive: float
    f_weighted: float
    e_curve: _Plane
    f_curve: _Plane


def sample_saliency(in_focus: Probability, truth: Mask) -> SaliencySample:
    """Every measure of one picture.

    Args:
        in_focus: (h, w) float32 in 0..1.
        truth: (h, w), True in focus.

    Raises:
        MetricError: the two cannot be compared.
    """
    check_detection(in_focus, truth)
    levels = np.rint(in_focus * np.float32(LEVELS - 1)).astype(np.uint8)
    stretched = levels / (LEVELS - 1)
    if levels.max() > levels.min():
        stretched = (stretched - stretched.min()) / (stretched.max() - stretched.min())
    threshold = min(2 * float(stretched.mean()), 1.0)
    found = _count(stretched >= threshold, truth)
    # Thresholds from the highest level down; each finds all levels from it on.
    floor = (stretched * (LEVELS - 1)).astype(np.uint8)
    counted = [np.bincount(floor[part], minlength=LEVELS)[::-1].cumsum() for part in (truth, ~truth)]
    return SaliencySample(
        mae=float(np.abs(stretched - truth).mean()),
        s_measure=_s_measure(stretched, truth),
        e_adaptive=float(_e_measure(*found, truth)[0]),
        f_adaptive=float(_f_measure(*found, truth)[0]),
        f_weighted=_weighted_f(stretched, truth),
        e_curve=_e_measure(counted[0], counted[1], truth),
        f_curve=_f_measure(counted[0], counted[1], truth),
    )


def summarise_saliency(samples: Sequence[SaliencySample]) -> dict[str, Interval]:
    """Every measure over pictures, with bootstrap 95 % intervals.

    Raises:
        MetricError: there is no picture.
    """
    e_curves, f_curves = (np.stack([getattr(s, name) for s in samples]) for name in ("e_curve", "f_curve"))
    return {
        "mae": mean_interval([s.mae for s in samples]),
        "s_measure": mean_interval([s.s_measure for s in samples]),
        "e_adaptive": mean_interval([s.e_adaptive for s in samples]),
        "e_mean": mean_interval(e_curves.mean(axis=1)),
        "e_max": interval_of_means(e_curves, lambda means: means.max(axis=1)),
        "f_adaptive": mean_interval([s.f_adaptive for s in samples]),
        "f_mean": mean_interval(f_curves.mean(axis=1)),
        "f_max": interval_of_means(f_curves, lambda means: means.max(axis=1)),
        "f_weighted": mean_interval([s.f_weighted for s in samples]),
    }


def _count(found: Mask, truth: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Found pixels inside and outside of the truth, (1,) each."""
    inside = np.count_nonzero(found & truth)
    return np.array([inside]), np.array([np.count_nonzero(found) - inside])


def _f_measure(inside: NDArray[np.int64], outside: NDArray[np.int64], truth: Mask) -> _Plane:
    """F by threshold; 0 where nothing is found rightly."""
    whole = (inside + outside) + BETA_SQUARED * np.count_nonzero(truth)
    weighed = (1 + BETA_SQUARED) * inside
    found: _Plane = np.divide(weighed, whole, out=np.zeros(len(inside)), where=inside > 0)
    return found


def _e_measure(inside: NDArray[np.int64], outside: NDArray[np.int64], truth: Mask) -> _Plane:
    """E by threshold: how the found mask and the truth, each without its mean, are aligned."""
    total, true = truth.size, int(np.count_nonzero(truth))
    found = inside + outside
    if true == 0:
        aligned: _Plane = (total - found).astype(np.float64)
    elif true == total:
        aligned = found.astype(np.float64)
    else:
        share_found, share_true = found / total, true / total
        missed = true - inside
        parts = (
            (inside, 1 - share_found, 1 - share_true),
            (outside, 1 - share_found, -share_true),
            (missed, -share_found, 1 - share_true),
            (total - found - missed, -share_found, -share_true),
        )
        aligned = np.zeros(len(found))
        for pixels, a, b in parts:
            aligned += pixels * (2 * a * b / (a * a + b * b + _EPSILON) + 1) ** 2 / 4
    scaled: _Plane = aligned / (total - 1 + _EPSILON)
    return scaled


def _s_measure(probability: _Plane, truth: Mask) -> float:
    share = float(truth.mean())
    if share in (0.0, 1.0):
        return abs(1 - share - float(probability.mean()))
    objects = share * _object_score(probability[truth])
    objects += (1 - share) * _object_score(1 - probability[~truth])
    regions = _region_score(probability, truth)
    return max(0.0, _OBJECT_SHARE * objects + (1 - _OBJECT_SHARE) * regions)


def _object_score(values: _Plane) -> float:
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    return 2 * mean / (mean**2 + 1 + spread + _EPSILON)


def _region_score(probability: _Plane, truth: Mask) -> float:
    """SSIM, with one window each, of the four parts around the truth's centre of gravity."""
    row, column = (int(n) + 1 for n in np.argwhere(truth).mean(axis=0).round())
    score = 0.0
    for rows in (slice(0, row), slice(row, None)):
        for columns in (slice(0, column), slice(column, None)):
            part, expected = probability[rows, columns], truth[rows, columns].astype(np.float64)
            if part.size:
                score += part.size / truth.size * _single_ssim(part, expected)
    return score


def _single_ssim(x: _Plane, y: _Plane) -> float:
    mean_x, mean_y, count = float(x.mean()), float(y.mean()), max(x.size - 1, 1)
    variances = float(np.square(x - mean_x).sum() + np.square(y - mean_y).sum()) / count
    covariance = float(((x - mean_x) * (y - mean_y)).sum()) / count
    numerator = 4 * mean_x * mean_y * covariance
    denominator = (mean_x**2 + mean_y**2) * variances
    if numerator != 0:
        return numerator / (denominator + _EPSILON)
    return 1.0 if denominator == 0 else 0.0


def _weighted_f(probability: _Plane, truth: Mask) -> float:
    """F with beta 1, where errors near others of their object count once and far from it count more."""
    if not truth.any():
        return 0.0
    distance, nearest = distance_transform_edt(~truth, return_indices=True)
    error = np.abs(probability - truth)
    # Outside, the error of the nearest pixel of the object, so that its edges are spread rightly.
    spread = _spread(error[tuple(nearest)])
    weighted = np.where(truth & (spread < error), spread, error)
    weighted *= np.where(truth, 1.0, 2 - 0.5 ** (distance / _HALVED_IN_PX))
    true = float(truth.sum() - weighted[truth].sum())
    precision = true / (true + float(weighted[~truth].sum()) + _EPSILON)
    recall = 1 - float(weighted[truth].mean())
    return 2 * recall * precision / (recall + precision + _EPSILON)


def _spread(error: _Plane) -> _Plane:
    offsets = np.arange(-_SPREAD_RADIUS, _SPREAD_RADIUS + 1)
    weights = np.exp(-(offsets**2) / (2 * _SPREAD_SIGMA**2))
    weights /= weights.sum()
    for axis in (0, 1):
        error = correlate1d(error, weights, axis=axis, mode="constant")
    return error
