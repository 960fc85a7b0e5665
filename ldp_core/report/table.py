"""The table of items: rows worst first, within like conditions only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from ldp_core.report.columns import (
    GAIN,
    ColumnGroup,
    Definition,
    Values,
    build_columns,
    conditions_of,
    values_of,
)
from ldp_core.report.model import ReportItem

Badness = tuple[int, float]
Mark = Literal["plain", "better", "worse"]


@dataclass(frozen=True, slots=True)
class Cell:
    """A number, if there is one, and how it compares with the input."""

    value: float | None = None
    mark: Mark = "plain"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One item; ``cells`` has one tuple for each column group, ``badness`` sorts the worst first."""

    item: ReportItem
    conditions: str
    badness: Badness
    cells: tuple[tuple[Cell, ...], ...]
    worse: bool


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Items scored under like conditions, worst first; never ranked against another group."""

    conditions: str
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True)
class ItemTable:
    """Column groups, and rows in groups of like conditions, the largest first."""

    columns: tuple[ColumnGroup, ...]
    groups: tuple[RowGroup, ...]

    @property
    def ranking(self) -> tuple[ColumnGroup, str] | None:
        """The column group and the subject in it by which the rows stand in order, if it is one."""
        by = {row.badness[0] for row in self.rows} - {len(self.columns)}
        if len(by) != 1:
            return None
        group = self.columns[by.pop()]
        return group, GAIN if group.definition.measure.family == "fidelity" else "restored"

    @property
    def rows(self) -> list[TableRow]:
        return [row for group in self.groups for row in group.rows]


def build_table(items: Sequence[ReportItem], *, limit: int) -> ItemTable:
    """The table of all items; of each group only the worst are kept, about ``limit`` rows together."""
    columns = build_columns(items)
    ranked = sorted(((conditions_of(i), _badness(values_of(i), columns), i.id, i) for i in items), key=_rank)
    share = min(1.0, limit / max(len(items), 1))
    groups = [
        _build_group(name, [(item, badness) for _, badness, _, item in group], columns, share)
        for name, group in groupby(ranked, key=lambda entry: entry[0])
    ]
    return ItemTable(tuple(columns), tuple(sorted(groups, key=lambda group: -len(group.rows))))


def _rank(entry: tuple[str, Badness, str, ReportItem]) -> tuple[str, Badness, str]:
    return entry[:3]


def _build_group(
    conditions: str,
    ranked: Sequence[tuple[ReportItem, Badness]],
    columns: Sequence[ColumnGroup],
    share: float,
) -> RowGroup:
    kept = ranked[: max(1, int(len(ranked) * share))]
    return RowGroup(
        conditions, tuple(_build_row(item, conditions, badness, columns) for item, badness in kept)
    )


def _build_row(
    item: ReportItem, conditions: str, badness: Badness, columns: Sequence[ColumnGroup]
) -> TableRow:
    number, gain = badness
    fidelity = number < len(columns) and columns[number].definition.measure.family == "fidelity"
    return TableRow(item, conditions, badness, _build_cells(item, columns), worse=fidelity and gain < 0)


def _build_cells(item: ReportItem, columns: Sequence[ColumnGroup]) -> tuple[tuple[Cell, ...], ...]:
    values = values_of(item)
    return tuple(
        tuple(_build_cell(values.get(g.definition, {}), g.definition, subject) for subject in g.subjects)
        for g in columns
    )


def _build_cell(values: Values, definition: Definition, subject: str) -> Cell:
    """One number of an item; worse than the input is marked."""
    measure = definition.measure
    if subject == GAIN:
        gain = definition.gain(values)
        return Cell() if gain is None else Cell(gain, "worse" if gain < 0 else "better")
    if (value := values.get(subject)) is None:
        return Cell()
    source = values.get("input", value)
    worse = bool(measure.better) and measure.gain(value, over=source) < 0
    return Cell(value, "worse" if worse else "plain")


def _badness(values: Mapping[Definition, Values], columns: Sequence[ColumnGroup]) -> Badness:
    """Sort key, worst first: by gain where there is a target, else by reblur score, else last. Items
    ranked by one definition stay together, since two definitions do not compare."""
    for number, definition in enumerate(group.definition for group in columns):
        of_subject = values.get(definition, {})
        gain = definition.gain(of_subject)
        if definition.measure.family == "fidelity" and gain is not None:
            return number, gain
        if definition.measure.family == "reblur" and "restored" in of_subject:
            return number, definition.measure.gain(of_subject["restored"], over=0.0)
    return len(columns), 0.0
