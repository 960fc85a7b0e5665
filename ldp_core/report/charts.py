"""Small charts as inline SVG: bars, histograms, intervals, lines, clouds of dots.

Coordinates are percent, so that lines and text keep their size when the page is wide; colours come from
the style sheet. Text in a drawing is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Final

import numpy as np
from markupsafe import Markup

from ldp_core.report.measures import count_items

Axis = tuple[float, float]
Point = tuple[float, float]

FEWEST_BINS: Final = 6
"""A histogram of fewer bins does not show a shape."""
MOST_BINS: Final = 24
"""As many bars are 18 px wide each in a window of 1366 px, and 11 px on a phone."""
PATH_SIDE: Final = 1000
"""Side of the square in which paths are drawn: three digits for each coordinate are finer than a pixel."""
_CLOUD_STEP: Final = 5
"""Half a dot: closer ones cannot be told apart, and a page must not grow with its items."""
_TICK_FACTORS: Final = (1, 2, 5, 10)
_LEVELS: Final = 5
_LEVEL_SHARE: Final = 4.5  # percent of a chart of 192 px: a dot is 8 px wide, so that levels do not touch
_MARGIN: Final = 1e-9  # a tick that lies on the end of the axis counts in spite of rounding

_INTERVAL = Markup(
    '<svg class="interval" aria-hidden="true"><line class="axis" x1="0" x2="100%" y1="50%" y2="50%"/>{}'
    '<line class="span" x1="{}" x2="{}" y1="50%" y2="50%"/>'
    '<circle class="dot" cx="{}" cy="50%" r="4.5"/></svg>'
)
_MARK = Markup('<line class="mark" x1="{0}" x2="{0}" y1="0" y2="100%"/>')
_CHART = Markup('<svg class="chart {}" role="img" aria-label="{}">{}</svg>')
_BAR = Markup('<rect class="{}" x="{}" width="{:.2f}%" y="{}" height="{:.2f}%"{}{}><title>{}</title></rect>')
_FILL = Markup(' fill="{}"')
_ITEM = Markup(' data-item="{}"')
_ZERO = Markup('<line class="axis" x1="0" x2="100%" y1="{0}" y2="{0}"/>')
_TICK_ALONG = Markup('<text class="along" x="{}" y="100%" dy="1.5em">{}</text>')
_X_TITLE = Markup('<text class="title" x="100%" y="100%" dy="{}">{}</text>')
_Y_TITLE = Markup('<text class="title up" x="0" y="0" dx="-2.75rem" dy="-.75em">{}</text>')
_ROW = Markup(
    '<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/>'
    '<text class="row" x="0" y="{0}" dy="-.9em">{1}</text>'
)
_DOT = Markup('<circle class="dot {}" cx="{}" cy="{}" r="4" data-item="{}"><title>{}</title></circle>')
_PATH = Markup(
    '<svg viewBox="0 0 {0} {0}" preserveAspectRatio="none" width="100%" height="100%" overflow="visible">'
    '<path class="{1}" vector-effect="non-scaling-stroke" d="{2}"/></svg>'
)
_TICK_UP = Markup(
    '<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/><text x="0" dx="-.6em" y="{0}">{1}</text>'
)


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its title, what its axes are, and what it says in one line."""

    title: str
    axis: str
    note: str
    drawing: Markup


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar from ``low`` to ``high`` along the axis, ``height`` tall, with a hint for the pointer.

    ``item``: the id of the item that a click on it opens.
    """

    low: float
    high: float
    height: float
    hint: str
    style: str = "bar"
    fill: str = ""
    item: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    """One value of an item, with a hint for the pointer; a click on it opens the item."""

    value: float
    item: str
    hint: str


@dataclass(frozen=True, slots=True)
class Titles:
    """What stands at the axes of a chart; an empty title is left out."""

    x: str = ""
    y: str = ""


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


def show_number(value: float) -> str:
    """A short number with a true minus sign."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def show_share(share: float) -> str:
    """A share of one as percent."""
    return f"{share * 100:g} %"


def draw_interval(bounds: tuple[float, float, float], *, axis: Axis, mark: float | None) -> Markup:
    """``low, mean, high`` as a dot on its interval; ``mark`` draws a reference line."""
    low, mean, high = (along(value, axis) for value in bounds)
    reference = _MARK.format(along(mark, axis)) if mark is not None else ""
    return _INTERVAL.format(reference, low, high, mean)


def draw_bars(
    bars: Sequence[Bar],
    *,
    label: str,
    axis: Axis,
    numbered: bool,
    show: Callable[[float], str] = show_number,
    titles: Titles = Titles(),
) -> Markup:
    """Bars with round ticks up the side and, if ``numbered``, along the axis; negative ones hang from
    the zero line. ``show`` prints the heights."""
    scale = scale_of(bar.height for bar in bars)
    ticks = ticks_along(axis) if numbered else []
    parts = [
        *ticks_up(scale, show=show),
        *ticks,
        *(_draw_bar(bar, axis=axis, scale=scale) for bar in bars),
        zero_line(scale),
    ]
    return draw_chart(parts, label=label, style="numbered" if numbered else "plain", titles=titles)


def draw_chart(
    parts: Sequence[Markup],
    *,
    label: str,
    style: str,
    titles: Titles = Titles(),
) -> Markup:
    """A chart of its parts, back to front; ``label`` says what it shows to who cannot see it."""
    below = "2.9em" if "numbered" in style else "1.4em"  # the numbers of the axis are one line high
    named = [
        *([_X_TITLE.format(below, titles.x)] if titles.x else []),
        *([_Y_TITLE.format(titles.y)] if titles.y else []),
    ]
    classes = f"{style} titled" if named else style
    return _CHART.format(classes, label, Markup("").join([*parts, *named]))


def zero_line(scale: Axis) -> Markup:
    """The line that bars stand on."""
    return _ZERO.format(up(0.0, scale))


def scale_of(heights: Iterable[float]) -> Axis:
    """The span of heights that start from zero."""
    listed = list(heights)
    return min(0.0, *listed), max(0.0, *listed) or float(not any(listed))


def ticks_up(scale: Axis, *, show: Callable[[float], str] = show_number, least: float = 0.0) -> list[Markup]:
    """Round numbers up the side, each with its line, ``least`` or more apart."""
    values = round_ticks(*scale, wanted=5, least=least)
    return [_TICK_UP.format(up(value, scale), show(value)) for value in values]


def ticks_along(axis: Axis, *, wanted: int = 9) -> list[Markup]:
    """Round numbers below the chart."""
    values = round_ticks(*axis, wanted=wanted)
    return [_TICK_ALONG.format(along(value, axis), show_number(value)) for value in values]


def round_ticks(low: float, high: float, *, wanted: int = 9, least: float = 0.0) -> list[float]:
    """Round numbers within ``low..high``, about as many as wanted, ``least`` or more apart."""
    if not high > low:
        return [low]
    step = max(round_step((high - low) / wanted), least)
    first, last = math.ceil(low / step - _MARGIN), math.floor(high / step + _MARGIN)
    return [round(n * step, 10) for n in range(first, last + 1)]


def round_step(rough: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below ``rough``."""
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(factor * magnitude for factor in _TICK_FACTORS if factor * magnitude >= rough * 0.999)


def along(value: float, axis: Axis) -> str:
    """Where a value lies along the axis, in percent from the left."""
    share = (value - axis[0]) / (axis[1] - axis[0]) if axis[1] > axis[0] else 0.5
    return f"{min(max(share, 0.0), 1.0) * 100:.2f}%"


def up(value: float, scale: Axis) -> str:
    """Where a value lies up the side, in percent from the top."""
    return f"{(scale[1] - value) / (scale[1] - scale[0]) * 100:.2f}%"


def count_bins(*series: Sequence[float]) -> Bins:
    """Histograms of series in common bins with round edges, one of them at zero if it lies within."""
    values = list(chain(*series))
    low, high = min(values), max(values)
    wanted = min(max(2 * math.isqrt(len(values)), FEWEST_BINS), MOST_BINS)
    step = round_step(max(high - low, abs(high) * 1e-3, 1e-6) / wanted)
    first, last = math.floor(low / step), math.floor(high / step)
    places = (np.floor(np.asarray(values) / step).astype(int) - first for values in series)
    counts = (np.bincount(inside, minlength=last - first + 1).tolist() for inside in places)
    return Bins(round(first * step, 10), step, tuple(map(tuple, counts)))


def draw_dots(rows: Mapping[str, Sequence[Dot]], *, label: str, title: str) -> Markup:
    """A dot for each value near a line for each row, by its name; the rows share one axis.

    Neighbours stand at different distances from their line, so that equal values do not hide each other.
    """
    values = [dot.value for dots in rows.values() for dot in dots]
    margin = (max(values) - min(values)) * 0.06 or max(abs(max(values)) * 1e-3, 1e-6)
    axis = min(values) - margin, max(values) + margin
    parts = ticks_along(axis, wanted=6)
    for n, (name, dots) in enumerate(rows.items()):
        middle = (n + 1) / (len(rows) + 1) * 100
        parts.append(_ROW.format(f"{middle:.2f}%", name))
        for k, dot in enumerate(dots):
            height = f"{middle + (k % _LEVELS - _LEVELS // 2) * _LEVEL_SHARE:.2f}%"
            style = "source" if name == "Input" else "restored"
            parts.append(draw_dot(style, along(dot.value, axis), height, dot.item, dot.hint))
    return draw_chart(parts, label=label, style="numbered", titles=Titles(x=title))


def draw_dot(style: str, x: str, y: str, item: str, hint: str) -> Markup:
    """The mark of one item at a place in percent."""
    return _DOT.format(style, x, y, item, hint)


def draw_histogram(
    back: Sequence[float], front: Sequence[float] = (), *, label: str, title: str = ""
) -> Markup:
    """``back`` as bars and, over them, the outline of ``front``, in common bins."""
    bins = count_bins(back, front)
    edges = bins.edges
    bars = [
        Bar(low, high, n, f"{show_number(low)} to {show_number(high)}: {count_items(n)}", "bar source")
        for (low, high), n in zip(pairwise(edges), bins.counts[0], strict=True)
    ]
    axis, scale = (edges[0], edges[-1]), scale_of(chain(*bins.counts))
    outline = draw_trace(_outline(edges, bins.counts[1]), axis=axis, scale=scale, style="outline")
    placed = [*(_draw_bar(bar, axis=axis, scale=scale) for bar in bars), *([outline] if front else [])]
    parts = [*ticks_up(scale, least=1.0), *ticks_along(axis, wanted=6), *placed, zero_line(scale)]
    return draw_chart(parts, label=label, style="numbered", titles=Titles(title, "Items"))


def draw_trace(points: Iterable[Point], *, axis: Axis, scale: Axis, style: str) -> Markup:
    """A line through points ``(x, y)``."""
    return _PATH.format(PATH_SIDE, style, "M" + "L".join(_locate(point, axis, scale) for point in points))


def draw_cloud(points: Sequence[Point], *, axis: Axis, scale: Axis, style: str) -> Markup:
    """A dot at each of the points, as a stroke of no length with round ends; of very many, dots that lie on
    each other are drawn once."""
    if len(points) <= PATH_SIDE:
        places = [_locate(point, axis, scale) for point in points]
    else:
        places = [*dict.fromkeys(_locate(point, axis, scale, step=_CLOUD_STEP) for point in points)]
    return _PATH.format(PATH_SIDE, style, "".join(f"M{place}h0" for place in places))


def _draw_bar(bar: Bar, *, axis: Axis, scale: Axis) -> Markup:
    height = abs(bar.height) / (scale[1] - scale[0]) * 100
    width = (bar.high - bar.low) / (axis[1] - axis[0]) * 100
    fill = _FILL.format(bar.fill) if bar.fill else ""
    item = _ITEM.format(bar.item) if bar.item else ""
    top = up(max(bar.height, 0.0), scale)
    return _BAR.format(bar.style, along(bar.low, axis), width, top, height, fill, item, bar.hint)


def _outline(edges: Sequence[float], counts: Sequence[int]) -> list[Point]:
    """The corners of a histogram, from base line to base line."""
    tops = zip(pairwise(edges), counts, strict=True)
    corners = [(edge, float(count)) for bin_, count in tops for edge in bin_]
    return [(edges[0], 0.0), *corners, (edges[-1], 0.0)]


def _locate(point: Point, axis: Axis, scale: Axis, *, step: int = 1) -> str:
    x = (point[0] - axis[0]) / (axis[1] - axis[0]) * PATH_SIDE
    y = (scale[1] - point[1]) / (scale[1] - scale[0]) * PATH_SIDE
    return f"{round(x / step) * step} {round(y / step) * step}"
