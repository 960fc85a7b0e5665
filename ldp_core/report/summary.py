"""Cards of a run's mean scores: one per metric, one block per protocol, every method beside its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from markupsafe import Markup

from ldp_core.metrics.bootstrap import Interval
from ldp_core.metrics.fidelity import ALIGNMENT
from ldp_core.metrics.summary import MeanDifference, compare_with
from ldp_core.report.measures import Measure, measure_of, name_subject, order_of_metric, order_of_subject
from ldp_core.report.model import ReportItem
from ldp_core.report.plots import Axis, draw_interval
from ldp_core.types import MeanScore

Gains = Mapping[tuple[str, str, str], MeanDifference]


@dataclass(frozen=True, slots=True)
class MeanRow:
    """One method's mean. ``gain`` is the paired mean gain over the input, with its interval;
    ``verdict`` is ``better``, ``worse``, ``unclear`` (the interval holds 0), ``few`` (it does not, but
    rests on too few items to claim a difference) or empty (not compared)."""

    subject: str
    label: str
    mean: str
    interval: str
    n: int
    chart: Markup
    gain: str = ""
    gain_interval: str = ""
    verdict: str = ""


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


def build_cards(means: Sequence[MeanScore], items: Sequence[ReportItem]) -> list[MetricCard]:
    """Cards in the order a reader wants them: fidelity, reblur, blur map, others."""
    compared = compare_with(score for item in items for score in item.scores)
    gains = {
        (difference.metric, difference.protocol, difference.subject): difference for difference in compared
    }
    ordered = sorted(
        means, key=lambda m: (order_of_metric(m.metric), m.protocol, order_of_subject(m.subject))
    )
    cards = []
    for metric, of_metric in groupby(ordered, key=lambda m: m.metric):
        groups = groupby(of_metric, key=lambda m: m.protocol)
        blocks = [_build_block(protocol, list(group), gains) for protocol, group in groups]
        cards.append(
            MetricCard(
                measure_of(metric), tuple(sorted(blocks, key=lambda block: (-block.n, not block.aligned)))
            )
        )
    return cards


def _build_block(protocol: str, means: Sequence[MeanScore], gains: Gains) -> ProtocolBlock:
    source = next((m.mean for m in means if m.subject == "input"), None)
    low, high = min(m.low for m in means), max(m.high for m in means)
    pad = (high - low) * 0.08 or 1.0
    axis = (low - pad, high + pad)
    rows = (_build_row(m, axis, mark=source, gain=gains.get((m.metric, protocol, m.subject))) for m in means)
    return ProtocolBlock(protocol, tuple(rows))


def _build_row(mean: MeanScore, axis: Axis, *, mark: float | None, gain: MeanDifference | None) -> MeanRow:
    measure = measure_of(mean.metric)
    row = MeanRow(
        subject=mean.subject,
        label=name_subject(mean.subject),
        mean=measure.show(mean.mean),
        interval=f"{measure.show(mean.low)} – {measure.show(mean.high)}",
        n=mean.n,
        chart=draw_interval((mean.low, mean.mean, mean.high), axis=axis, mark=mark),
    )
    return _with_gain(row, measure, gain) if gain and measure.better else row


def _with_gain(row: MeanRow, measure: Measure, difference: MeanDifference) -> MeanRow:
    """``worse`` as soon as the mean is below the input; ``better`` only where the interval excludes 0."""
    gain, *bounds = (measure.gain(d, over=0.0) for d in (difference.mean, difference.low, difference.high))
    return replace(
        row,
        gain=measure.show_gain(gain),
        gain_interval=" to ".join(measure.show_gain(bound) for bound in sorted(bounds)),
        verdict="worse" if gain < 0 else _judge(difference),
    )


def _judge(difference: MeanDifference) -> str:
    if difference.claimed:
        return "better"
    certain = Interval(difference.mean, difference.low, difference.high).excludes_zero
    return "few" if certain else "unclear"
