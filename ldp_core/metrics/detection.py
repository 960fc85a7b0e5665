"""Defocus blur detection: an in-focus probability against a mask, by rules that have names.

The threshold rule decides the F-measure (one method's maps score .57 to .82 over six rules), so it is
part of every name. Means are over images, each image counting once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Probability = NDArray[np.float32]
BETA_SQUARED: Final = 0.3


@dataclass(frozen=True, slots=True)
class Counts:
    """Pixels of one class found right (`true`), found wrong (`false`), and missed."""

    true: int
    false: int
    missed: int

    @property
    def f_measure(self) -> float:
        """F with beta^2 = .3; 0 where the class is neither there nor found."""
        weighed = (1 + BETA_SQUARED) * self.true
        return _ratio(weighed, weighed + self.false + BETA_SQUARED * self.missed)

    @property
    def iou(self) -> float:
        """Intersection over union; 1 where the class is neither there nor found."""
        union = self.true + self.false + self.missed
        return self.true / union if union else 1.0


def count(found: Mask, truth: Mask) -> Counts:
    true = int(np.count_nonzero(found & truth))
    return Counts(true, int(np.count_nonzero(found)) - true, int(np.count_nonzero(truth)) - true)


def score_at_half(in_focus: Probability, truth: Mask) -> Mapping[str, float]:
    """MAE, and F and IoU of both classes at .5 (rule P3); `truth` is True in focus."""
    blurred = count(in_focus < 0.5, ~truth)
    sharp = count(in_focus >= 0.5, truth)
    return {
        "mae": float(np.abs(in_focus - truth).mean()),
        "f_blur": blurred.f_measure,
        "f_focus": sharp.f_measure,
        "iou_blur": blurred.iou,
        "iou_focus": sharp.iou,
    }


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
