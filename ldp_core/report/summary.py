"""The results of a run in figures: cards of means, differences to the input and to baselines, a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

from markupsafe import Markup

from ldp_core.deblur import DEBLURRERS
from ldp_core.metrics.bootstrap import Interval
from ldp_core.metrics.fidelity import ALIGNMENT
from ldp_core.metrics.groups import GroupMean, find_groups, summarise_groups
from ldp_core.metrics.summary import MeanDifference, compare_with
from ldp_core.protocols import is_named
from ldp_core.report.charts import Axis, draw_interval
from ldp_core.report.measures import (
    Measure,
    count_items,
    measure_of,
    name_subject,
    order_of_metric,
    order_of_subject,
)
from ldp_core.report.model import PAIR, ReportItem, stages_by_route
from ldp_core.types import BASELINE, MeanScore, RunSummary, StageSpec

Verdict = Literal["better", "worse", "unclear", "few"]
Gains = Mapping[tuple[str, str, str], "Gain"]
"""By metric, protocol and subject."""

_HEADLINE: Final = "psnr_db"
_RESTORED: Final = "restored"
_PADDING: Final = 0.08
"""Free share at the ends of an interval's axis, so that no end of an interval lies on the frame."""


@dataclass(frozen=True, slots=True)
class Gain:
    """A mean difference with its 95 % interval, turned so that positive is better.

    ``verdict`` is ``better`` or ``worse`` where that can be claimed, else ``unclear`` (the interval holds
    0) or ``few`` (it does not, but rests on too few items to claim a difference).
    """

    measure: Measure
    mean: float
    low: float
    high: float
    verdict: Verdict

    @classmethod
    def of(cls, difference: MeanDifference) -> Gain:
        """The gain of a difference by the measure of its metric."""
        measure = measure_of(difference.metric)
        bounds = (difference.low, difference.high)
        low, high = sorted(measure.gain(bound, over=0.0) for bound in bounds)
        mean = measure.gain(difference.mean, over=0.0)
        verdict: Verdict = "better" if mean > 0 else "worse"
        if not difference.claimed:
            verdict = "few" if Interval(mean, low, high).excludes_zero else "unclear"
        return cls(measure, mean, low, high, verdict)

    @property
    def text(self) -> str:
        """The mean with its sign, without the unit."""
        return self.measure.show_gain(self.mean)

    @property
    def amount(self) -> str:
        """The mean with its sign, the unit and the metric."""
        return " ".join(part for part in (self.text, self.measure.unit, self.measure.label) if part)

    @property
    def interval(self) -> str:
        """The bounds with their signs."""
        return f"{self.measure.show_gain(self.low)} to {self.measure.show_gain(self.high)}"

    @property
    def chart(self) -> Markup:
        """The interval on an axis that is symmetric about a mark at 0."""
        reach = max(abs(self.low), abs(self.high)) * (1 + _PADDING) or 1.0
        return draw_interval((self.low, self.mean, self.high), axis=(-reach, reach), mark=0.0)


@dataclass(frozen=True, slots=True)
class MeanRow:
    """One method's mean, and whether it is the best of its block. ``gain`` is the paired mean gain over the
    input; ``verdict`` is empty where there is none, and ``worse`` as soon as the mean is below the input,
    claimed or not."""

    subject: str
    label: str
    mean: str
    interval: str
    n: int
    chart: Markup
    gain: Gain | None = None
    best: bool = False

    @property
    def verdict(self) -> str:
        if self.gain is None:
            return ""
        return "worse" if self.gain.mean < 0 else self.gain.verdict


@dataclass(frozen=True, slots=True)
class ProtocolBlock:
    """The means taken under one protocol; nothing in a block is compared with another."""

    protocol: str
    rows: tuple[MeanRow, ...]

    @property
    def n(self) -> int:
        return max(row.n for row in self.rows)

    @property
    def aligned(self) -> bool:
        """Whether its scores are taken after a shift search."""
        return ALIGNMENT in self.protocol

    @property
    def has_gains(self) -> bool:
        return any(row.gain for row in self.rows)


@dataclass(frozen=True, slots=True)
class MetricCard:
    """A metric with its protocols: those of the most items first, then those after a shift search."""

    measure: Measure
    blocks: tuple[ProtocolBlock, ...]

    @property
    def alone(self) -> bool:
        """Whether there is nothing to compare: one subject only in every block."""
        return all(len(block.rows) == 1 for block in self.blocks)


@dataclass(frozen=True, slots=True)
class BaselineRow:
    """Restored minus a baseline by one metric, under one protocol, over ``n`` items."""

    protocol: str
    n: int
    gain: Gain


@dataclass(frozen=True, slots=True)
class BaselineCard:
    """A baseline: what it says in a sentence, and a row for each metric and protocol."""

    name: str
    sentence: str
    verdict: Verdict | Literal[""]
    rows: tuple[BaselineRow, ...]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """The restored items of one group under one protocol: their mean, and their mean gain over the input."""

    column: str
    value: str
    protocol: str
    n: int
    mean: str
    interval: str
    gain: Gain | None


@dataclass(frozen=True, slots=True)
class GroupTable:
    """The groups of one column of metadata, by one metric."""

    column: str
    measure: Measure
    rows: tuple[GroupRow, ...]


def build_cards(means: Sequence[MeanScore], items: Sequence[ReportItem]) -> list[MetricCard]:
    """Cards in the order a reader wants them: fidelity, reblur, blur map, others."""
    compared = compare_with(score for item in items for score in item.scores)
    gains = {(d.metric, d.protocol, d.subject): Gain.of(d) for d in compared if measure_of(d.metric).better}
    ordered = sorted(means, key=_order)
    by_metric = groupby(ordered, key=lambda m: m.metric)
    return [_build_card(metric, list(of_metric), gains) for metric, of_metric in by_metric]


def state_result(cards: Sequence[MetricCard], run: RunSummary) -> tuple[str, str]:
    """The result in one sentence, and its verdict, as in :class:`MeanRow`."""
    if run.items.total == 0:
        return "The dataset holds no items; nothing was computed.", ""
    for card in cards:
        block = card.blocks[0]
        for row in block.rows:
            if row.subject == _RESTORED and row.gain:
                says = _RESULTS[row.verdict].format(gain=row.gain.amount)
                shift = f", {ALIGNMENT}" if block.aligned else ""
                terms = f"95 % interval {row.gain.interval}, {count_items(row.n)}{shift}"
                return f"{says} ({terms}).", row.verdict
    return "No item could be compared with its input.", ""


def build_groups(items: Sequence[ReportItem]) -> list[GroupTable]:
    """A table for each column of metadata that parts the items, of the first metric that has a direction."""
    groups = find_groups({item.id: item.metadata for item in items if item.scores})
    means = summarise_groups((score for item in items for score in item.scores), groups)
    usual = (one for one in means if not is_named(one.mean.protocol))
    shown = [one for one in usual if one.mean.subject == _RESTORED and measure_of(one.mean.metric).better]
    if not shown:
        return []
    metric = min({one.mean.metric for one in shown}, key=order_of_metric)
    rows = [_build_group_row(one) for one in shown if one.mean.metric == metric]
    by_column = groupby(rows, key=lambda row: row.column)
    return [GroupTable(column, measure_of(metric), tuple(group)) for column, group in by_column]


def _build_group_row(one: GroupMean) -> GroupRow:
    measure, mean = measure_of(one.mean.metric), one.mean
    return GroupRow(
        column=one.column,
        value=one.value,
        protocol=mean.protocol,
        n=mean.n,
        mean=measure.show(mean.mean),
        interval=f"{measure.show(mean.low)} – {measure.show(mean.high)}",
        gain=None if one.difference is None else Gain.of(one.difference),
    )


def compare_baselines(run: RunSummary, items: Sequence[ReportItem]) -> list[BaselineCard]:
    """A card for each baseline of a run, over the items that both restored."""
    routes = stages_by_route(run)
    names = (spec.method for stages in routes.values() for spec in stages if spec.stage == BASELINE)
    return [_compare(name, routes.get(PAIR, ()), items) for name in dict.fromkeys(names)]


_RESULTS: Final[Mapping[str, str]] = {
    "better": "Restored images gain {gain} over their input",
    "worse": "Restored images are worse than their input: {gain}",
    "unclear": "Restored images do not clearly differ from their input: {gain}",
    "few": "Too few items to claim that restored images gain {gain}",
}
_SECOND_VIEW: Final[Mapping[Verdict, str]] = {
    "better": "The second view was worth {gain}",
    "worse": "The second view was worth nothing: {gain}",
    "unclear": "It is not clear what the second view was worth: {gain}",
    "few": "Too few items to claim what the second view was worth: {gain}",
}
_OTHER: Final[Mapping[Verdict, str]] = {
    "better": "Restored images are better than those of {name}: {gain}",
    "worse": "Restored images are worse than those of {name}: {gain}",
    "unclear": "Restored images do not clearly differ from those of {name}: {gain}",
    "few": "Too few items to claim a difference between restored images and those of {name}: {gain}",
}


def _order(mean: MeanScore) -> tuple[tuple[int, int, str], str, tuple[int, str]]:
    return order_of_metric(mean.metric), mean.protocol, order_of_subject(mean.subject)


def _build_card(metric: str, means: Sequence[MeanScore], gains: Gains) -> MetricCard:
    groups = groupby(means, key=lambda m: m.protocol)
    blocks = [_build_block(protocol, list(group), gains) for protocol, group in groups]
    return MetricCard(measure_of(metric), tuple(sorted(blocks, key=_block_rank)))


def _block_rank(block: ProtocolBlock) -> tuple[bool, int, bool]:
    return is_named(block.protocol), -block.n, not block.aligned


def _build_block(protocol: str, means: Sequence[MeanScore], gains: Gains) -> ProtocolBlock:
    source = next((m.mean for m in means if m.subject == "input"), None)
    low, high = min(m.low for m in means), max(m.high for m in means)
    pad = (high - low) * _PADDING or 1.0
    axis = (low - pad, high + pad)
    best = _find_best(means)
    rows = (
        _build_row(m, axis, mark=source, gain=gains.get((m.metric, protocol, m.subject)), best=m.mean == best)
        for m in means
    )
    return ProtocolBlock(protocol, tuple(rows))


def _find_best(means: Sequence[MeanScore]) -> float | None:
    """The best of several means over the same items; None where they do not compare."""
    measure = measure_of(means[0].metric)
    if not measure.better or len(means) < 2 or len({m.n for m in means}) > 1:
        return None
    return max((m.mean for m in means), key=lambda mean: measure.gain(mean, over=0.0))


def _build_row(mean: MeanScore, axis: Axis, *, mark: float | None, gain: Gain | None, best: bool) -> MeanRow:
    measure = measure_of(mean.metric)
    return MeanRow(
        subject=mean.subject,
        label=name_subject(mean.subject),
        mean=measure.show(mean.mean),
        interval=f"{measure.show(mean.low)} – {measure.show(mean.high)}",
        n=mean.n,
        chart=draw_interval((mean.low, mean.mean, mean.high), axis=axis, mark=mark),
        gain=gain,
        best=best,
    )


def _compare(name: str, stages: Sequence[StageSpec], items: Sequence[ReportItem]) -> BaselineCard:
    scores = [score for item in items for score in item.scores if score.subject in (_RESTORED, name)]
    differences = sorted(
        (d for d in compare_with(scores, baseline=name) if measure_of(d.metric).better), key=_rank
    )
    if not differences or differences[0].metric != _HEADLINE:
        return BaselineCard(name, f"No item could be compared with {name}.", "", ())
    ours = next((spec.method for spec in stages if spec.stage == "deblur"), _RESTORED)
    rows = tuple(BaselineRow(d.protocol, d.n, Gain.of(d)) for d in differences)
    return BaselineCard(name, _state(rows[0], ours=ours, name=name), rows[0].gain.verdict, rows)


def _rank(difference: MeanDifference) -> tuple[tuple[int, int, str], bool, int, bool, str]:
    """By metric; then those of the most items, and after a shift search, first; published protocols last."""
    protocol = difference.protocol
    aligned, metric = ALIGNMENT in protocol, order_of_metric(difference.metric)
    return metric, is_named(protocol), -difference.n, not aligned, protocol


def _state(row: BaselineRow, *, ours: str, name: str) -> str:
    """The difference in words, with its interval and what it rests on."""
    second_view = DEBLURRERS.views_of(name) == 1 and DEBLURRERS.views_of(ours) == 2
    says = (_SECOND_VIEW if second_view else _OTHER)[row.gain.verdict]
    terms = f"{ours}, both views, minus {name}, one view" if second_view else f"{ours} minus {name}"
    shift = f", {ALIGNMENT}" if ALIGNMENT in row.protocol else ""
    interval = f"95 % paired interval {row.gain.interval}, {count_items(row.n)}{shift}"
    return f"{says.format(gain=row.gain.amount, name=name)} ({terms}; {interval})."
