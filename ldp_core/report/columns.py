"""The columns of the table of items: one group for each metric as it is defined, its subjects in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ldp_core.report.measures import Measure, measure_of, name_subject, order_of_metric, order_of_subject
from ldp_core.report.model import ReportItem
from ldp_core.types import Score

GAIN = "\0gain"
SHOWN_COLUMNS = 8
Values = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Definition:
    """A metric and the part of its protocol that is the same for every item."""

    metric: str
    colour: str
    alignment: str
    variant: str

    @property
    def measure(self) -> Measure:
        return measure_of(self.metric)

    @property
    def detail(self) -> str:
        """What sets it apart, such as the alignment; empty for the plain one."""
        parts = (self.alignment, self.variant)
        return ", ".join(part for part in parts if part and part != "none")

    @property
    def aligned(self) -> bool:
        """Whether it is taken after a shift search; done where the target is known to be displaced, so
        there the one without is of less worth."""
        return self.alignment != "none"

    def gain(self, values: Values) -> float | None:
        """How much better restored is than input, or None where one is missing or nothing is better."""
        if not self.measure.better or not {"input", "restored"} <= values.keys():
            return None
        return self.measure.gain(values["restored"], over=values["input"])


@dataclass(frozen=True, slots=True)
class ColumnGroup:
    """The columns of one definition: its subjects, then the gain of restored over input.

    ``detail`` is that of the definition where the metric has several, else empty.
    """

    definition: Definition
    subjects: tuple[str, ...]
    shown: bool
    detail: str = ""

    def worst_of(self, subject: str) -> Literal["ascending", "descending"]:
        """The order that brings the worst of a column to the top."""
        upward = subject == GAIN or self.definition.measure.better == "higher"
        return "ascending" if upward else "descending"


def define(score: Score) -> Definition:
    """The definition a score belongs to."""
    return Definition(score.metric, score.protocol.colour, score.protocol.alignment, score.protocol.variant)


def conditions_of(item: ReportItem) -> str:
    """What the item's scores were taken on: size, bit depth, region; ``not scored`` without scores."""
    if not item.scores:
        return "not scored"
    protocol = item.scores[0].protocol
    return f"{protocol.size}, {protocol.bit_depth} bit, {protocol.region}".removesuffix(", full")


def name_column(subject: str) -> str:
    """A column's heading below that of its metric."""
    return "Gain" if subject == GAIN else name_subject(subject)


def values_of(item: ReportItem) -> dict[Definition, dict[str, float]]:
    """The scores of an item as definition -> subject -> value."""
    values: dict[Definition, dict[str, float]] = {}
    for score in item.scores:
        values.setdefault(define(score), {})[score.subject] = score.value
    return values


def build_columns(items: Sequence[ReportItem]) -> list[ColumnGroup]:
    """The columns of all items; the first few groups are shown, the reader opens the rest."""
    counts: Counter[Definition] = Counter()
    subjects: dict[Definition, set[str]] = {}
    for item in items:
        for definition, values in values_of(item).items():
            counts[definition] += 1
            subjects.setdefault(definition, set()).update(values)
    ordered = sorted(counts, key=lambda d: (_order_definition(d), -counts[d], str(d)))
    return _share_room(
        [(definition, _order_subjects(subjects[definition], definition)) for definition in ordered]
    )


def _order_definition(definition: Definition) -> tuple[int, bool, int, str]:
    """By family; in it those after a shift search first; then by metric."""
    family, place, name = order_of_metric(definition.metric)
    return family, not definition.aligned, place, name


def _share_room(groups: Sequence[tuple[Definition, tuple[str, ...]]]) -> list[ColumnGroup]:
    """Column groups, shown as long as there is room for all so far."""
    columns: list[ColumnGroup] = []
    used = 0
    metrics = Counter(definition.metric for definition, _ in groups)
    for definition, names in groups:
        used += len(names)
        detail = definition.detail if metrics[definition.metric] > 1 else ""
        columns.append(ColumnGroup(definition, names, used <= SHOWN_COLUMNS or not columns, detail))
    return columns


def _order_subjects(subjects: set[str], definition: Definition) -> tuple[str, ...]:
    names = sorted(subjects, key=order_of_subject)
    if {"input", "restored"} <= subjects and definition.measure.better:
        names.insert(names.index("restored") + 1, GAIN)
    return tuple(names)
