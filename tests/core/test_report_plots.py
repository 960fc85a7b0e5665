"""The charts' arithmetic: round ticks, honest bins, marks inside the frame."""

from __future__ import annotations

import math
import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ldp_core.report.plots import Bar, draw_bars, draw_interval, round_ticks

numbers = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 6))


@given(numbers, st.floats(1e-4, 1e6))
def test_ticks_are_round_even_and_inside(low: float, span: float) -> None:
    high = low + span
    ticks = round_ticks(low, high)
    steps = [b - a for a, b in pairwise(ticks)]
    assert all(low - span * 1e-6 <= tick <= high + span * 1e-6 for tick in ticks)
    assert len(ticks) <= 10
    assert all(math.isclose(step, steps[0], rel_tol=1e-3) for step in steps)


@given(st.lists(numbers, min_size=1, max_size=200))
def test_bins_count_every_value_once_and_adjoin(values: list[float]) -> None:
    bins = count_bins(values)
    assert sum(count for _, _, count in bins) == len(values)
    assert all(math.isclose(a[1], b[0], abs_tol=1e-9) for a, b in pairwise(bins))
    assert bins[0][0] <= min(values) + 1e-9
    assert bins[-1][1] >= max(values) - 1e-9
    assert len(bins) <= 60


def test_no_bin_straddles_zero() -> None:
    bins = count_bins([-1.03, -0.2, 0.4, 2.71])
    assert all(low >= 0 or high <= 0 for low, high, _ in bins)


@given(st.lists(numbers, min_size=3, max_size=3).map(sorted), numbers)
def test_an_interval_never_leaves_its_frame(bounds: list[float], mark: float) -> None:
    low, mean, high = bounds
    drawing = draw_interval((low, mean, high), axis=(low, high), mark=mark)
    assert all(0 <= float(share) <= 100 for share in re.findall(r'"([-\d.]+)%"', drawing))


def test_bars_keep_the_proportion_of_their_heights() -> None:
    bars = [Bar(0, 1, 10, "a"), Bar(1, 2, -5, "b")]
    drawing = draw_bars(bars, label="gains", axis=(0, 2), numbered=False)
    heights = [float(h) for h in re.findall(r'height="([\d.]+)%"', drawing)]
    assert math.isclose(heights[0], 2 * heights[1], rel_tol=1e-3)
    assert math.isclose(sum(heights), 100, rel_tol=1e-3)


def test_bars_of_nothing_can_be_drawn() -> None:
    assert "<rect" in draw_bars([Bar(0, 1, 0, "none")], label="none", axis=(0, 1), numbered=True)


def test_hints_are_escaped() -> None:
    drawing = draw_bars([Bar(0, 1, 1, "<script>")], label='"><script>', axis=(0, 1), numbered=True)
    assert "<script>" not in drawing
