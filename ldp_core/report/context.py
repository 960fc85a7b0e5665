"""Everything the template prints, made from the run and its items. No markup, no styling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from ldp_core.archive import stage_key
from ldp_core.metrics.fidelity import ALIGNMENT
from ldp_core.report.baselines import compare_baselines
from ldp_core.report.blur_spread import draw_blur_charts
from ldp_core.report.columns import name_column
from ldp_core.report.comparisons import draw_metrics
from ldp_core.report.dataset import Fact
from ldp_core.report.measures import Family, Measure, measure_of, order_of_metric
from ldp_core.report.model import ReportItem
from ldp_core.report.pictures import TONE_NOTE
from ldp_core.report.summary import MetricCard, build_cards
from ldp_core.report.table import build_table
from ldp_core.report.viewer import describe_viewer
from ldp_core.types import RunSummary, ScoringProtocol, StageSpec

LISTED_ITEMS: Final = 2000
TOTAL: Final = "total"
STAGES: Final = ("ingest", "read", "blur", "deblur", "baseline", "score", "write")
SECTIONS: Final[Mapping[Family, str]] = {
    "fidelity": "Against the target",
    "reblur": "Without a target",
    "blur_map": "Blur map against its truth",
    "agreement": "Detection beside the measured blur; neither is the truth",
    "other": "Other scores",
}


@dataclass(frozen=True, slots=True)
class StageTime:
    """Seconds of one stage, and its share of the longest."""

    name: str
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class ProtocolUse:
    """A protocol, the metrics taken under it and over how many items."""

    protocol: ScoringProtocol
    metrics: str
    items: int


def build_context(
    run: RunSummary, items: Sequence[ReportItem], *, facts: Sequence[Fact], records: Sequence[str]
) -> dict[str, Any]:
    """The values of the template, by name."""
    table = build_table(items, limit=LISTED_ITEMS)
    cards = build_cards(run.metrics, items)
    figures = draw_metrics(score for item in items for score in item.scores)
    return {
        "run": run,
        "facts": facts,
        "records": records,
        "created": show_moment(run.created),
        "lead": state_result(cards, run),
        "single_views": state_single_views(run, items),
        "mixed": len({item.single_view for item in items}) > 1,
        "baselines": compare_baselines(run, items),
        "sections": [(SECTIONS[family], list(group)) for family, group in groupby(cards, key=_family)],
        "times": list_times(run.seconds),
        "total_time": show_seconds(run.seconds[TOTAL]) if TOTAL in run.seconds else "",
        "table": table,
        "ranking": table.ranking,
        "listed": len(table.rows),
        "all_items": len(items),
        "figures": [figure for figure in figures if len(figure.charts) > 1],
        "charts": [f.charts[0] for f in figures if len(f.charts) == 1] + draw_blur_charts(items),
        "protocols": list_protocols(items),
        "measures": list_measures(run, items),
        "stages": list_stages(run),
        "tone_note": TONE_NOTE,
        "viewer": describe_viewer(table),
        "name_column": name_column,
    }


def state_result(cards: Sequence[MetricCard], run: RunSummary) -> tuple[str, str]:
    """The result in one sentence, and its verdict, as in :class:`~ldp_core.report.summary.MeanRow`."""
    if run.items.total == 0:
        return "The dataset holds no items; nothing was computed.", ""
    for card in cards:
        restored = next((row for row in card.blocks[0].rows if row.subject == "restored" and row.gain), None)
        if restored is not None:
            gain = f"{restored.gain} {card.measure.unit}".strip()
            says = {
                "better": f"Restored images gain {gain} {card.measure.label} over their input",
                "worse": f"Restored images are below their input: {gain} {card.measure.label}",
                "unclear": f"Restored images cannot be told from their input: {gain} {card.measure.label}",
                "few": f"Too few items to claim that restored images gain {gain} {card.measure.label}",
            }[restored.verdict]
            items = "1 item" if restored.n == 1 else f"{restored.n} items"
            shift = f", {ALIGNMENT}" if card.blocks[0].aligned else ""
            return f"{says} (95 % interval {restored.gain_interval}, {items}{shift}).", restored.verdict
    return "No item could be compared with its input.", ""


def state_single_views(run: RunSummary, items: Sequence[ReportItem]) -> str:
    """How many items have one view only, and what restored them; empty where none has."""
    singles = sum(item.single_view for item in items)
    methods = {spec.stage: spec.method for spec in run.single_stages}
    if not singles or "deblur" not in methods:
        return ""
    count = "Every item is a single view" if singles == len(items) else f"{singles:,} of {len(items):,} items"
    verb = "" if singles == len(items) else " are single views" if singles > 1 else " is a single view"
    return f"{count}{verb}: restored by {methods['deblur']}, blur maps by {methods['blur']}."


def list_stages(run: RunSummary) -> list[tuple[StageSpec, str, str]]:
    """Every stage with its key; the last says which items it was for, where there were two kinds."""
    apart = bool(run.stages) and bool(run.single_stages)
    marked = [(spec, "pairs" if apart and spec not in run.single_stages else "") for spec in run.stages]
    others = [spec for spec in run.single_stages if spec not in run.stages]
    marked += [(spec, "single views" if apart else "") for spec in others]
    return [(spec, stage_key(spec), mark) for spec, mark in marked]


def list_times(seconds: Mapping[str, float]) -> list[StageTime]:
    """The stages' times in the order of the work, others after them; the total is shown apart."""
    names = [name for name in STAGES if name in seconds]
    names += [name for name in seconds if name not in (*STAGES, TOTAL)]
    stages = {name: seconds[name] for name in names}
    longest = max(stages.values(), default=0.0) or 1.0
    return [StageTime(name, show_seconds(value), value / longest) for name, value in stages.items()]


def list_protocols(items: Sequence[ReportItem]) -> list[ProtocolUse]:
    """The protocols of all scores, those of the most items first."""
    items_of: dict[ScoringProtocol, set[str]] = {}
    metrics_of: dict[ScoringProtocol, set[str]] = {}
    for item in items:
        for score in item.scores:
            items_of.setdefault(score.protocol, set()).add(item.id)
            metrics_of.setdefault(score.protocol, set()).add(score.metric)
    uses = (
        ProtocolUse(protocol, ", ".join(_labels(metrics_of[protocol])), len(of_protocol))
        for protocol, of_protocol in items_of.items()
    )
    return sorted(uses, key=lambda use: (-use.items, use.protocol.name))


def list_measures(run: RunSummary, items: Sequence[ReportItem]) -> list[Measure]:
    """Every metric in the report that has an explanation, in order."""
    metrics = {mean.metric for mean in run.metrics} | {
        score.metric for item in items for score in item.scores
    }
    return [m for m in map(measure_of, sorted(metrics, key=order_of_metric)) if m.meaning]


def show_seconds(seconds: float) -> str:
    """A duration for people: ``0.42 s``, ``3 min 05 s``, ``2 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def show_moment(text: str) -> str:
    """An ISO 8601 moment for people; any other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".strip()


def _labels(metrics: set[str]) -> list[str]:
    return [measure_of(metric).label for metric in sorted(metrics, key=order_of_metric)]


def _family(card: MetricCard) -> Family:
    return card.measure.family
