"""Defocus blur detection: an in-focus probability against a mask.

MAE, and of both classes the F-measure (beta^2 = .3), intersection over union and average precision, and
the area under the ROC curve. The rule that turns a probability into a mask decides the F-measure (one
method's maps score .57 to .82 over six rules), so it is part of every name. Every rule is given for both
classes: for `focus` the probability is that of being in focus, for `blur` one minus it, and the truth is
inverted with it. Means are over images, each image counting once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import MetricError
from ldp_core.metrics.bootstrap import Interval, interval_of_means, mean_interval

Mask = NDArray[np.bool_]
Probability = NDArray[np.float32]
FocusClass = Literal["blur", "focus"]
CLASSES: Final[tuple[FocusClass, ...]] = ("blur", "focus")
BETA_SQUARED: Final = 0.3
"""As is usual for detection (Achanta et al., CVPR 2009): precision counts more than recall."""
LEVELS: Final = 256
_Rows = NDArray[np.float64]
_Numbers = NDArray[np.int64]

TRIVIAL_BASELINES: Final[Mapping[str, Callable[[Mask], Probability]]] = MappingProxyType(
    {
        "all blurred": lambda truth: np.zeros(truth.shape, np.float32),
        "all in focus": lambda truth: np.ones(truth.shape, np.float32),
    }
)
"""Detectors that give every pixel the same value, by name; scored by the same code, a row of every table."""

MEASURES: Final = (
    "mae", "f_blur", "f_focus", "iou_blur", "iou_focus", "ap_blur", "ap_focus", "auroc",
)  # fmt: skip
"""What `score_detection` gives, in the order of tables."""


class ThresholdRule(StrEnum):
    """How the probability of a class becomes a mask, and how images are put together.

    The trap of P1: its published form puts the truth through the same threshold, 1.5 times its mean. Where
    the class fills more than two thirds of a photograph that exceeds 1 and empties the truth, so the
    better the map, the worse the score. `P1` here takes the truth as it is; `P1_PUBLISHED` repeats the
    trap, to compare with such figures, and `RuleSample.emptied` says which truths fell into it.

    Ours, where nothing is published: an adaptive rule never finds a probability of 0, so that an empty
    map finds nothing; the threshold of P6 is at most 1, which every map reaches after its stretching; a
    constant map is not stretched.
    """

    P1 = "P1: 1.5 x mean, pooled"
    """Threshold 1.5 times the image's mean; pixels of all images counted together. Not capped at 1."""
    P1_PUBLISHED = "P1 as published: truths too"
    """As P1, with each truth put through its own 1.5 times mean: see the trap above."""
    P2 = "P2: 1.5 x mean, per image"
    """Threshold as P1; the mean of the images' F."""
    P3 = "P3: fixed .5"
    """Threshold .5 (a tie is in focus); the mean of the images' F. Published for the blur class."""
    P4 = "P4: max of mean curve"
    """256 thresholds on the map rounded to 8 bit; the best value of the images' mean F."""
    P5 = "P5: mean of maxima"
    """As P4, each image at its own best threshold: chosen with the truth, so an upper bound."""
    P6 = "P6: 2 x mean after min-max"
    """Map stretched to 0..1, threshold twice its mean, at most 1; the mean of the images' F."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Pixels of one class: found rightly, found wrongly, and missed."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def f_measure(self) -> float:
        """F with beta^2 = .3; 1 where the class is neither there nor found."""
        weighed = (1 + BETA_SQUARED) * self.true_positives
        whole = weighed + self.false_positives + BETA_SQUARED * self.false_negatives
        return weighed / whole if whole else 1.0

    @property
    def iou(self) -> float:
        """Intersection over union; 1 where the class is neither there nor found."""
        union = self.true_positives + self.false_positives + self.false_negatives
        return self.true_positives / union if union else 1.0


@dataclass(frozen=True, slots=True)
class Ranks:
    """How well a probability ranks pixels, whatever the threshold: exact, equal values sharing a rank.

    `inside`, `outside` (n,): pixels in and outside the class at each distinct value, ascending.
    """

    inside: _Numbers
    outside: _Numbers

    @property
    def auroc(self) -> float:
        """The chance that a pixel of the class has the higher value, ties half (Mann and Whitney 1947).

        0..1, .5 for a constant; nan where the class or its complement is empty.
        """
        pairs = int(self.inside.sum()) * int(self.outside.sum())
        if not pairs:
            return float("nan")
        below = np.cumsum(self.outside) - self.outside
        return float((self.inside * (below + self.outside / 2)).sum() / pairs)

    @property
    def average_precision(self) -> float:
        """Sum of precision times the step of recall, from the highest value down, without interpolation.

        0..1; nan where the class is empty.
        """
        return _average_precision(self.inside[::-1], self.outside[::-1])

    @property
    def average_precision_outside(self) -> float:
        """The same of the complement, from the lowest value up; nan where it is empty."""
        return _average_precision(self.outside, self.inside)


@dataclass(frozen=True, slots=True)
class RuleSample:
    """What one image contributes for one class; `curve` (256,) is its F at each 8-bit threshold."""

    pooled: Counts
    pooled_published: Counts
    emptied: bool
    per_image: float
    at_half: float
    stretched: float
    curve: NDArray[np.float32]


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


def count(found: Mask, truth: Mask) -> Counts:
    """Counts of a class from two masks of one shape."""
    both = int(np.count_nonzero(found & truth))
    return Counts(both, int(np.count_nonzero(found)) - both, int(np.count_nonzero(truth)) - both)


def rank_pixels(probability: NDArray[np.float32], members: NDArray[np.bool_]) -> Ranks:
    """Count a probability's distinct values in and outside a class; both of one shape, no value below 0."""
    # Bits of floats that are not negative sort as the floats do; the class goes into the lowest bit.
    bits = (np.ascontiguousarray(probability, np.float32).ravel() + np.float32(0)).view(np.uint32)
    keys = np.sort((bits << np.uint32(1)) | members.ravel())
    ends = np.flatnonzero(np.append(np.diff(keys >> np.uint32(1)) > 0, np.full(min(1, keys.size), True)))
    inside = _steps(np.cumsum(keys & np.uint32(1), dtype=np.int64)[ends])
    return Ranks(inside, _steps(ends + 1) - inside)


def sample_rules(in_focus: Probability, truth: Mask) -> dict[FocusClass, RuleSample]:
    """One image under every rule, by class.

    Args:
        in_focus: (h, w) float32 in 0..1.
        truth: (h, w), True in focus.

    Raises:
        MetricError: as for `check_detection`.
    """
    check_detection(in_focus, truth)
    return {
        "blur": _sample(1 - in_focus, ~truth, at_half=in_focus < 0.5),
        "focus": _sample(in_focus, truth, at_half=in_focus >= 0.5),
    }


def summarise_rules(samples: Sequence[RuleSample]) -> dict[ThresholdRule, Interval]:
    """F over images by rule, with bootstrap 95 % intervals over images.

    Raises:
        MetricError: there is no image.
    """
    curves = np.array([sample.curve for sample in samples], np.float64).reshape(len(samples), LEVELS)
    per_image = {
        ThresholdRule.P2: [sample.per_image for sample in samples],
        ThresholdRule.P3: [sample.at_half for sample in samples],
        ThresholdRule.P5: curves.max(axis=1),
        ThresholdRule.P6: [sample.stretched for sample in samples],
    }
    found = {
        ThresholdRule.P1: interval_of_means(_rows([s.pooled for s in samples]), f_of_counts),
        ThresholdRule.P1_PUBLISHED: interval_of_means(
            _rows([s.pooled_published for s in samples]), f_of_counts
        ),
        ThresholdRule.P4: interval_of_means(curves, lambda means: means.max(axis=1)),
        **{rule: mean_interval(values) for rule, values in per_image.items()},
    }
    return {rule: found[rule] for rule in ThresholdRule}


def f_of_counts(counts: _Rows) -> _Rows:
    """F of rows of the three `Counts`, (n, 3) to (n,); 1 where all three are 0."""
    weighed = (1 + BETA_SQUARED) * counts[:, 0]
    whole = weighed + counts[:, 1] + BETA_SQUARED * counts[:, 2]
    return np.divide(weighed, whole, out=np.ones_like(whole), where=whole > 0)


def threshold_adaptively(probability: Probability, *, factor: float, most: float = np.inf) -> Mask:
    """Where a map (h, w) reaches `factor` times its mean, at most `most`; never where it is 0."""
    threshold = min(factor * float(probability.mean(dtype=np.float64)), most)
    return (probability >= threshold) & (probability > 0)


def trace_curve(probability: Probability, truth: Mask) -> NDArray[np.float32]:
    """F where the map, rounded to 8 bit, reaches each of 0..255: (256,) float32 in 0..1."""
    levels = np.rint(probability * np.float32(LEVELS - 1)).astype(np.uint8)
    inside, outside = (np.bincount(levels[mask], minlength=LEVELS) for mask in (truth, ~truth))
    true, false = (counts[::-1].cumsum()[::-1] for counts in (inside, outside))
    counts = np.stack([true, false, inside.sum() - true], axis=1).astype(np.float64)
    return f_of_counts(counts).astype(np.float32)


def _sample(probability: Probability, truth: Mask, *, at_half: Mask) -> RuleSample:
    adaptive = threshold_adaptively(probability, factor=1.5)
    published = threshold_adaptively(truth.astype(np.float32), factor=1.5)
    stretched = threshold_adaptively(_stretch(probability), factor=2, most=1)
    pooled = count(adaptive, truth)
    return RuleSample(
        pooled=pooled,
        pooled_published=count(adaptive, published),
        emptied=bool(truth.any() and not published.any()),
        per_image=pooled.f_measure,
        at_half=count(at_half, truth).f_measure,
        stretched=count(stretched, truth).f_measure,
        curve=trace_curve(probability, truth),
    )


def _stretch(probability: Probability) -> Probability:
    low, high = probability.min(), probability.max()
    return (probability - low) / (high - low) if high > low else probability


def _rows(counts: Sequence[Counts]) -> _Rows:
    return np.array(
        [(c.true_positives, c.false_positives, c.false_negatives) for c in counts], np.float64
    ).reshape(-1, 3)


def _average_precision(found: _Numbers, wrong: _Numbers) -> float:
    total = int(found.sum())
    if not total:
        return float("nan")
    true, false = np.cumsum(found), np.cumsum(wrong)
    return float((found * (true / (true + false))).sum() / total)


def _steps(running: _Numbers) -> _Numbers:
    return np.diff(running, prepend=0)
