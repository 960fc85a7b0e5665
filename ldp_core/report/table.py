"""The table of items: columns by metric, rows worst first within like conditions, as the page and its
script get them."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal
from urllib.parse import quote

from ldp_core.report.charts import show_number
from ldp_core.report.measures import Measure, measure_of, name_subject, order_of_metric, order_of_subject
from ldp_core.report.model import EXTERNAL_PREFIX, PAIR, MapDigest, PictureSpec, ReportItem, name_route
from ldp_core.types import Score

GAIN: Final = "\0gain"
"""The column of a gain; no subject can have this name, since names of methods hold no NUL."""
SHOWN_COLUMNS: Final = 8
"""Columns of scores shown at first: as many as fit a window of 1366 px beside pictures, name and status."""
SIGNIFICANT_DIGITS: Final = 6
"""Of scores in the page: more than any column prints, and a page of 1000 items stays below 1 MB."""
_THUMB: Final = "-thumb"
_SUFFIXES: Final = (".jpg", ".png", ".webp")

Values = Mapping[str, float]
Badness = tuple[int, float]
Mark = Literal["plain", "better", "worse"]


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


@dataclass(frozen=True, slots=True)
class Cell:
    """A number, if there is one, and how it compares with the input."""

    value: float | None = None
    mark: Mark = "plain"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One item; ``cells`` has one tuple for each column group, ``badness`` sorts the worst first."""

    item: ReportItem
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
    """Column groups, and rows in groups of like conditions, the largest first.

    ``ranges``: the titles, by picture name, of the maps whose range of values has a column.
    """

    columns: tuple[ColumnGroup, ...]
    groups: tuple[RowGroup, ...]
    ranges: Mapping[str, str]

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


def build_table(
    items: Sequence[ReportItem], *, limit: int, pictures: Sequence[PictureSpec] = ()
) -> ItemTable:
    """The table of all items; of each group only the worst are kept, about ``limit`` rows together."""
    columns = build_columns(items)
    ranked = sorted(((conditions_of(i), _badness(values_of(i), columns), i.id, i) for i in items), key=_rank)
    share = min(1.0, limit / max(len(items), 1))
    groups = []
    for conditions, group in groupby(ranked, key=lambda entry: entry[0]):
        members = list(group)
        kept = members[: max(1, int(len(members) * share))]
        rows = (_build_row(item, badness, columns) for _, badness, _, item in kept)
        groups.append(RowGroup(conditions, tuple(rows)))
    found = {name for item in items for name in item.digests}
    ranges = {spec.name: spec.title for spec in pictures if spec.is_map and spec.name in found}
    return ItemTable(tuple(columns), tuple(sorted(groups, key=lambda g: -len(g.rows))), ranges)


def _rank(entry: tuple[str, Badness, str, ReportItem]) -> tuple[str, Badness, str]:
    return entry[:3]


def _build_row(item: ReportItem, badness: Badness, columns: Sequence[ColumnGroup]) -> TableRow:
    number, gain = badness
    fidelity = number < len(columns) and columns[number].definition.measure.family == "fidelity"
    return TableRow(item, badness, _build_cells(item, columns), worse=fidelity and gain < 0)


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


def describe_viewer(table: ItemTable, pictures: Sequence[PictureSpec]) -> dict[str, Any]:
    """What the page's script knows, as plain JSON: items in the order of the table, columns, titles.

    An item's pictures lie at ``at``: ``files`` large, in the viewer's order, and ``thumbs`` small.
    """
    items = [
        _describe_item(row, group=n, pictures=pictures)
        for n, group in enumerate(table.groups)
        for row in group.rows
    ]
    titles = {spec.name: spec.title for spec in pictures}
    names = {posixpath.splitext(file)[0] for item in items for file in item["files"]}
    routes = {item["route"] for item in items} - {PAIR}
    return {
        "titles": {name: titles.get(name, name.removeprefix(EXTERNAL_PREFIX)) for name in names},
        "ranges": list(table.ranges),
        "routes": {route: name_route(route) for route in routes},
        "columns": [_describe_columns(group) for group in table.columns],
        "groups": [{"conditions": g.conditions, "count": len(g.rows)} for g in table.groups],
        "items": items,
    }


def _describe_columns(group: ColumnGroup) -> dict[str, Any]:
    measure = group.definition.measure
    return {
        "label": measure.label,
        "unit": measure.unit,
        "detail": group.definition.detail,
        "digits": measure.digits,
        "subjects": [name_column(subject) for subject in group.subjects],
        "gains": [subject == GAIN for subject in group.subjects],
        "shown": group.shown,
    }


def _describe_item(row: TableRow, *, group: int, pictures: Sequence[PictureSpec]) -> dict[str, Any]:
    cells = [cell for cells in row.cells for cell in cells]
    digests = row.item.digests
    described = {
        "id": row.item.id,
        "status": row.item.status,
        "group": group,
        "maps": {
            s.name: _describe_map(digests[s.name], s) for s in pictures if _fits(digests.get(s.name), s)
        },
        "values": [_round(cell) for cell in cells],
        "marks": "".join(cell.mark[0] for cell in cells),
        "worse": row.worse,
        "route": row.item.route,
    }
    return described | _list_pictures(row.item.pictures, pictures)


def _fits(digest: MapDigest | None, spec: PictureSpec) -> bool:
    """Whether a digest is of maps that this describes."""
    return digest is not None and digest.kind == spec.scale


def _describe_map(digest: MapDigest, spec: PictureSpec) -> dict[str, Any]:
    """The range of a map in words and the ends of its colour scale."""
    unit = f" {spec.unit}" if spec.unit else ""
    return {
        "scale": spec.scale,
        "low": show_number(-digest.limit) if spec.is_signed else "0",
        "high": f"{'+' if spec.is_signed else ''}{show_number(digest.limit)}{unit}",
        "range": f"{show_number(round(digest.p05, 2))} to {show_number(round(digest.p95, 2))}{unit}",
        "reach": max(abs(digest.p05), abs(digest.p95)),
    }


def _round(cell: Cell) -> float | None:
    return None if cell.value is None else float(f"{cell.value:.{SIGNIFICANT_DIGITS}g}")


def _list_pictures(files: Mapping[str, str], pictures: Sequence[PictureSpec]) -> dict[str, Any]:
    """The folder of the pictures and the files in it; files that are no pictures are left out."""
    listed = {posixpath.splitext(file)[0]: file for file in files if file.endswith(_SUFFIXES)}
    order = {spec.name: n for n, spec in reversed(list(enumerate(pictures)))}
    large = [name for name in listed if not name.endswith(_THUMB)]
    small = {spec.name + _THUMB: None for spec in pictures if spec.thumbnail}
    folder = posixpath.dirname(next((files[file] for file in listed.values()), ""))
    return {
        "at": f"./{quote(folder)}/",
        "files": [quote(listed[n]) for n in sorted(large, key=lambda n: (order.get(n, len(pictures)), n))],
        "thumbs": [quote(listed[name]) for name in small if name in listed],
    }
