"""Each metric drawn three ways: how input and restored are spread, one against the other, and the gains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from ldp_core.metrics import group_scores
from ldp_core.metrics.fidelity import ALIGNMENT
from ldp_core.report.gains import draw_gains
from ldp_core.report.histograms import draw_histogram
from ldp_core.report.measures import Measure, measure_of, name_subject, order_of_metric
from ldp_core.report.pairing import Pairing
from ldp_core.report.plots import Chart
from ldp_core.report.scatter import draw_scatter
from ldp_core.types import Score, ScoringProtocol

MOST_PROTOCOLS = 2

Values = Mapping[str, float]
Subjects = Mapping[str, Values]


@dataclass(frozen=True, slots=True)
class MetricFigure:
    """The charts of one metric under one protocol over ``n`` items: three where restored and input are
    both known, else how its one subject is spread."""

    measure: Measure
    protocol: str
    n: int
    charts: tuple[Chart, ...]


def draw_metrics(scores: Iterable[Score]) -> list[MetricFigure]:
    """Figures in the order of the cards; of each metric those of the protocols with the most items."""
    subjects: dict[tuple[str, ScoringProtocol], dict[str, Values]] = {}
    for (metric, subject, protocol), values in group_scores(scores).items():
        subjects.setdefault((metric, protocol), {})[subject] = values
    figures = []
    for _, group in groupby(sorted(subjects, key=lambda key: _order(key, subjects[key])), key=_metric):
        figures += [_draw_metric(*key, subjects[key]) for key in list(group)[:MOST_PROTOCOLS]]
    return figures


def _metric(key: tuple[str, ScoringProtocol]) -> str:
    return key[0]


def _order(
    key: tuple[str, ScoringProtocol], subjects: Subjects
) -> tuple[tuple[int, int, str], int, bool, str]:
    metric, protocol = key
    most = max(map(len, subjects.values()))
    return order_of_metric(metric), -most, protocol.alignment != ALIGNMENT, protocol.name


def _draw_metric(metric: str, protocol: ScoringProtocol, subjects: Subjects) -> MetricFigure:
    measure = measure_of(metric)
    pairing = Pairing.of(measure, subjects.get("input", {}), subjects.get("restored", {}))
    if measure.better and pairing.items:
        charts = (_draw_spread(pairing), _draw_pairing(pairing), _draw_gains(pairing))
        return MetricFigure(measure, protocol.name, len(pairing.items), charts)
    subject = "restored" if "restored" in subjects else min(subjects)
    values = subjects[subject]
    return MetricFigure(measure, protocol.name, len(values), (_draw_alone(measure, subject, values),))


def _draw_alone(measure: Measure, subject: str, values: Values) -> Chart:
    listed = sorted(values.values())
    note = (
        f"Median {measure.show(median(listed))}, from {measure.show(listed[0])} to {measure.show(listed[-1])}"
    )
    label = f"{measure.label} of {name_subject(subject).lower()}, {len(listed)} items. {note}"
    return Chart(measure.label, f"Items by {measure.full_name}", note, draw_histogram(listed, label=label))


def _draw_spread(pairing: Pairing) -> Chart:
    measure = pairing.measure
    middles = (measure.show(median(values)) for values in (pairing.source, pairing.restored))
    note = "Median {} input, {} restored".format(*middles)
    label = f"Distribution of {measure.label}, {len(pairing.items)} items. {note}"
    drawing = draw_histogram(pairing.source, pairing.restored, label=label)
    return Chart("Distribution", f"Items by {measure.full_name}; bars input, outline restored", note, drawing)


def _draw_pairing(pairing: Pairing) -> Chart:
    side = "below" if pairing.measure.better == "lower" else "above"
    axes = f"{side.capitalize()} the line is better"
    improved = sum(gain > 0 for gain in pairing.gains)
    note = f"{improved} of {len(pairing.items)} items improved"
    label = f"{pairing.measure.label} of restored against input, item by item. {note}"
    return Chart("Restored against input", axes, note, draw_scatter(pairing, label=label))


def _draw_gains(pairing: Pairing) -> Chart:
    measure, gains = pairing.measure, pairing.gains
    middle, low, high = (measure.show_gain(gain) for gain in (median(gains), min(gains), max(gains)))
    note = f"Median {middle}, from {low} to {high}"
    label = f"Gains of {measure.label}, {len(gains)} items, worst first. {note}"
    axes = f"Gain in {measure.full_name}, worst first"
    return Chart("Gains, sorted", axes, note, draw_gains(pairing, label=label))
