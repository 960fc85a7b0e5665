"""The charts of a run: each metric as distribution, item by item and as gains; the values of maps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Final

from markupsafe import Markup

from ldp_core.metrics import group_scores
from ldp_core.metrics.fidelity import ALIGNMENT
from ldp_core.protocols import is_named
from ldp_core.report import charts
from ldp_core.report.charts import Axis, Bar, Chart, Dot, Point, Titles
from ldp_core.report.measures import Measure, count_items, measure_of, name_subject, order_of_metric
from ldp_core.report.model import MapDigest, PictureSpec, ReportItem
from ldp_core.report.pictures import colour_at
from ldp_core.report.scales import Limits
from ldp_core.types import Score, ScoringProtocol

FEW_ITEMS: Final = 250
"""Up to as many items each has a mark of its own that names it and opens it; more marks than that overlap
and make the page heavy."""
MOST_PROTOCOLS: Final = 2
"""Figures of one metric: usually the plain protocol and the one after a shift search."""
MOST_DOTS: Final = 20
"""Up to as many items a dot for each says more than a histogram, most of whose bins hold one item or none."""
FEWEST_SLOTS: Final = 6
"""Places in the chart of gains, so that the bars of one or two items are not as wide as the chart."""
MOST_SPREAD_BARS: Final = 64
"""Bars of the spread of a map: still 5 px wide each in the narrowest chart."""

Values = Mapping[str, float]
_Key = tuple[str, ScoringProtocol]

_IDENTITY = Markup('<line class="identity" x1="0" y1="100%" x2="100%" y2="0"/>')


@dataclass(frozen=True, slots=True)
class MetricFigure:
    """The charts of one metric under one protocol over ``n`` items: three where restored and input are
    both known, else the distribution of its one subject."""

    measure: Measure
    protocol: str
    n: int
    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Values of a metric for input and restored, and what restoring gained, item by item."""

    measure: Measure
    items: tuple[str, ...]
    source: tuple[float, ...]
    restored: tuple[float, ...]

    @classmethod
    def of(cls, measure: Measure, source: Values, restored: Values) -> Pairing:
        """The items that have both, in order of their ids."""
        items = tuple(sorted(source.keys() & restored.keys()))
        return cls(measure, items, tuple(source[i] for i in items), tuple(restored[i] for i in items))

    @property
    def gains(self) -> tuple[float, ...]:
        values = zip(self.source, self.restored, strict=True)
        return tuple(self.measure.gain(after, over=before) for before, after in values)

    @property
    def few(self) -> bool:
        return len(self.items) <= FEW_ITEMS


def draw_metrics(scores: Iterable[Score]) -> list[MetricFigure]:
    """Figures in the order of the cards; of each metric those of the protocols with the most items."""
    subjects: dict[_Key, dict[str, Values]] = {}
    for (metric, subject, protocol), values in group_scores(scores).items():
        subjects.setdefault((metric, protocol), {})[subject] = values
    figures = []
    for _, group in groupby(sorted(subjects, key=lambda key: _order(key, subjects[key])), key=_metric):
        figures += [_draw_metric(*key, subjects[key]) for key in list(group)[:MOST_PROTOCOLS]]
    return figures


def draw_scatter(pairing: Pairing, *, label: str) -> Markup:
    """A square chart of restored against input with the line where nothing changed; dots of the items that
    lost are marked."""
    axis = _common_axis(pairing)
    dots = _draw_dots(pairing, axis) if pairing.few else _draw_clouds(pairing, axis)
    parts = [*charts.ticks_up(axis), *charts.ticks_along(axis, wanted=5), _IDENTITY, *dots]
    name = pairing.measure.full_name
    titles = Titles(f"Input, {name}", f"Restored, {name}")
    return charts.draw_chart(parts, label=label, style="numbered square", titles=titles)


def draw_gains(pairing: Pairing, *, label: str) -> Markup:
    """What restoring gained, worst first: a bar for each item; for very many the areas below and above 0."""
    if pairing.few:
        return _draw_gain_bars(pairing, label=label)
    gains = sorted(pairing.gains)
    axis, scale = (0.0, float(len(gains))), charts.scale_of(gains)
    drawn = [
        charts.draw_trace(points, axis=axis, scale=scale, style=f"area {style}")
        for style, points in _areas(gains).items()
    ]
    parts = [*charts.ticks_up(scale), *drawn, charts.zero_line(scale)]
    return charts.draw_chart(parts, label=label, style="plain", titles=_gain_titles(pairing))


def draw_spreads(items: Sequence[ReportItem], pictures: Sequence[PictureSpec], limits: Limits) -> list[Chart]:
    """The distribution of the values of maps, one chart for each kind of map, in the colours of its scale;
    every item weighs the same, values beyond the scale are counted at its end."""
    charts_of = []
    for spec in pictures:
        digests = [item.digests[spec.name] for item in items if spec.name in item.digests]
        if of_kind := [digest for digest in digests if digest.kind == spec.scale]:
            charts_of.append(_draw_spread(spec, of_kind, limits[spec.scale]))
    return charts_of


def _metric(key: _Key) -> str:
    return key[0]


def _order(key: _Key, subjects: Mapping[str, Values]) -> tuple[tuple[int, int, str], bool, int, bool, str]:
    metric, protocol = key
    named, most = is_named(protocol.variant), max(map(len, subjects.values()))
    return order_of_metric(metric), named, -most, protocol.alignment != ALIGNMENT, protocol.name


def _draw_metric(metric: str, protocol: ScoringProtocol, subjects: Mapping[str, Values]) -> MetricFigure:
    measure = measure_of(metric)
    pairing = Pairing.of(measure, subjects.get("input", {}), subjects.get("restored", {}))
    if measure.better and pairing.items:
        drawn = (_chart_distribution(pairing), _chart_scatter(pairing), _chart_gains(pairing))
        return MetricFigure(measure, protocol.name, len(pairing.items), drawn)
    subject = "restored" if "restored" in subjects else min(subjects)
    values = subjects[subject]
    return MetricFigure(measure, protocol.name, len(values), (_chart_alone(measure, subject, values),))


def _chart_alone(measure: Measure, subject: str, values: Values) -> Chart:
    listed = sorted(values.values())
    middle, low, high = (measure.show(value) for value in (median(listed), listed[0], listed[-1]))
    note = f"Median {middle}, from {low} to {high}"
    label = f"{measure.label} of {name_subject(subject).lower()}, {count_items(len(listed))}. {note}"
    drawing = (
        charts.draw_histogram(listed, label=label, title=measure.full_name)
        if len(listed) > MOST_DOTS
        else charts.draw_dots(
            {name_subject(subject): _list_dots(measure, values)}, label=label, title=measure.full_name
        )
    )
    return Chart(measure.label, f"Items by {measure.full_name}", note, drawing)


def _chart_distribution(pairing: Pairing) -> Chart:
    measure = pairing.measure
    middles = (measure.show(median(values)) for values in (pairing.source, pairing.restored))
    note = "Median {} input, {} restored".format(*middles)
    label = f"Distribution of {measure.label}, {count_items(len(pairing.items))}. {note}"
    if len(pairing.items) <= MOST_DOTS:
        sides = {"Input": pairing.source, "Restored": pairing.restored}
        rows = {n: _list_dots(measure, dict(zip(pairing.items, v, strict=True))) for n, v in sides.items()}
        drawing = charts.draw_dots(rows, label=label, title=measure.full_name)
        return Chart("Distribution", "A dot for each item", note, drawing)
    drawing = charts.draw_histogram(pairing.source, pairing.restored, label=label, title=measure.full_name)
    return Chart("Distribution", f"Items by {measure.full_name}; bars input, outline restored", note, drawing)


def _list_dots(measure: Measure, values: Values) -> list[Dot]:
    return [Dot(value, item, f"{item}: {measure.show(value)}") for item, value in sorted(values.items())]


def _chart_scatter(pairing: Pairing) -> Chart:
    side = "Below" if pairing.measure.better == "lower" else "Above"
    improved = sum(gain > 0 for gain in pairing.gains)
    note = f"{improved} of {count_items(len(pairing.items))} improved"
    label = f"{pairing.measure.label} of restored against input, item by item. {note}"
    drawing = draw_scatter(pairing, label=label)
    return Chart("Restored against input", f"{side} the line is better", note, drawing)


def _chart_gains(pairing: Pairing) -> Chart:
    measure, gains = pairing.measure, pairing.gains
    middle, low, high = (measure.show_gain(gain) for gain in (median(gains), min(gains), max(gains)))
    note = f"Median {middle}, from {low} to {high}"
    label = f"Gains of {measure.label}, {count_items(len(gains))}, worst first. {note}"
    axes = f"Gain in {measure.full_name}, worst first"
    return Chart("Gains, sorted", axes, note, draw_gains(pairing, label=label))


def _common_axis(pairing: Pairing) -> Axis:
    """One axis for both directions, 6 % longer at each end so that no dot is cut by the frame."""
    values = (*pairing.source, *pairing.restored)
    margin = (max(values) - min(values)) * 0.06 or max(abs(max(values)) * 1e-3, 1e-6)
    return min(values) - margin, max(values) + margin


def _draw_dots(pairing: Pairing, axis: Axis) -> list[Markup]:
    show = pairing.measure.show
    values = zip(pairing.items, pairing.source, pairing.restored, pairing.gains, strict=True)
    return [
        charts.draw_dot(
            _style(gain),
            charts.along(before, axis),
            charts.up(after, axis),
            item,
            f"{item}: {show(before)} to {show(after)}",
        )
        for item, before, after, gain in values
    ]


def _draw_clouds(pairing: Pairing, axis: Axis) -> list[Markup]:
    clouds: dict[str, list[Point]] = {}
    for before, after, gain in zip(pairing.source, pairing.restored, pairing.gains, strict=True):
        clouds.setdefault(_style(gain), []).append((before, after))
    return [
        charts.draw_cloud(points, axis=axis, scale=axis, style=f"cloud {style}")
        for style, points in sorted(clouds.items())
    ]


def _draw_gain_bars(pairing: Pairing, *, label: str) -> Markup:
    ranked = sorted(zip(pairing.gains, pairing.items, strict=True))
    margin = max(0, FEWEST_SLOTS - len(ranked)) / 2
    show = pairing.measure.show_gain
    bars = [
        Bar(n + 0.1, n + 0.9, gain, f"{item}: {show(gain)}", f"bar {_style(gain)}", item=item)
        for n, (gain, item) in enumerate(ranked)
    ]
    axis = (-margin, len(ranked) + margin)
    return charts.draw_bars(bars, label=label, axis=axis, numbered=False, titles=_gain_titles(pairing))


def _gain_titles(pairing: Pairing) -> Titles:
    return Titles("Items, worst first", f"Gain, {pairing.measure.unit or pairing.measure.label}")


def _areas(gains: Sequence[float]) -> dict[str, list[Point]]:
    """Outlines, from base line to base line, of the sorted gains below zero and of the others; a point for
    each place that can be told apart."""
    lost = sum(gain < 0 for gain in gains)
    parts = {"worse": range(lost), "better": range(lost, len(gains))}
    step = max(1, len(gains) // charts.PATH_SIDE)
    return {
        style: [
            (part.start, 0.0),
            *((n + 0.5, gains[n]) for n in sorted({*part[::step], part[-1]})),
            (part.stop, 0.0),
        ]
        for style, part in parts.items()
        if part
    }


def _style(gain: float) -> str:
    return "worse" if gain < 0 else "better"


def _draw_spread(spec: PictureSpec, digests: Sequence[MapDigest], limit: float) -> Chart:
    unit = f" {spec.unit}" if spec.unit else ""
    bars = _spread_bars(digests, spec, unit, limit)
    middle = charts.show_number(round(sum(digest.p50 for digest in digests) / len(digests), 2))
    note = f"Median {middle}{unit}, mean over {count_items(len(digests))}"
    title = spec.quantity or spec.title
    label, axis = f"{title}: {note}", (min(bar.low for bar in bars), max(bar.high for bar in bars))
    titles = Titles(spec.unit or spec.title, "Pixels")
    drawing = charts.draw_bars(
        bars, label=label, axis=axis, numbered=True, show=charts.show_share, titles=titles
    )
    return Chart(
        title, "Share of pixels by value" + (f": {spec.meaning}" if spec.meaning else unit), note, drawing
    )


def _spread_bars(digests: Sequence[MapDigest], spec: PictureSpec, unit: str, reach: float) -> list[Bar]:
    shares, step = _pool_shares(digests, reach)
    low = -reach if spec.is_signed else 0.0
    return [
        Bar(
            (n - 0.5) * step,
            (n + 0.5) * step,
            share,
            f"{charts.show_number(n * step)}{unit}: {share:.1%} of pixels",
            fill=colour_at((n * step - low) / (reach - low), spec),
        )
        for n, share in sorted(shares.items())
    ]


def _pool_shares(digests: Sequence[MapDigest], reach: float) -> tuple[dict[int, float], float]:
    """Mean shares of all digests, in bins wide enough that there are few; values beyond every colour
    scale are counted at its end."""
    widest = max(digest.step for digest in digests)
    step = widest * max(1, math.ceil(2 * reach / widest / MOST_SPREAD_BARS))
    last = round(reach / step)
    pooled: dict[int, float] = {}
    for digest in digests:
        for bin_, share in digest.shares.items():
            n = min(max(round(bin_ * digest.step / step), -last), last)
            pooled[n] = pooled.get(n, 0.0) + share / len(digests)
    return pooled, step
