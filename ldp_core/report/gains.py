"""What restoring gained, item by item, worst first."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ldp_core.report.pairing import Pairing
from ldp_core.report.plots import Bar, draw_bars, draw_chart, scale_of, ticks_up, zero_line
from ldp_core.report.traces import Point, draw_trace

FEWEST_SLOTS = 6


def draw_gains(pairing: Pairing, *, label: str) -> Markup:
    """A bar for each item; for very many items the areas below and above zero."""
    if pairing.few:
        return _draw_bars(pairing, label=label)
    gains = sorted(pairing.gains)
    axis, scale = (0.0, float(len(gains))), scale_of(gains)
    drawn = [
        draw_trace(points, axis=axis, scale=scale, style=f"area {style}")
        for style, points in _areas(gains).items()
    ]
    return draw_chart([*ticks_up(scale), *drawn, zero_line(scale)], label=label, style="plain")


def _draw_bars(pairing: Pairing, *, label: str) -> Markup:
    ranked = sorted(zip(pairing.gains, pairing.items, strict=True))
    margin = max(0, FEWEST_SLOTS - len(ranked)) / 2
    bars = [
        Bar(
            n + 0.1,
            n + 0.9,
            gain,
            f"{item}: {pairing.measure.show_gain(gain)}",
            "bar worse" if gain < 0 else "bar better",
            item=item,
        )
        for n, (gain, item) in enumerate(ranked)
    ]
    return draw_bars(bars, label=label, axis=(-margin, len(ranked) + margin), numbered=False)


def _areas(gains: Sequence[float]) -> dict[str, list[Point]]:
    """Outlines, from foot to foot, of the sorted gains below zero and of the others."""
    lost = sum(gain < 0 for gain in gains)
    parts = {"worse": range(lost), "better": range(lost, len(gains))}
    return {
        style: [(part.start, 0.0), *((n + 0.5, gains[n]) for n in part), (part.stop, 0.0)]
        for style, part in parts.items()
        if part
    }
