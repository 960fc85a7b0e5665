"""Small charts as inline SVG: percent coordinates, so that lines and text keep their size when the page
is wide; colours come from the style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

Axis = tuple[float, float]
_TICK_FACTORS = (1, 2, 5, 10)
_INTERVAL = Markup(
    '<svg class="interval" aria-hidden="true"><line class="axis" x1="0" x2="100%" y1="50%" y2="50%"/>{}'
    '<line class="span" x1="{}" x2="{}" y1="50%" y2="50%"/>'
    '<circle class="dot" cx="{}" cy="50%" r="4.5"/></svg>'
)
_MARK = Markup('<line class="mark" x1="{0}" x2="{0}" y1="0" y2="100%"/>')
_CHART = Markup('<svg class="chart {}" role="img" aria-label="{}">{}</svg>')
_BAR = Markup('<rect class="{}" x="{}" width="{:.2f}%" y="{}" height="{:.2f}%"{}><title>{}</title></rect>')
_FILL = Markup(' fill="{}"')
_ZERO = Markup('<line class="axis" x1="0" x2="100%" y1="{0}" y2="{0}"/>')
_TICK_ALONG = Markup('<text class="along" x="{}" y="100%" dy="1.5em">{}</text>')
_TICK_UP = Markup(
    '<line class="grid" x1="0" x2="100%" y1="{0}" y2="{0}"/><text x="0" dx="-.6em" y="{0}">{1}</text>'
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar from ``low`` to ``high`` along the axis, ``height`` tall, with a hint for the pointer."""

    low: float
    high: float
    height: float
    hint: str
    style: str = "bar"
    fill: str = ""


def show_number(value: float) -> str:
    """A short number with a true minus sign."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")


def show_share(share: float) -> str:
    """A share of one as percent."""
    return f"{share * 100:g} %"


def draw_interval(bounds: tuple[float, float, float], *, axis: Axis, mark: float | None) -> Markup:
    """``low, mean, high`` as a dot on its interval; ``mark`` draws a reference line."""
    low, mean, high = (_along(value, axis) for value in bounds)
    reference = _MARK.format(_along(mark, axis)) if mark is not None else ""
    return _INTERVAL.format(reference, low, high, mean)


def draw_bars(
    bars: Sequence[Bar],
    *,
    label: str,
    axis: Axis,
    numbered: bool,
    show: Callable[[float], str] = show_number,
) -> Markup:
    """Bars with round ticks up the side and, if ``numbered``, along the axis; negative ones hang from
    the zero line. ``show`` prints the heights."""
    heights = [bar.height for bar in bars]
    scale = (min(0.0, *heights), max(0.0, *heights) or float(not any(heights)))
    grid = [_TICK_UP.format(_up(value, scale), show(value)) for value in round_ticks(*scale, wanted=5)]
    along = [_TICK_ALONG.format(_along(value, axis), show_number(value)) for value in round_ticks(*axis)]
    drawn = [_draw_bar(bar, axis=axis, scale=scale) for bar in bars]
    parts = [*grid, *(along if numbered else ()), *drawn, _ZERO.format(_up(0.0, scale))]
    return _CHART.format("numbered" if numbered else "plain", label, Markup("").join(parts))


def round_ticks(low: float, high: float, *, wanted: int = 9) -> list[float]:
    """Round numbers within ``low..high``, about as many as wanted."""
    if not high > low:
        return [low]
    step = _round_step((high - low) / wanted)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)]


def count_bins(values: Sequence[float], *, wanted: int = 24) -> list[tuple[float, float, int]]:
    """A histogram ``(low, high, count)`` with round edges, one of them at zero if it lies within."""
    low, high = min(values), max(values)
    step = _round_step(max(high - low, abs(high) * 1e-3, 1e-6) / wanted)
    counts: dict[int, int] = {}
    for value in values:
        counts[math.floor(value / step)] = counts.get(math.floor(value / step), 0) + 1
    bins = range(min(counts), max(counts) + 1)
    return [(round(b * step, 10), round((b + 1) * step, 10), counts.get(b, 0)) for b in bins]


def _round_step(rough: float) -> float:
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(factor * magnitude for factor in _TICK_FACTORS if factor * magnitude >= rough * 0.999)


def _draw_bar(bar: Bar, *, axis: Axis, scale: Axis) -> Markup:
    height = abs(bar.height) / (scale[1] - scale[0]) * 100
    width = (bar.high - bar.low) / (axis[1] - axis[0]) * 100
    fill = _FILL.format(bar.fill) if bar.fill else ""
    top = _up(max(bar.height, 0.0), scale)
    return _BAR.format(bar.style, _along(bar.low, axis), width, top, height, fill, bar.hint)


def _along(value: float, axis: Axis) -> str:
    share = (value - axis[0]) / (axis[1] - axis[0]) if axis[1] > axis[0] else 0.5
    return f"{min(max(share, 0.0), 1.0) * 100:.2f}%"


def _up(value: float, scale: Axis) -> str:
    return f"{(scale[1] - value) / (scale[1] - scale[0]) * 100:.2f}%"
