"""JPEG files with several pictures (CIPA DC-007, Multi-Picture Format; ``.mpo`` and many ``.jpg``).

Two views or two exposures in one file are refused: which one is meant cannot be told. What phones put behind
an ordinary photograph (a gain map, a depth map, a large preview) is no second photograph: the first is read.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from ldp_core.images.codec import refuse_kind

Size = tuple[int, int, int]
"""Height, width, channels."""

SEGMENT: Final = 0xE2
"""The JPEG segment (APP2) that holds the index."""
_NAME: Final = b"MPF\0"
_MAX_SEGMENT_BYTES: Final = 65_533
_ENTRIES: Final = 0xB002
_ENTRY_BYTES: Final = 16
_MAX_PICTURES: Final = 100
# Of an entry's attributes (DC-007, 5.2.3.3): depends on another picture; the kind of picture; panoramas,
# disparity and multi-angle, which are views of their own whatever else is said.
_DEPENDENT: Final = 1 << 30
_KIND: Final = 0xFFFFFF
_VIEWS: Final = (0x020001, 0x020002, 0x020003)
# In the metadata of gain maps: Ultra HDR, ISO 21496-1, Apple.
_GAIN_MAP_MARKS: Final = (b"hdrgm", b"urn:iso:std:iso:ts:21496", b"HDRGainMap")
_METADATA_BYTES: Final = 4096

_REMEDY: Final = (
    "split it into one file per picture: exiftool -b -MPImage2 IN.mpo > RIGHT.jpg, "
    "and for the first one exiftool -trailer:all= IN.mpo -o LEFT.jpg"
)


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    dependent: bool
    start: int


def refuse_views(
    file: BinaryIO, payload: int, size: Size, read_size: Callable[[BinaryIO, int], Size | None]
) -> None:
    """Refuse a file whose index, in an APP2 segment with its payload here, names a second view.

    ``size`` is that of the first picture; ``read_size`` gives that of a JPEG that begins at a place, or None.
    A later picture counts as a view where the index says so, or where it is as large as the first, of colour,
    stands for itself and is no gain map.

    Raises:
        ImageFormatError: there is one.
    """
    for entry in _list_entries(file, payload)[1:_MAX_PICTURES]:
        if entry.kind in _VIEWS or (not entry.dependent and _is_view(file, entry, size, read_size)):
            raise refuse_kind("JPEG with several pictures (MPO)", remedy=_REMEDY)


def _is_view(
    file: BinaryIO, entry: _Entry, size: Size, read_size: Callable[[BinaryIO, int], Size | None]
) -> bool:
    if read_size(file, entry.start) != size:
        return False
    file.seek(entry.start)
    metadata = file.read(_METADATA_BYTES)
    return not any(mark in metadata for mark in _GAIN_MAP_MARKS)


def _list_entries(file: BinaryIO, payload: int) -> list[_Entry]:
    """The pictures that an index names; none where it is no index, or a damaged one."""
    file.seek(payload - 2)
    length = int.from_bytes(file.read(2), "big") - 2
    if file.read(4) != _NAME:
        return []
    index = file.read(min(length - 4, _MAX_SEGMENT_BYTES))
    try:
        return list(_walk_entries(index, payload + len(_NAME)))
    except struct.error:
        return []


def _walk_entries(index: bytes, origin: int) -> Iterator[_Entry]:
    """Offsets count from ``origin``, where the index lies in its file; 0 means the first picture."""
    order = "<" if index.startswith(b"II") else ">"
    (first,) = struct.unpack_from(order + "I", index, 4)
    (count,) = struct.unpack_from(order + "H", index, first)
    for number in range(count):
        tag, _, length, place = struct.unpack_from(order + "HHII", index, first + 2 + 12 * number)
        if tag != _ENTRIES:
            continue
        for start in range(place, place + length, _ENTRY_BYTES):
            attributes, _, offset = struct.unpack_from(order + "III", index, start)
            place_of = origin + offset if offset else 0
            yield _Entry(attributes & _KIND, bool(attributes & _DEPENDENT), place_of)
