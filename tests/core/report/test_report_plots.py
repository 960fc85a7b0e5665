"""The charts' arithmetic: round ticks, honest bins, marks inside the frame."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import PROTOCOL

from ldp_core.report.charts import (
    Bar,
    count_bins,
    draw_bars,
    draw_histogram,
    draw_interval,
    draw_trace,
    round_ticks,
)
from ldp_core.report.figures import FEW_ITEMS, MOST_DOTS, Pairing, draw_gains, draw_metrics, draw_scatter
from ldp_core.report.measures import measure_of
from ldp_core.types import Score

numbers = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 6))


def test_charts_do_not_grow_with_their_items() -> None:
    def sizes(count: int) -> tuple[int, int]:
        before = {f"set/{n}": 20 + 8 * (n * 0.618 % 1) for n in range(count)}
        after = {item: value + 3 * math.sin(n) for n, (item, value) in enumerate(before.items())}
        pairing = Pairing.of(measure_of("psnr_db"), before, after)
        return len(draw_scatter(pairing, label="a")), len(draw_gains(pairing, label="a"))

    some, many = sizes(20_000), sizes(100_000)
    assert many[0] < 1.5 * some[0]
    assert many[1] < 1.1 * some[1]


@given(numbers, st.floats(1e-4, 1e6))
def test_ticks_are_round_even_and_inside(low: float, span: float) -> None:
    high = low + span
    ticks = round_ticks(low, high)
    steps = [b - a for a, b in pairwise(ticks)]
    assert all(low - span * 1e-6 <= tick <= high + span * 1e-6 for tick in ticks)
    assert len(ticks) <= 10
    assert all(math.isclose(step, steps[0], rel_tol=1e-3) for step in steps)


series = st.lists(numbers, min_size=1, max_size=200)


@given(series, series)
def test_bins_count_every_value_of_every_series_once_and_adjoin(
    back: list[float], front: list[float]
) -> None:
    bins = count_bins(back, front)
    assert tuple(map(sum, bins.counts)) == (len(back), len(front))
    assert all(b - a == pytest.approx(bins.step, rel=1e-3) for a, b in pairwise(bins.edges))
    assert bins.edges[0] <= min(back + front) + 1e-9
    assert bins.edges[-1] >= max(back + front) - 1e-9
    assert len(bins.edges) <= 60


def test_no_bin_straddles_zero() -> None:
    assert any(math.isclose(edge, 0, abs_tol=1e-9) for edge in count_bins([-1.03, -0.2, 0.4, 2.71]).edges)


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


def _pair(source: dict[str, float], restored: dict[str, float], metric: str = "psnr_db") -> Pairing:
    return Pairing.of(measure_of(metric), source, restored)


def _many(count: int) -> Pairing:
    source = {f"set/{n}": 20.0 + n % 7 for n in range(count)}
    return _pair(source, {item: value + math.sin(n) for n, (item, value) in enumerate(source.items())})


def test_only_items_that_have_both_are_paired() -> None:
    pairing = _pair({"a": 1.0, "b": 2.0}, {"b": 3.0, "c": 9.0})
    assert (pairing.items, pairing.gains) == (("b",), (1.0,))


def test_where_lower_is_better_a_fall_is_a_gain() -> None:
    assert _pair({"a": 0.5}, {"a": 0.25}, metric="mae").gains == (0.25,)


def test_a_dot_lies_above_the_identity_line_where_the_value_rose() -> None:
    drawing = draw_scatter(_pair({"a": 20, "b": 24}, {"a": 22, "b": 23}), label="")
    dots = re.findall(r'class="dot (\w+)" cx="([\d.]+)%" cy="([\d.]+)%"', drawing)
    assert [(style, 100 - float(y) > float(x)) for style, x, y in dots] == [
        ("better", True),
        ("worse", False),
    ]


def test_few_items_are_named_and_opened_by_their_marks() -> None:
    pairing = _pair({"a": 1.0, "b<": 2.0}, {"a": 2.0, "b<": 1.0})
    for drawing in (draw_scatter(pairing, label=""), draw_gains(pairing, label="")):
        assert re.findall(r'data-item="([^"]*)"', drawing) in (["a", "b&lt;"], ["b&lt;", "a"])
        assert "b&lt;: " in drawing


def test_very_many_items_take_few_elements_and_none_is_lost() -> None:
    pairing = _many(FEW_ITEMS + 1)
    scatter, gains = draw_scatter(pairing, label=""), draw_gains(pairing, label="")
    assert scatter.count("h0") == len(pairing.items)
    assert gains.count("L") == len(pairing.items) + 2  # two outlines, each from base line to base line
    assert scatter.count("<") + gains.count("<") < 150


def test_gains_stand_worst_first() -> None:
    drawing = draw_gains(_pair({"a": 1, "b": 1, "c": 1}, {"a": 3, "b": 0, "c": 2}), label="")
    assert re.findall(r'data-item="(\w)"', drawing) == ["b", "c", "a"]
    assert re.findall(r'class="bar (\w+)"', drawing) == ["worse", "better", "better"]


def test_few_items_are_dots_that_open_them_and_many_a_histogram() -> None:
    def distribution(count: int) -> str:
        values = {f"set/{n}": 20.0 + n for n in range(count)}
        scores = [Score(i, "psnr_db", "restored", PROTOCOL, v) for i, v in values.items()]
        return str(draw_metrics(scores)[0].charts[0].drawing)

    assert distribution(MOST_DOTS).count("data-item=") == MOST_DOTS
    assert "<rect" not in distribution(MOST_DOTS)
    assert "<rect" in distribution(MOST_DOTS + 1)


def test_axes_say_what_they_are() -> None:
    pairing = _many(30)
    for drawing, titles in (
        (draw_scatter(pairing, label=""), ("Input, PSNR in dB", "Restored, PSNR in dB")),
        (draw_gains(pairing, label=""), ("Items, worst first", "Gain, dB")),
        (draw_histogram([1, 2], label="", title="PSNR in dB"), ("PSNR in dB", "Items")),
    ):
        assert re.findall(r'class="title[^>]*>([^<]*)<', drawing) == [*titles]


def test_a_trace_goes_from_corner_to_corner() -> None:
    assert 'd="M0 1000L1000 0"' in draw_trace([(2, 5), (4, 9)], axis=(2, 4), scale=(5, 9), style="line")


def test_the_outline_of_a_histogram_stands_only_where_there_are_two_series() -> None:
    assert "outline" in draw_histogram([1, 2, 3], [2, 3, 4], label="")
    assert "outline" not in draw_histogram([1, 2, 3], label="")
