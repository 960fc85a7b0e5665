"""Boxes (ISO/IEC 14496-12, 4.2): the containers of JPEG 2000, JPEG XL and AVIF are lists of them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from ldp_core.images.codec import report_damage

_MAX_BOXES: Final = 1000  # a dozen are usual; a file of endless empty boxes ends here
_BRANDS_AT: Final = 8  # size and name of the box `ftyp`; then its brand, a version, compatible brands


@dataclass(frozen=True, slots=True)
class Box:
    """Where in its file the payload of a box begins and ends, in bytes."""

    name: bytes
    start: int
    end: int


def walk_boxes(file: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes between two places of a file, by default of all of it.

    Raises:
        ImageFormatError: a box reaches beyond the end: the file is cut short.
    """
    end = file.seek(0, io.SEEK_END) if end is None else end
    for _ in range(_MAX_BOXES):
        if start >= end:
            return
        box = _read_box(file, start, end)
        yield box
        start = box.end
    raise report_damage(f"more than {_MAX_BOXES} boxes")


def read_box(file: BinaryIO, box: Box, *, most: int) -> bytes:
    """The payload of a box that has at most ``most`` bytes."""
    if box.end - box.start > most:
        raise report_damage(f"a box '{box.name.decode('latin-1')}' of {box.end - box.start} bytes")
    file.seek(box.start)
    return file.read(box.end - box.start)


def list_brands(start: bytes) -> set[bytes]:
    """Main and compatible brands in the first bytes of a file (4.3); empty where it is none of boxes."""
    if start[4:_BRANDS_AT] != b"ftyp":
        return set()
    end = min(len(start), int.from_bytes(start[:4], "big"))
    return {start[place : place + 4] for place in range(_BRANDS_AT, end, 4) if place != _BRANDS_AT + 4}


def _read_box(file: BinaryIO, start: int, end: int) -> Box:
    file.seek(start)
    head = file.read(16)
    size, name, payload = int.from_bytes(head[:4], "big"), head[4:8], start + 8
    if size == 1:
        size, payload = int.from_bytes(head[8:16], "big"), start + 16
    box_end = start + size if size else end
    if len(head) < 8 or not payload <= box_end <= end:
        raise report_damage(f"a file cut short in its box '{name.decode('latin-1')}'")
    return Box(name, payload, box_end)
