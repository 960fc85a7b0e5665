"""The cells of a manifest that are no pictures: how an item is read and scored, what else is known of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar

from ldp_core.catalogue.pairing import PICTURE_EXTENSIONS
from ldp_core.credentials import redact
from ldp_core.images.scale import parse_peak
from ldp_core.item_ids import is_unicode
from ldp_core.types import DpAxis, Metadatum, Region, is_long

T = TypeVar("T")
PEAK, REGION, ALIGNED, AXIS, CAMERA = "peak", "score_region", "aligned", "dp_axis", "camera"

_FLAGS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SPAN: Final = re.compile(r"(rows|columns)\s+(\d*):(\d*)")
_EDGES: Final = ("top", "left", "bottom", "right")


def parse_region(cell: Any) -> Region:
    """``full``, ``rows 44:``, ``rows 10:500, columns 20:600``, or an object with top, left, bottom, right.

    Raises:
        ValueError: it is of another form, or holds no pixel.
    """
    if isinstance(cell, Mapping):
        edges = {name: cell[name] for name in _EDGES if cell.get(name) is not None}
        if len(edges) < len(cell) or not all(isinstance(edge, int) and edge >= 0 for edge in edges.values()):
            raise ValueError("an object with top, left, bottom, right in pixels")
        region = Region(**edges)
    else:
        region = _parse_spans(str(cell).strip().lower())
    spans = (region.top, region.bottom), (region.left, region.right)
    if any(stop is not None and stop <= start for start, stop in spans):
        raise ValueError("a region that holds a pixel")
    return region


def _parse_spans(text: str) -> Region:
    if text in ("", "full"):
        return Region()
    spans: dict[str, tuple[int, int | None]] = {}
    for part in text.split(","):
        found = _SPAN.fullmatch(part.strip())
        if found is None or found[1] in spans:
            raise ValueError("'full', or such as 'rows 44:' or 'rows 10:500, columns 20:600'")
        spans[found[1]] = int(found[2] or 0), int(found[3]) if found[3] else None
    (top, bottom), (left, right) = spans.get("rows", (0, None)), spans.get("columns", (0, None))
    return Region(top, left, bottom, right)


def parse_flag(cell: Any) -> bool:
    """True or false.

    Raises:
        ValueError: it is neither.
    """
    text = str(cell).strip().lower()
    if text not in _FLAGS:
        raise ValueError("true or false")
    return _FLAGS[text]


def parse_axis(cell: Any) -> DpAxis:
    """x or y.

    Raises:
        ValueError: it is neither.
    """
    text = str(cell).strip().lower()
    if text not in {*DpAxis}:
        raise ValueError("x or y")
    return DpAxis(text)


def parse_text(cell: Any) -> str:
    """A text without blanks around it.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(cell, str) or not is_unicode(cell):
        raise ValueError("a text")
    return cell.strip()


PARSERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    PEAK: parse_peak,
    REGION: parse_region,
    ALIGNED: parse_flag,
    AXIS: parse_axis,
    CAMERA: parse_text,
}
"""By the name of the column."""


def is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def to_metadatum(cell: Any) -> Metadatum:
    """A cell as JSON and Parquet hold it: numbers, flags and texts as they are, anything else as text."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return str(cell)
    if is_long(cell):
        return str(cell)
    if isinstance(cell, bool | int | float):
        return cell
    text = redact(cell.strip() if isinstance(cell, str) else str(cell))
    return text if is_unicode(text) else text.encode("utf-8", "backslashreplace").decode()


def names_picture(cell: Any) -> bool:
    """Whether a cell may be the address of a picture."""
    return isinstance(cell, str) and PurePosixPath(cell.strip()).suffix.lower() in PICTURE_EXTENSIONS
