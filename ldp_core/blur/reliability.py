"""Whether a detected in-focus map can be trusted: a rule on the map alone.

A detector that found something is sure of it: its values spread, they fall into two groups that lie
apart, and neither group fills the photograph. The known failure is the photograph in focus all over, on
which a detector still looks for blur. Thresholds: figures of a 2026 manuscript, validated by
`ldp evaluate detection`. Ours: the two groups are those of Otsu's threshold (IEEE Trans. SMC 9, 1979)
over 256 levels, their separation the distance of their means, and sharp means at least .5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from pydantic import Field

from ldp_core.errors import BlurMapError
from ldp_core.settings import Settings
from ldp_core.types import FloatMap

_LEVELS: Final = 256


class ReliabilitySettings(Settings):
    """What a map has to show to be trusted."""

    least_spread: float = Field(default=0.55, ge=0, le=1)
    """90th less 10th percentile."""
    least_separation: float = Field(default=0.45, ge=0, le=1)
    """Distance of the means of the two groups."""
    least_sharp: float = Field(default=0.03, ge=0, le=1)
    most_sharp: float = Field(default=0.70, ge=0, le=1)
    """Share of the picture that is in focus."""


DEFAULT_RELIABILITY: Final = ReliabilitySettings()


@dataclass(frozen=True, slots=True)
class Reliability:
    """What the rule saw, and why it does not trust the map, by condition; no reason: it does."""

    spread: float
    separation: float
    sharp_share: float
    reasons: Mapping[str, str]

    @property
    def accepted(self) -> bool:
        return not self.reasons


def rate_reliability(in_focus: FloatMap, settings: ReliabilitySettings = DEFAULT_RELIABILITY) -> Reliability:
    """Rate a probability of being in focus, (h, w) float32 in 0..1.

    Raises:
        BlurMapError: the map is empty, or holds nan or what is no probability.
    """
    if not in_focus.size or not (in_focus.min() >= 0 and in_focus.max() <= 1):
        raise BlurMapError(
            "the reliability of this map cannot be rated",
            expected="finite values in 0..1",
            got=f"{in_focus.size} values",
            remedy="give a probability of being in focus",
        )
    low, high = np.percentile(in_focus, (10, 90))
    spread, separation = float(high - low), separate_modes(in_focus)
    sharp_share = float((in_focus >= 0.5).mean())
    reasons = {
        "spread": _less(spread, settings.least_spread, "values spread by"),
        "separation": _less(separation, settings.least_separation, "groups are apart by"),
        "too little in focus": _less(sharp_share, settings.least_sharp, "share in focus"),
        "too much in focus": _more(sharp_share, settings.most_sharp, "share in focus"),
    }
    failed = {condition: reason for condition, reason in reasons.items() if reason}
    return Reliability(spread, separation, sharp_share, failed)


def separate_modes(in_focus: FloatMap) -> float:
    """Distance of the means of the two groups that Otsu's threshold makes: 0..1, 0 for a constant."""
    levels = np.rint(in_focus * np.float32(_LEVELS - 1)).astype(np.uint8)
    counts = np.bincount(levels.ravel(), minlength=_LEVELS).astype(np.float64)
    sums = counts * np.arange(_LEVELS) / (_LEVELS - 1)
    below, sum_below = counts.cumsum()[:-1], sums.cumsum()[:-1]
    above, sum_above = counts.sum() - below, sums.sum() - sum_below
    both = (below > 0) & (above > 0)
    if not both.any():
        return 0.0
    distances = sum_above[both] / above[both] - sum_below[both] / below[both]
    between = below[both] * above[both] * distances**2
    return float(distances[between.argmax()])


def _less(value: float, least: float, what: str) -> str:
    return f"{what} {value:.3f}, less than {least:g}" if value < least else ""


def _more(value: float, most: float, what: str) -> str:
    return f"{what} {value:.3f}, more than {most:g}" if value > most else ""
