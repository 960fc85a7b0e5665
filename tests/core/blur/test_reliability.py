"""When a detected map is trusted, and what is said where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from ldp_core.blur.depth_distilled import ReliabilitySettings, rate_reliability, separate_modes
from ldp_core.errors import BlurMapError
from ldp_core.types import FloatMap


def halves(share: float, *, low: float = 0.05, high: float = 0.95) -> FloatMap:
    """A share in focus at `high`, the rest at `low`."""
    values = np.full((10, 100), low, np.float32)
    values[:, : round(100 * share)] = high
    return values


def test_a_sure_map_is_accepted() -> None:
    found = rate_reliability(halves(0.4))
    assert found.accepted
    assert found.spread == pytest.approx(0.9)
    assert found.separation == pytest.approx(0.9, abs=0.01)
    assert found.sharp_share == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("in_focus", "conditions"),
    [
        (halves(1.0), {"spread", "separation", "too much in focus"}),
        (halves(0.0), {"spread", "separation", "too little in focus"}),
        (halves(0.8), {"too much in focus"}),
        (halves(0.02), {"spread", "too little in focus"}),
        (halves(0.4, low=0.3, high=0.7), {"spread", "separation"}),
        (halves(0.4, low=0.2, high=0.7), {"spread"}),
    ],
)
def test_what_is_rejected_and_why(in_focus: FloatMap, conditions: set[str]) -> None:
    found = rate_reliability(in_focus)
    assert not found.accepted
    assert set(found.reasons) == conditions


def test_reasons_hold_figures_and_thresholds_can_be_moved() -> None:
    assert "0.800, more than 0.7" in rate_reliability(halves(0.8)).reasons["too much in focus"]
    assert rate_reliability(halves(0.8), ReliabilitySettings(most_sharp=0.9)).accepted


def test_a_constant_has_no_modes() -> None:
    assert separate_modes(np.full((3, 3), 0.4, np.float32)) == 0


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1])
def test_what_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(BlurMapError):
        rate_reliability(np.full((2, 2), value, np.float32))
    with pytest.raises(BlurMapError):
        rate_reliability(np.zeros((0, 2), np.float32))
