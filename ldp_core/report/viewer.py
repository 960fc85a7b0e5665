"""What the page's script knows, as plain JSON: the columns, and of each item its scores and pictures."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ldp_core.report.columns import GAIN, ColumnGroup, name_column
from ldp_core.report.model import THUMBS, BlurDigest
from ldp_core.report.plots import show_number
from ldp_core.report.table import Cell, ItemTable, RowGroup, TableRow
from ldp_core.types import BlurMapKind

PICTURES = {
    "left": "Left view",
    "right": "Right view",
    "input": "Input",
    "blur_map": "Blur map",
    "restored": "Restored",
    "target": "Target",
    "blur_truth": "Blur truth",
}
SIGNIFICANT_DIGITS = 6
_THUMB = "-thumb"
_SUFFIXES = (".jpg", ".png", ".webp")


def describe_viewer(table: ItemTable) -> dict[str, Any]:
    """All items in the order of the table, what its columns are, and the titles of the pictures.

    An item's pictures lie at ``at``: ``files`` large, in the viewer's order, and ``thumbs`` small.
    """
    items = [_describe_item(row, group=n) for n, group in enumerate(table.groups) for row in group.rows]
    names = {posixpath.splitext(file)[0] for item in items for file in item["files"]}
    return {
        "titles": {name: name_picture(name) for name in names},
        "columns": [_describe_columns(group) for group in table.columns],
        "groups": [_describe_group(group) for group in table.groups],
        "items": items,
    }


def name_picture(name: str) -> str:
    """A picture as the viewer titles it; one of an external result keeps its name."""
    return PICTURES.get(name, name.removeprefix("peer-"))


def describe_blur(blur: BlurDigest) -> dict[str, Any]:
    """The range of a blur map in words and the ends of its colour scale."""
    signed = blur.kind is BlurMapKind.SIGNED_COC_PX
    unit = " px" if signed else ""
    return {
        "kind": blur.kind.value,
        "low": show_number(-blur.limit) if signed else "0",
        "high": f"{'+' if signed else ''}{show_number(blur.limit)}{unit}",
        "range": f"{show_number(round(blur.p05, 2))} to {show_number(round(blur.p95, 2))}{unit}",
        "reach": max(abs(blur.p05), abs(blur.p95)),
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


def _describe_group(group: RowGroup) -> dict[str, Any]:
    return {"conditions": group.conditions, "count": len(group.rows)}


def _describe_item(row: TableRow, *, group: int) -> dict[str, Any]:
    cells = [cell for cells in row.cells for cell in cells]
    described = {
        "id": row.item.id,
        "status": row.item.status,
        "group": group,
        "blur": describe_blur(row.item.blur) if row.item.blur else None,
        "values": [_round(cell) for cell in cells],
        "marks": "".join(cell.mark[0] for cell in cells),
        "worse": row.worse,
        "single": row.item.single_view,
    }
    return described | _list_pictures(row.item.pictures)


def _round(cell: Cell) -> float | None:
    return None if cell.value is None else float(f"{cell.value:.{SIGNIFICANT_DIGITS}g}")


def _list_pictures(pictures: Mapping[str, str]) -> dict[str, Any]:
    """The folder of the pictures and the files in it; files that are no pictures are left out."""
    listed = {posixpath.splitext(file)[0]: file for file in pictures if file.endswith(_SUFFIXES)}
    order = list(PICTURES)
    large = sorted(
        (name for name in listed if not name.endswith(_THUMB)),
        key=lambda name: (order.index(name) if name in order else len(order), name),
    )
    small = [name + _THUMB for name in THUMBS if name + _THUMB in listed]
    folder = posixpath.dirname(next((pictures[file] for file in listed.values()), ""))
    return {
        "at": f"./{quote(folder)}/",
        "files": [quote(listed[name]) for name in large],
        "thumbs": [quote(listed[name]) for name in small],
    }
