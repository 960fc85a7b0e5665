"""The charts of a run: gains item by item, and how blurred its pixels are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from ldp_core.report.colours import UNKNOWN_COLOUR, colour_at
from ldp_core.report.columns import Definition, values_of
from ldp_core.report.model import BlurDigest, ReportItem
from ldp_core.report.plots import Bar, count_bins, draw_bars, show_number, show_share
from ldp_core.types import BlurMapKind

FEW_ITEMS = 40
FEWEST_SLOTS = 12
MAX_GAIN_CHARTS = 4
MAX_BLUR_BARS = 64


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with its title, what its axes are, and what it says in one line."""

    title: str
    axis: str
    note: str
    drawing: Markup


def draw_gain_charts(
    items_by_conditions: Mapping[str, Sequence[ReportItem]], definitions: Sequence[Definition]
) -> list[Chart]:
    """Gains of restored over input, one chart for each metric and conditions, the most items first."""
    charts = []
    for conditions, items in items_by_conditions.items():
        for definition in definitions:
            gains = _gains(items, definition)
            if gains and definition.measure.family == "fidelity":
                charts.append((len(gains), _draw_gains(gains, definition, conditions)))
    charts.sort(key=lambda chart: -chart[0])
    return [chart for _, chart in charts[:MAX_GAIN_CHARTS]]


def draw_blur_charts(items: Sequence[ReportItem]) -> list[Chart]:
    """The spread of the blur maps' values, one chart for each kind; every item weighs the same."""
    digests: dict[BlurMapKind, list[BlurDigest]] = {}
    for item in items:
        if item.blur is not None:
            digests.setdefault(item.blur.kind, []).append(item.blur)
    return [_draw_blur(kind, of_kind) for kind, of_kind in sorted(digests.items())]


def _gains(items: Sequence[ReportItem], definition: Definition) -> dict[str, float]:
    gains = ((item.id, definition.gain(values_of(item).get(definition, {}))) for item in items)
    return {item_id: gain for item_id, gain in gains if gain is not None and math.isfinite(gain)}


def _draw_gains(gains: Mapping[str, float], definition: Definition, conditions: str) -> Chart:
    few = len(gains) <= FEW_ITEMS
    bars = _item_bars(gains, definition) if few else _histogram_bars(gains)
    title = ", ".join(part for part in (f"{definition.measure.label} gain", definition.detail) if part)
    note = _count_improved(gains, definition)
    axis = _widen(_span(bars), FEWEST_SLOTS) if few else _span(bars)
    drawing = draw_bars(bars, label=f"{title}: {note}", axis=axis, numbered=not few)
    unit = f" in {definition.measure.unit}" if definition.measure.unit else ""
    axes = f"One bar per item, worst first; gain{unit}" if few else f"Items by gain{unit}"
    return Chart(title, f"{axes} ({conditions})", note, drawing)


def _count_improved(gains: Mapping[str, float], definition: Definition) -> str:
    measure, improved = definition.measure, sum(gain > 0 for gain in gains.values())
    middle = f"{measure.show_gain(median(gains.values()))} {measure.unit}".strip()
    return f"{improved} of {len(gains)} items improved; median gain {middle}"


def _span(bars: Sequence[Bar]) -> tuple[float, float]:
    return min(bar.low for bar in bars), max(bar.high for bar in bars)


def _widen(axis: tuple[float, float], least: float) -> tuple[float, float]:
    margin = max(0.0, least - (axis[1] - axis[0])) / 2
    return axis[0] - margin, axis[1] + margin


def _item_bars(gains: Mapping[str, float], definition: Definition) -> list[Bar]:
    ordered = sorted(gains.items(), key=lambda entry: entry[1])
    return [
        Bar(n + 0.1, n + 0.9, gain, f"{item}: {definition.measure.show_gain(gain)}", _style(gain))
        for n, (item, gain) in enumerate(ordered)
    ]


def _histogram_bars(gains: Mapping[str, float]) -> list[Bar]:
    return [
        Bar(low, high, count, f"{show_number(low)} to {show_number(high)}: {count} items", _style(low))
        for low, high, count in count_bins(list(gains.values()))
    ]


def _style(gain: float) -> str:
    return "bar worse" if gain < 0 else "bar better"


def _draw_blur(kind: BlurMapKind, digests: Sequence[BlurDigest]) -> Chart:
    signed = kind is BlurMapKind.SIGNED_COC_PX
    unit = " px" if signed else ""
    bars = _blur_bars(digests, kind, unit)
    title = "Signed circle of confusion" if signed else kind.value.replace("_", " ").capitalize()
    meaning = "px of diameter; negative in front of the focal plane" if signed else "0 to 1"
    middle = show_number(round(sum(digest.p50 for digest in digests) / len(digests), 2))
    label = f"{title}: share of pixels"
    drawing = draw_bars(bars, label=label, axis=_span(bars), numbered=True, show=show_share)
    note = f"Median {middle}{unit}, as the mean over {len(digests)} items"
    return Chart(title, f"Share of pixels by {meaning}", note, drawing)


def _blur_bars(digests: Sequence[BlurDigest], kind: BlurMapKind, unit: str) -> list[Bar]:
    shares, step = _pool_shares(digests)
    reach = max(digest.limit for digest in digests)
    return [
        Bar(
            (n - 0.5) * step,
            (n + 0.5) * step,
            share,
            f"{show_number(n * step)}{unit}: {share:.1%} of pixels",
            fill=_fill(n * step, kind, reach),
        )
        for n, share in sorted(shares.items())
    ]


def _pool_shares(digests: Sequence[BlurDigest]) -> tuple[dict[int, float], float]:
    """Mean shares of all digests, in bins wide enough that there are few; values beyond every colour
    scale are counted at its end."""
    step, reach = digests[0].step, max(digest.limit for digest in digests)
    merge = max(1, math.ceil(2 * reach / step / MAX_BLUR_BARS))
    last = round(reach / step / merge)
    pooled: dict[int, float] = {}
    for digest in digests:
        for bin_, share in digest.shares.items():
            n = min(max(round(bin_ / merge), -last), last)
            pooled[n] = pooled.get(n, 0.0) + share / len(digests)
    return pooled, step * merge


def _fill(value: float, kind: BlurMapKind, reach: float) -> str:
    low = -reach if kind is BlurMapKind.SIGNED_COC_PX else 0.0
    return colour_at((value - low) / (reach - low), kind) if reach > low else UNKNOWN_COLOUR
