"""Defocus blur detection: an in-focus probability against a mask.

MAE, and of both classes the F-measure (beta^2 = .3), intersection over union and average precision, and
the area under the ROC curve. The threshold rule decides the F-measure (one method's maps score .57 to
.82 over six rules), so it is part of every name: see `ldp_core.metrics.threshold_rules`. Here it is
.5, rule P3. Means are over images, each image counting once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import MetricError
from ldp_core.metrics.ranking import rank_pixels

Mask = NDArray[np.bool_]
Probability = NDArray[np.float32]
BETA_SQUARED: Final = 0.3

FLOORS: Final[Mapping[str, Callable[[Mask], Probability]]] = MappingProxyType(
    {
        "all blurred": lambda truth: np.zeros(truth.shape, np.float32),
        "all in focus": lambda truth: np.ones(truth.shape, np.float32),
    }
)
"""What says the same of every pixel, by name; scored with the same code, and a row of every table."""

MEASURES: Final = (
    "mae", "f_blur", "f_focus", "iou_blur", "iou_focus", "ap_blur", "ap_focus", "auroc",
)  # fmt: skip
"""What `score_detection` gives, in the order of tables."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Pixels of one class found right (`true`), found wrong (`false`), and missed."""

    true: int
    false: int
    missed: int

    @property
    def f_measure(self) -> float:
        """F with beta^2 = .3; 1 where the class is neither there nor found."""
        weighed = (1 + BETA_SQUARED) * self.true
        whole = weighed + self.false + BETA_SQUARED * self.missed
        return weighed / whole if whole else 1.0

    @property
    def iou(self) -> float:
        """Intersection over union; 1 where the class is neither there nor found."""
        union = self.true + self.false + self.missed
        return self.true / union if union else 1.0


def count(found: Mask, truth: Mask) -> Counts:
    true = int(np.count_nonzero(found & truth))
    return Counts(true, int(np.count_nonzero(found)) - true, int(np.count_nonzero(truth)) - true)


def score_at_half(in_focus: Probability, truth: Mask) -> Mapping[str, float]:
    """MAE, and F and IoU of both classes at .5 (rule P3).

    Args:
        in_focus: (h, w) float32 in 0..1.
        truth: (h, w), True in focus.

    Raises:
        MetricError: as for `check_detection`.
    """
    check_detection(in_focus, truth)
    blurred = count(in_focus < 0.5, ~truth)
    sharp = count(in_focus >= 0.5, truth)
    return {
        "mae": float(np.abs(in_focus - truth).mean(dtype=np.float64)),
        "f_blur": blurred.f_measure,
        "f_focus": sharp.f_measure,
        "iou_blur": blurred.iou,
        "iou_focus": sharp.iou,
    }


def score_ranking(in_focus: Probability, truth: Mask) -> Mapping[str, float]:
    """What needs no threshold: average precision of both classes, and AUROC; arguments as above.

    Nan where a class is empty in the truth: an image of one class ranks nothing.

    Raises:
        MetricError: as for `check_detection`.
    """
    check_detection(in_focus, truth)
    ranks = rank_pixels(in_focus, truth)
    return {
        "ap_blur": ranks.average_precision_outside,
        "ap_focus": ranks.average_precision,
        "auroc": ranks.auroc,
    }


def score_detection(in_focus: Probability, truth: Mask) -> Mapping[str, float]:
    """Every one of `MEASURES` of one image; arguments and errors as above."""
    return {**score_at_half(in_focus, truth), **score_ranking(in_focus, truth)}


def check_detection(in_focus: Probability, truth: Mask) -> None:
    """Whether the two can be compared.

    Raises:
        MetricError: sizes differ, there is no pixel, the truth is not boolean, or a probability is
            not finite or not in 0..1.
    """
    if in_focus.shape != truth.shape or in_focus.ndim != 2 or not truth.size or truth.dtype != np.bool_:
        raise MetricError(
            "the detection does not match its truth",
            expected="two (h, w) planes of one size, a probability and a boolean mask",
            got=f"{in_focus.shape} {in_focus.dtype} and {truth.shape} {truth.dtype}",
            remedy="detect at the size of the photograph",
        )
    low, high = float(in_focus.min()), float(in_focus.max())
    if not (low >= 0 and high <= 1):
        raise MetricError(
            "a detection is not a probability",
            expected="finite values in 0..1",
            got=f"values from {low:g} to {high:g}",
            remedy="clip it, or find out where nan comes from",
        )
