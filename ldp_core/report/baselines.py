"""What a run's restoration is worth beside other methods that restored the same items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from markupsafe import Markup

from ldp_core.deblur import DEBLURRERS
from ldp_core.metrics.bootstrap import Interval
from ldp_core.metrics.fidelity import ALIGNMENT
from ldp_core.metrics.summary import MeanDifference, compare_with
from ldp_core.report.measures import Measure, measure_of, order_of_metric
from ldp_core.report.model import ReportItem
from ldp_core.report.plots import draw_interval
from ldp_core.types import BASELINE, RunSummary, StageSpec

Verdict = Literal["better", "worse", "unclear", "few"]
_HEADLINE: Final = "psnr_db"
_RESTORED: Final = "restored"


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """Restored minus a baseline by one metric, under one protocol; positive where restored is better."""

    label: str
    unit: str
    protocol: str
    n: int
    gain: str
    interval: str
    verdict: Verdict
    chart: Markup


@dataclass(frozen=True, slots=True)
class BaselineCard:
    """A baseline: what it says in a sentence, and a row for each metric and protocol."""

    name: str
    sentence: str
    verdict: Verdict | Literal[""]
    rows: tuple[BaselineRow, ...]


def compare_baselines(run: RunSummary, items: Sequence[ReportItem]) -> list[BaselineCard]:
    """A card for each baseline of a run, over the items that both restored."""
    names = (s.method for s in (*run.stages, *run.single_stages) if s.stage == BASELINE)
    return [_compare(name, run.stages, items) for name in dict.fromkeys(names)]


def _compare(name: str, stages: Sequence[StageSpec], items: Sequence[ReportItem]) -> BaselineCard:
    scores = [score for item in items for score in item.scores if score.subject in (_RESTORED, name)]
    differences = sorted(
        (d for d in compare_with(scores, baseline=name) if measure_of(d.metric).better), key=_rank
    )
    if not differences or differences[0].metric != _HEADLINE:
        return BaselineCard(name, f"No item could be compared with {name}.", "", ())
    ours = next((spec.method for spec in stages if spec.stage == "deblur"), _RESTORED)
    second_view = DEBLURRERS.views_of(name) == 1 and DEBLURRERS.views_of(ours) == 2
    sentence = _state(differences[0], ours=ours, name=name, second_view=second_view)
    return BaselineCard(name, sentence, _judge(differences[0]), tuple(map(_build_row, differences)))


def _rank(difference: MeanDifference) -> tuple[tuple[int, int, str], int, bool, str]:
    """By metric; then those of the most items, and after a shift search, first."""
    aligned = ALIGNMENT in difference.protocol
    return order_of_metric(difference.metric), -difference.n, not aligned, difference.protocol


def _state(difference: MeanDifference, *, ours: str, name: str, second_view: bool) -> str:
    """The difference in words, with its interval and what it rests on."""
    measure, verdict = measure_of(difference.metric), _judge(difference)
    gain, low, high = _gains(difference, measure)
    worth = f"{measure.show_gain(gain)} {measure.unit} {measure.label}"
    says = _SECOND_VIEW[verdict] if second_view else _OTHER[verdict]
    terms = f"{ours}, both views, minus {name}, one view" if second_view else f"{ours} minus {name}"
    items = "1 item" if difference.n == 1 else f"{difference.n} items"
    shift = f", {ALIGNMENT}" if ALIGNMENT in difference.protocol else ""
    interval = f"95 % paired interval {measure.show_gain(low)} to {measure.show_gain(high)}"
    return f"{says.format(worth=worth, name=name)} ({terms}; {interval}, {items}{shift})."


_SECOND_VIEW: Final[dict[Verdict, str]] = {
    "better": "The second view was worth {worth}",
    "worse": "The second view was worth nothing: {worth}",
    "unclear": "What the second view was worth cannot be told from noise: {worth}",
    "few": "Too few items to claim what the second view was worth: {worth}",
}
_OTHER: Final[dict[Verdict, str]] = {
    "better": "Restored images are better than those of {name}: {worth}",
    "worse": "Restored images are below those of {name}: {worth}",
    "unclear": "Restored images cannot be told from those of {name}: {worth}",
    "few": "Too few items to tell restored images from those of {name}: {worth}",
}


def _build_row(difference: MeanDifference) -> BaselineRow:
    measure = measure_of(difference.metric)
    gain, low, high = _gains(difference, measure)
    reach = max(abs(low), abs(high)) * 1.08 or 1.0
    return BaselineRow(
        label=measure.label,
        unit=measure.unit,
        protocol=difference.protocol,
        n=difference.n,
        gain=measure.show_gain(gain),
        interval=f"{measure.show_gain(low)} to {measure.show_gain(high)}",
        verdict=_judge(difference),
        chart=draw_interval((low, gain, high), axis=(-reach, reach), mark=0.0),
    )


def _gains(difference: MeanDifference, measure: Measure) -> tuple[float, float, float]:
    """Mean, lower and upper bound, positive where restored is better."""
    low, high = sorted(measure.gain(bound, over=0.0) for bound in (difference.low, difference.high))
    return measure.gain(difference.mean, over=0.0), low, high


def _judge(difference: MeanDifference) -> Verdict:
    certain = Interval(difference.mean, difference.low, difference.high).excludes_zero
    if not difference.claimed:
        return "few" if certain else "unclear"
    return "better" if measure_of(difference.metric).gain(difference.mean, over=0.0) > 0 else "worse"
