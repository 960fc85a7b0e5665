"""How values are spread: bins with round edges, one series as bars, another as a line over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from markupsafe import Markup

from ldp_core.report.plots import (
    Bar,
    draw_chart,
    place_bars,
    round_step,
    scale_of,
    show_number,
    ticks_along,
    ticks_up,
    zero_line,
)
from ldp_core.report.traces import draw_trace

FEWEST_BINS = 6
MOST_BINS = 24


@dataclass(frozen=True, slots=True)
class Bins:
    """Counts of one or more series in the same bins of width ``step``, the first at ``low``."""

    low: float
    step: float
    counts: tuple[tuple[int, ...], ...]

    @property
    def edges(self) -> list[float]:
        """The edges, one more than there are bins."""
        return [round(self.low + n * self.step, 10) for n in range(len(self.counts[0]) + 1)]


def count_bins(*series: Sequence[float]) -> Bins:
    """Histograms of series in common bins with round edges, one of them at zero if it lies within."""
    values = list(chain(*series))
    low, high = min(values), max(values)
    wanted = min(max(2 * math.isqrt(len(values)), FEWEST_BINS), MOST_BINS)
    step = round_step(max(high - low, abs(high) * 1e-3, 1e-6) / wanted)
    first, last = math.floor(low / step), math.floor(high / step)
    counts = tuple(_count(values, step, range(first, last + 1)) for values in series)
    return Bins(round(first * step, 10), step, counts)


def draw_histogram(back: Sequence[float], front: Sequence[float] = (), *, label: str) -> Markup:
    """``back`` as bars and, over them, the outline of ``front``, in common bins."""
    bins = count_bins(back, front)
    edges = bins.edges
    bars = [
        Bar(low, high, count, f"{show_number(low)} to {show_number(high)}: {count} items", "bar source")
        for (low, high), count in zip(pairwise(edges), bins.counts[0], strict=True)
    ]
    axis, scale = (edges[0], edges[-1]), scale_of(chain(*bins.counts))
    outline = draw_trace(_outline(edges, bins.counts[1]), axis=axis, scale=scale, style="outline")
    placed = [*place_bars(bars, axis=axis, scale=scale), *([outline] if front else [])]
    ticks = [*ticks_up(scale, least=1.0), *ticks_along(axis, wanted=6)]
    return draw_chart([*ticks, *placed, zero_line(scale)], label=label, style="numbered")


def _count(values: Sequence[float], step: float, bins: range) -> tuple[int, ...]:
    counts = dict.fromkeys(bins, 0)
    for value in values:
        counts[math.floor(value / step)] += 1
    return tuple(counts.values())


def _outline(edges: Sequence[float], counts: Sequence[int]) -> list[tuple[float, float]]:
    """The corners of a histogram, from its left foot to its right foot."""
    tops = zip(pairwise(edges), counts, strict=True)
    corners = [(edge, float(count)) for bin_, count in tops for edge in bin_]
    return [(edges[0], 0.0), *corners, (edges[-1], 0.0)]
