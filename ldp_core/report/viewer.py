"""What the page's viewer knows of each item, as plain JSON: its pictures and its blur range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ldp_core.report.model import BlurDigest
from ldp_core.report.plots import show_number
from ldp_core.report.table import TableRow
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
_THUMB = "-thumb"


def picture_addresses(pictures: Mapping[str, str]) -> dict[str, str]:
    """Picture name -> relative URL, from the addresses of :class:`ReportItem`; other files are left out."""
    addresses = {}
    for file, address in pictures.items():
        name, _, suffix = file.rpartition(".")
        if suffix in ("jpg", "png", "webp"):
            addresses[name] = f"./{quote(address)}"
    return addresses


def name_picture(name: str) -> str:
    """A picture as the viewer titles it; a peer's keeps the peer's name."""
    return PICTURES.get(name, name.removeprefix("peer-"))


def describe_viewer(rows: Sequence[TableRow]) -> dict[str, Any]:
    """All items for the viewer, in the order of the table, and the titles of their pictures."""
    items = [_describe_item(row) for row in rows]
    names = {name for item in items for name, _ in item["pictures"]}
    return {"titles": {name: name_picture(name) for name in names}, "items": items}


def describe_blur(blur: BlurDigest) -> dict[str, Any]:
    """The range of a blur map in words and the ends of its colour scale."""
    signed = blur.kind is BlurMapKind.SIGNED_COC_PX
    unit = " px" if signed else ""
    return {
        "kind": blur.kind.value,
        "low": show_number(-blur.limit) if signed else "0",
        "middle": "0" if signed else "0.5",
        "high": f"{'+' if signed else ''}{show_number(blur.limit)}{unit}",
        "range": f"{show_number(round(blur.p05, 2))} to {show_number(round(blur.p95, 2))}{unit}",
        "reach": max(abs(blur.p05), abs(blur.p95)),
    }


def _describe_item(row: TableRow) -> dict[str, Any]:
    return {
        "id": row.item.id,
        "status": row.item.status,
        "conditions": row.conditions,
        "pictures": _list_pictures(row.item.pictures),
        "blur": describe_blur(row.item.blur) if row.item.blur else None,
    }


def _list_pictures(pictures: Mapping[str, str]) -> list[tuple[str, str]]:
    order = list(PICTURES)
    full = {n: url for n, url in picture_addresses(pictures).items() if not n.endswith(_THUMB)}
    names = sorted(full, key=lambda n: (order.index(n) if n in order else len(order), n))
    return [(name, full[name]) for name in names]
