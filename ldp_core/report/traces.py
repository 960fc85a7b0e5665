"""Lines and clouds of many points in one SVG path, whose strokes keep their width when stretched."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from ldp_core.report.plots import Axis

Point = tuple[float, float]
SIDE = 1000
_FRAME = Markup(
    '<svg viewBox="0 0 {0} {0}" preserveAspectRatio="none" width="100%" height="100%" overflow="visible">'
    '<path class="{1}" vector-effect="non-scaling-stroke" d="{2}"/></svg>'
)


def draw_trace(points: Iterable[Point], *, axis: Axis, scale: Axis, style: str) -> Markup:
    """A line through points ``(x, y)``."""
    return _FRAME.format(SIDE, style, "M" + "L".join(_place(point, axis, scale) for point in points))


def draw_cloud(points: Iterable[Point], *, axis: Axis, scale: Axis, style: str) -> Markup:
    """A dot at each of the points, as a stroke of no length with round ends."""
    return _FRAME.format(SIDE, style, "".join(f"M{_place(point, axis, scale)}h0" for point in points))


def _place(point: Point, axis: Axis, scale: Axis) -> str:
    x = (point[0] - axis[0]) / (axis[1] - axis[0]) * SIDE
    y = (scale[1] - point[1]) / (scale[1] - scale[0]) * SIDE
    return f"{x:.0f} {y:.0f}"
