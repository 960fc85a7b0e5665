"""The F-measure (beta^2 = .3) of defocus blur detection under the six threshold rules in use.

Published figures differ by the rule as much as by the method, and many do not name theirs. A rule
turns a probability into a mask; F compares that with the truth. Every rule is given for both classes:
for `focus` the probability is that of being in focus, for `blur` one minus it, and the truth is turned
with it.

The trap of P1: its published form puts the truth through the same threshold, 1.5 times its mean. Where
the class fills more than two thirds of a photograph that exceeds 1 and empties the truth, so the
better the map, the worse the score. `P1` here takes the truth as it is; `P1_PUBLISHED` repeats the trap,
to compare with such figures, and `emptied` says how many truths fell into it.

Ours, where nothing is published: a probability of 0 is never found by an adaptive rule, so that an
empty map finds nothing; the threshold of P6 is at most 1, which every map reaches after its stretching;
a constant map is not stretched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ldp_core.metrics.bootstrap import Interval, interval_of_means
from ldp_core.metrics.detection import (
    BETA_SQUARED,
    Counts,
    Mask,
    Probability,
    check_detection,
    count,
)

FocusClass = Literal["blur", "focus"]
CLASSES: Final[tuple[FocusClass, ...]] = ("blur", "focus")
LEVELS: Final = 256
_Rows = NDArray[np.float64]


class ThresholdRule(StrEnum):
    """How the probability of a class becomes a mask, and how images are put together."""

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
class RuleSample:
    """What one image contributes for one class; `curve` (256,) is its F at each 8-bit threshold."""

    pooled: Counts
    pooled_published: Counts
    emptied: bool
    per_image: float
    at_half: float
    stretched: float
    curve: NDArray[np.float32]


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
        **{rule: interval_of_means(values) for rule, values in per_image.items()},
    }
    return {rule: found[rule] for rule in ThresholdRule}


def f_of_counts(counts: _Rows) -> _Rows:
    """F of rows of found right, found wrong, missed, (n, 3) to (n,); 1 where all three are 0."""
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
    return np.array([(c.true, c.false, c.missed) for c in counts], np.float64).reshape(-1, 3)
