"""Restored against input, a dot for each item, with the line where nothing changed."""

from __future__ import annotations

from markupsafe import Markup

from ldp_core.report.pairing import Pairing
from ldp_core.report.plots import Axis, along, draw_chart, ticks_along, ticks_up, up
from ldp_core.report.traces import Point, draw_cloud

_IDENTITY = Markup('<line class="identity" x1="0" y1="100%" x2="100%" y2="0"/>')
_DOT = Markup('<circle class="{}" cx="{}" cy="{}" r="4" data-item="{}"><title>{}</title></circle>')


def draw_scatter(pairing: Pairing, *, label: str) -> Markup:
    """A square chart of one scale along and up; dots of the items that lost are marked."""
    axis = _common_axis(pairing)
    dots = _draw_dots(pairing, axis) if pairing.few else _draw_clouds(pairing, axis)
    parts = [*ticks_up(axis), *ticks_along(axis, wanted=5), _IDENTITY, *dots]
    return draw_chart(parts, label=label, style="numbered square")


def _common_axis(pairing: Pairing) -> Axis:
    values = (*pairing.source, *pairing.restored)
    margin = (max(values) - min(values)) * 0.06 or max(abs(max(values)) * 1e-3, 1e-6)
    return min(values) - margin, max(values) + margin


def _draw_dots(pairing: Pairing, axis: Axis) -> list[Markup]:
    measure = pairing.measure
    return [
        _DOT.format(
            f"dot {_style(gain)}",
            along(before, axis),
            up(after, axis),
            item,
            f"{item}: {measure.show(before)} to {measure.show(after)}",
        )
        for item, before, after, gain in zip(
            pairing.items, pairing.source, pairing.restored, pairing.gains, strict=True
        )
    ]


def _draw_clouds(pairing: Pairing, axis: Axis) -> list[Markup]:
    clouds: dict[str, list[Point]] = {}
    for before, after, gain in zip(pairing.source, pairing.restored, pairing.gains, strict=True):
        clouds.setdefault(_style(gain), []).append((before, after))
    return [
        draw_cloud(points, axis=axis, scale=axis, style=f"cloud {style}")
        for style, points in sorted(clouds.items())
    ]


def _style(gain: float) -> str:
    return "worse" if gain < 0 else "better"
