"""The table of items: columns by metric, rows worst first within like conditions, as the page and its
script get them."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, Final, Literal
from urllib.parse import quote

from ldp_core.protocols import is_named
from ldp_core.report.charts import show_number
from ldp_core.report.measures import (
    SUBJECTS,
    Measure,
    measure_of,
    name_subject,
    order_of_metric,
    order_of_subject,
)
from ldp_core.report.model import EXTERNAL_PREFIX, PAIR, MapDigest, PictureSpec, ReportItem, name_route
from ldp_core.report.pictures import name_external
from ldp_core.report.scales import Limits

GAIN: Final = "\0gain:"
"""Begins the column of the gain of a subject; names of methods hold no NUL."""
OWN_GAIN: Final = f"{GAIN}restored"
SHOWN_COLUMNS: Final = 8
"""Columns of scores shown at first: as many as fit a window of 1366 px beside pictures, name and status."""
SIGNIFICANT_DIGITS: Final = 6
"""Of scores in the page: more than any column prints, and a page of 1000 items stays below 1 MB."""
_THUMB: Final = "-thumb"
_SUFFIXES: Final = (".jpg", ".png")

Values = Mapping[str, float]
"""A metric's values by subject."""
Rank = tuple[int, float]
"""By which group of columns an item is ranked, and its value there, the lowest being the worst."""


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

    def gain(self, values: Values, subject: str = "restored") -> float | None:
        """How much better a subject is than input, or None where one is missing or nothing is better."""
        if not self.measure.better or not {"input", subject} <= values.keys():
            return None
        return self.measure.gain(values[subject], over=values["input"])

    def best(self, values: Values) -> float | None:
        """The best value of several subjects; None of one alone, or where nothing is better."""
        if not self.measure.better or len(values) < 2:
            return None
        return max(values.values(), key=lambda value: self.measure.gain(value, over=0.0))


@dataclass(frozen=True, slots=True)
class ColumnGroup:
    """The columns of one definition: its subjects, each method followed by its gain over the input.

    ``detail`` is that of the definition where the metric has several, else empty.
    """

    definition: Definition
    subjects: tuple[str, ...]
    shown: bool
    detail: str = ""

    @property
    def methods(self) -> list[str]:
        """Its subjects that are neither of the run itself nor gains: external results and baselines."""
        return [name for name in self.subjects if name not in SUBJECTS and not name.startswith(GAIN)]

    def worst_of(self, subject: str) -> Literal["ascending", "descending"]:
        """The order that brings the worst of a column to the top."""
        upward = subject.startswith(GAIN) or self.definition.measure.better == "higher"
        return "ascending" if upward else "descending"


@dataclass(frozen=True, slots=True)
class Cell:
    """A number, if there is one, and how it compares with the input; ``top``: the best of its row."""

    value: float | None = None
    mark: Literal["plain", "better", "worse", "top"] = "plain"


@dataclass(frozen=True, slots=True)
class TableRow:
    """One item, its numbers in the order of the columns, and whether it is worse than its input."""

    item: ReportItem
    cells: tuple[Cell, ...]
    rank: Rank
    worse: bool


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Items scored under like conditions, worst first; never ranked against another group.

    Of many items these are the worst, then ``others`` that are not.
    """

    conditions: str
    rows: tuple[TableRow, ...]
    others: int = 0


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
        by = {row.rank[0] for row in self.rows} - {len(self.columns)}
        if len(by) != 1:
            return None
        group = self.columns[by.pop()]
        return group, OWN_GAIN if group.definition.measure.family == "fidelity" else "restored"

    @property
    def rows(self) -> list[TableRow]:
        return [row for group in self.groups for row in group.rows]


def name_column(subject: str) -> str:
    """A column's heading below that of its metric."""
    if subject == OWN_GAIN:
        return "Gain"
    method = subject.removeprefix(GAIN)
    return name_subject(method) if method == subject else f"Gain of {method}"


def build_table(
    items: Sequence[ReportItem], *, limit: int, pictures: Sequence[PictureSpec] = ()
) -> ItemTable:
    """The table of all items; of each group only the worst are kept, about ``limit`` rows together, and
    some of the others that have pictures: a tenth as many at most, so that the page stays small."""
    values = {item.id: _values_of(item) for item in items}
    columns = _build_columns(list(values.values()))
    rows = [_build_row(item, values[item.id], columns) for item in items]
    rows.sort(key=lambda row: (_conditions_of(row.item), row.rank, row.item.id))
    share = min(1.0, limit / max(len(items), 1))
    groups = []
    for conditions, group in groupby(rows, key=lambda row: _conditions_of(row.item)):
        members = tuple(group)
        kept = max(1, int(len(members) * share))
        others = [row for row in members[kept:] if row.item.pictures][: kept // 10 + 1]
        groups.append(RowGroup(conditions, (*members[:kept], *others), len(others)))
    found = {name for item in items for name in item.digests}
    ranges = {spec.name: spec.title for spec in pictures if spec.is_map and spec.name in found}
    return ItemTable(tuple(columns), tuple(sorted(groups, key=lambda g: -len(g.rows))), ranges)


def describe_scale(spec: PictureSpec, limits: Limits) -> dict[str, str] | None:
    """Title and ends of the colour scale of a kind of map, as legends print them; None where none has it."""
    if not spec.is_map or spec.scale not in limits:
        return None
    limit, unit = limits[spec.scale], f" {spec.unit}" if spec.unit else ""
    low = show_number(-limit) if spec.is_signed else "0"
    high = f"{'+' if spec.is_signed else ''}{show_number(limit)}{unit}"
    return {"name": spec.scale, "title": spec.quantity or spec.title, "low": low, "high": high}


def describe_viewer(table: ItemTable, pictures: Sequence[PictureSpec], limits: Limits) -> dict[str, Any]:
    """What the page's script knows, as plain JSON: items in the order of the table, columns, titles.

    An item's pictures lie at ``at``: ``files`` large, in the viewer's order, and ``thumbs`` small.
    """
    items = [
        _describe_item(row, group=n, pictures=pictures, limits=limits)
        for n, group in enumerate(table.groups)
        for row in group.rows
    ]
    titles = {spec.name: spec.title for spec in pictures}
    names = {posixpath.splitext(file)[0] for item in items for file in item["files"]}
    methods = {subject for group in table.columns for subject in group.methods}
    titles |= {name: method for method, name in name_external(methods).items()}
    routes = {item["route"] for item in items} - {PAIR}
    return {
        "titles": {name: titles.get(name, name.removeprefix(EXTERNAL_PREFIX)) for name in names},
        "ranges": list(table.ranges),
        "routes": {route: name_route(route) for route in routes},
        "columns": [_describe_columns(group) for group in table.columns],
        "groups": [{"conditions": g.conditions, "count": len(g.rows)} for g in table.groups],
        "items": items,
    }


def _conditions_of(item: ReportItem) -> str:
    """What the item's scores were taken on: size, bit depth, region; ``not scored`` without scores."""
    if not item.scores:
        return "not scored"
    protocols = [score.protocol for score in item.scores]
    protocol = next((one for one in protocols if not is_named(one.variant)), protocols[0])
    return f"{protocol.size}, {protocol.bit_depth} bit, {protocol.region}".removesuffix(", full")


def _values_of(item: ReportItem) -> dict[Definition, dict[str, float]]:
    values: dict[Definition, dict[str, float]] = {}
    for score in item.scores:
        protocol = score.protocol
        definition = Definition(score.metric, protocol.colour, protocol.alignment, protocol.variant)
        values.setdefault(definition, {})[score.subject] = score.value
    return values


def _build_columns(items: Sequence[Mapping[Definition, Values]]) -> list[ColumnGroup]:
    """The columns of all items; the first are shown as long as there is room, the reader opens the rest."""
    counts = Counter(definition for values in items for definition in values)
    metrics = Counter(definition.metric for definition in counts)
    columns: list[ColumnGroup] = []
    used = 0
    for definition in sorted(counts, key=lambda d: (_order_definition(d), -counts[d], str(d))):
        subjects = _order_subjects({s for values in items for s in values.get(definition, ())}, definition)
        used += len(subjects)
        detail = definition.detail if metrics[definition.metric] > 1 else ""
        columns.append(ColumnGroup(definition, subjects, used <= SHOWN_COLUMNS or not columns, detail))
    return columns


def _order_definition(definition: Definition) -> tuple[int, bool, bool, int, str]:
    """By family, published protocols last, after a shift search (of a displaced target) first, by metric."""
    family, place, name = order_of_metric(definition.metric)
    return family, is_named(definition.variant), definition.alignment == "none", place, name


def _order_subjects(subjects: set[str], definition: Definition) -> tuple[str, ...]:
    names = sorted(subjects, key=order_of_subject)
    if "input" not in subjects or not definition.measure.better:
        return tuple(names)
    return tuple(chain.from_iterable((name,) if name == "input" else (name, GAIN + name) for name in names))


def _build_row(
    item: ReportItem, values: Mapping[Definition, Values], columns: Sequence[ColumnGroup]
) -> TableRow:
    number, value = rank = _rank(values, columns)
    fidelity = number < len(columns) and columns[number].definition.measure.family == "fidelity"
    cells = (
        _build_cell(values.get(group.definition, {}), group.definition, subject)
        for group in columns
        for subject in group.subjects
    )
    return TableRow(item, tuple(cells), rank, worse=fidelity and value < 0)


def _rank(values: Mapping[Definition, Values], columns: Sequence[ColumnGroup]) -> Rank:
    """By gain where there is a target, else by reblur score, else last. Items ranked by one definition
    stay together, since two definitions do not compare."""
    for number, definition in enumerate(group.definition for group in columns):
        of_subject = values.get(definition, {})
        gain = definition.gain(of_subject)
        if definition.measure.family == "fidelity" and gain is not None:
            return number, gain
        if definition.measure.family == "reblur" and "restored" in of_subject:
            return number, definition.measure.gain(of_subject["restored"], over=0.0)
    return len(columns), 0.0


def _build_cell(values: Values, definition: Definition, subject: str) -> Cell:
    """One number of an item; worse than the input is marked."""
    measure = definition.measure
    if subject.startswith(GAIN):
        gain = definition.gain(values, subject.removeprefix(GAIN))
        return Cell() if gain is None else Cell(gain, "worse" if gain < 0 else "better")
    if (value := values.get(subject)) is None:
        return Cell()
    if value == definition.best(values):
        return Cell(value, "top")
    source = values.get("input", value)
    worse = bool(measure.better) and measure.gain(value, over=source) < 0
    return Cell(value, "worse" if worse else "plain")


def _describe_columns(group: ColumnGroup) -> dict[str, Any]:
    measure = group.definition.measure
    return {
        "label": measure.label,
        "unit": measure.unit,
        "detail": group.definition.detail,
        "digits": measure.digits,
        "subjects": [name_column(subject) for subject in group.subjects],
        "gains": [subject.startswith(GAIN) for subject in group.subjects],
        "shown": group.shown,
    }


def _describe_item(
    row: TableRow, *, group: int, pictures: Sequence[PictureSpec], limits: Limits
) -> dict[str, Any]:
    item = row.item
    described = ((spec, item.digests.get(spec.name)) for spec in pictures)
    return {
        "id": item.id,
        "status": item.status,
        "route": item.route,
        "group": group,
        "maps": {
            spec.name: _describe_map(d, spec, limits) for spec, d in described if d and d.kind == spec.scale
        },
        "values": [c.value and float(f"{c.value:.{SIGNIFICANT_DIGITS}g}") for c in row.cells],
        "marks": "".join(cell.mark[0] for cell in row.cells),
        "worse": row.worse,
        **({"name": item.name} if item.name else {}),
    } | _list_pictures(item.pictures, pictures)


def _describe_map(digest: MapDigest, spec: PictureSpec, limits: Limits) -> dict[str, Any]:
    """The range of a map in words and the ends of its colour scale."""
    unit = f" {spec.unit}" if spec.unit else ""
    return {
        "scale": spec.scale,
        **{end: text for end, text in (describe_scale(spec, limits) or {}).items() if end in ("low", "high")},
        "range": f"{show_number(round(digest.p05, 2))} to {show_number(round(digest.p95, 2))}{unit}",
        "reach": max(abs(digest.p05), abs(digest.p95)),
    }


def _list_pictures(files: Mapping[str, str], pictures: Sequence[PictureSpec]) -> dict[str, Any]:
    """The folder of the pictures and the files in it; files that are no pictures are left out."""
    listed = {posixpath.splitext(file)[0]: file for file in files if file.endswith(_SUFFIXES)}
    known = list(dict.fromkeys(spec.name for spec in pictures))
    further = sorted(name for name in listed if not name.endswith(_THUMB) and name not in known)
    small = dict.fromkeys(spec.name + _THUMB for spec in pictures if spec.thumbnail)
    folder = posixpath.dirname(next((files[file] for file in listed.values()), ""))
    return {
        "at": f"./{quote(folder)}/",
        "files": [quote(listed[name]) for name in (*known, *further) if name in listed],
        "thumbs": [quote(listed[name]) for name in small if name in listed],
    }
