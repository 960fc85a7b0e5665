"""AVIF (AV1 Image File Format 1.2, a HEIF file): still pictures of 8, 10 and 12 bit, grey or RGB.

10 and 12 bit are spread over 16 bit. There are no checksums: altered pixels may pass. Rotation and mirroring
(`irot`, `imir`) are not applied, as in every other format; a picture that is cropped by its file is refused.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

import imagecodecs

from ldp_core.images.av1 import read_coded_size
from ldp_core.images.boxes import Box, list_brands, read_box, walk_boxes
from ldp_core.images.codec import (
    Codec,
    PictureHeader,
    drop_opaque,
    fill_range,
    refuse_kind,
    report_damage,
    require_tail,
)
from ldp_core.images.colour import MAX_PROFILE_BYTES, SRGB, from_cicp
from ldp_core.images.traits import PictureTraits

_SEQUENCE: Final = b"avis"
_MAX_META_BYTES: Final = 2**20
_CODED, _GRID = b"av01", b"grid"
_SEQUENCE_BYTES: Final = 256  # 10 to 20 are usual
_PROFILES, _POINTS, _UNSAID = (b"prof", b"rICC"), b"nclx", 2
_ORIENTATIONS: Final[Mapping[tuple[int, int | None], int]] = {
    (0, None): 1,
    (1, None): 8,
    (2, None): 3,
    (3, None): 6,
    (0, 1): 2,
    (1, 1): 7,
    (2, 1): 4,
    (3, 1): 5,
    (0, 0): 4,
    (1, 0): 5,
    (2, 0): 2,
    (3, 0): 7,
}
"""That of EXIF, by quarter turns anticlockwise and the axis mirrored afterwards."""
_FULL: Final = 4  # bytes of version and flags before the content of a full box

Extents = list[tuple[int, int]]
"""Offset and length in bytes; those of an item that lies inside `meta` are left out."""


@dataclass(slots=True)
class _Meta:
    """What the box `meta` says of its items, by their numbers."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    owners: dict[int, list[int]] = field(default_factory=dict)
    parts: dict[int, int] = field(default_factory=dict)
    """The first tile of each grid."""
    extents: dict[int, Extents] = field(default_factory=dict)

    def of(self, item: int) -> Mapping[bytes, bytes]:
        """The properties of an item, by name. A number of a property that is not there is damage."""
        return dict(self.all_of(item))

    def all_of(self, item: int) -> list[tuple[bytes, bytes]]:
        """The same, where a name may be there several times."""
        return [self.properties[number - 1] for number in self.owners.get(item, []) if number]


def is_avif(start: bytes) -> bool:
    """Whether a file with these first bytes says that it is an AVIF, still or moving."""
    return bool(list_brands(start) & {b"avif", _SEQUENCE})


def read_turn(file: BinaryIO) -> tuple[int, int | None]:
    """Quarter turns anticlockwise (`irot`), and the axis of mirroring (`imir`: 0, 1) or None."""
    return _read_turn(_read_meta(file))


def _read_turn(meta: _Meta) -> tuple[int, int | None]:
    properties = meta.of(meta.primary)
    mirror = properties.get(b"imir")
    return properties.get(b"irot", b"\0")[0] & 3, mirror[0] & 1 if mirror else None


def _read_header(file: BinaryIO) -> PictureHeader:
    meta = _read_meta(file)
    height, width = _read_size(meta, meta.primary)
    if not (width and height):
        raise report_damage(f"a size of {width} x {height}")
    _require_coded_size(file, meta, meta.parts.get(meta.primary, meta.primary))
    bits, grey = _read_depth(meta)
    return PictureHeader(
        height=height,
        width=width,
        channels=1 if grey else 3,
        bit_depth=8 if bits == 8 else 16,
        traits=PictureTraits(profile=_read_profile(meta), orientation=_ORIENTATIONS[_read_turn(meta)]),
    )


def _decode(content: bytes) -> Any:
    meta = _read_meta(io.BytesIO(content))
    bits, grey = _read_depth(meta)
    for item, extents in meta.extents.items():
        if extents and extents[-1][1] and meta.kinds.get(item) == _CODED:
            end = sum(extents[-1])
            require_tail(content[max(0, end - 64) : end], kind="AVIF")
    pixels = imagecodecs.avif_decode(content, numthreads=1)
    if pixels.ndim == 3 and pixels.shape[-1] in (2, 4):
        pixels = drop_opaque(pixels, opaque=2**bits - 1)
    return fill_range(pixels[..., 0] if grey and pixels.ndim == 3 else pixels, bits)


def _read_profile(meta: _Meta) -> bytes:
    """The colours of the picture (`colr`): an ICC profile before code points; sRGB where neither tells."""
    told = {content[:4]: content[4:] for name, content in meta.all_of(meta.primary) if name == b"colr"}
    for kind in _PROFILES:
        if kind in told:
            return told[kind][:MAX_PROFILE_BYTES]
    primaries, transfer = struct.unpack_from(">HH", told[_POINTS]) if _POINTS in told else (_UNSAID, _UNSAID)
    return SRGB if _UNSAID in (primaries, transfer) else from_cicp(primaries, transfer)


def _read_size(meta: _Meta, item: int) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", meta.of(item)[b"ispe"], _FULL)
    return height, width


def _require_coded_size(file: BinaryIO, meta: _Meta, item: int) -> None:
    """The decoder scales a picture that is not as large as its header says; here that is a fault."""
    if not (extents := meta.extents.get(item)):
        raise refuse_kind("AVIF whose picture does not lie in the file behind its header")
    file.seek(extents[0][0])
    coded, announced = read_coded_size(file.read(_SEQUENCE_BYTES)), _read_size(meta, item)
    if coded != announced:
        raise report_damage(f"a picture of {coded[1]} x {coded[0]}, header {announced[1]} x {announced[0]}")


def _read_depth(meta: _Meta) -> tuple[int, bool]:
    """Bits of a channel, and whether there is one only (`av1C`, AV1 in ISO base media, 2.3.3)."""
    item = meta.parts.get(meta.primary, meta.primary)
    flags = meta.of(item)[b"av1C"][2]
    high, twelve, grey = flags & 0x40, flags & 0x20, flags & 0x10
    return (12 if twelve else 10) if high else 8, bool(grey)


def _read_meta(file: BinaryIO) -> _Meta:
    file.seek(0)
    if _SEQUENCE in list_brands(file.read(64)):
        raise refuse_kind("animated AVIF", remedy="store one picture per file")
    box = next((box for box in walk_boxes(file) if box.name == b"meta"), None)
    if box is None:
        raise report_damage("an AVIF without a header (meta)")
    meta = _parse_meta(read_box(file, box, most=_MAX_META_BYTES))
    kind = meta.kinds.get(meta.primary)
    if kind not in (_CODED, _GRID):
        raise refuse_kind(f"AVIF whose picture is of kind {kind!r}")
    if b"clap" in meta.of(meta.primary):
        raise refuse_kind("AVIF that is cropped when it is shown (clap)")
    return meta


def _parse_meta(content: bytes) -> _Meta:
    meta, file = _Meta(), io.BytesIO(content)
    for box in walk_boxes(file, _FULL):
        payload = content[box.start : box.end]
        if box.name == b"pitm":
            meta.primary = int.from_bytes(payload[_FULL : _FULL + (4 if payload[0] else 2)], "big")
        elif box.name == b"iinf":
            meta.kinds = dict(_walk_kinds(file, box, payload[0]))
        elif box.name == b"iprp":
            _parse_properties(meta, file, box)
        elif box.name == b"iref":
            meta.parts = dict(_walk_grids(file, box, payload[0]))
        elif box.name == b"iloc":
            meta.extents = dict(_walk_locations(io.BytesIO(payload)))
    return meta


def _walk_kinds(file: BinaryIO, box: Box, version: int) -> Iterator[tuple[int, bytes]]:
    for entry in walk_boxes(file, box.start + _FULL + (4 if version else 2), box.end):
        payload = read_box(file, entry, most=_MAX_META_BYTES)
        wide = 4 if payload[0] == 3 else 2
        item = int.from_bytes(payload[_FULL : _FULL + wide], "big")
        yield item, payload[_FULL + wide + 2 : _FULL + wide + 6]


def _parse_properties(meta: _Meta, file: BinaryIO, box: Box) -> None:
    for part in walk_boxes(file, box.start, box.end):
        if part.name == b"ipco":
            found = walk_boxes(file, part.start, part.end)
            meta.properties = [(each.name, read_box(file, each, most=_MAX_META_BYTES)) for each in found]
        elif part.name == b"ipma":
            meta.owners.update(_walk_owners(io.BytesIO(read_box(file, part, most=_MAX_META_BYTES))))


def _walk_owners(file: BinaryIO) -> Iterator[tuple[int, list[int]]]:
    head = _take(file, 4)
    for _ in range(_take(file, 4)):
        item = _take(file, 4 if head >> 24 else 2)
        wide = head & 1
        yield (
            item,
            [_take(file, 1 + wide) & (0x7FFF if wide else 0x7F) for _ in range(_take(file, 1))],
        )


def _walk_grids(file: BinaryIO, box: Box, version: int) -> Iterator[tuple[int, int]]:
    wide = 4 if version else 2
    for reference in walk_boxes(file, box.start + _FULL, box.end):
        if reference.name == b"dimg":
            payload = io.BytesIO(read_box(file, reference, most=_MAX_META_BYTES))
            item, count = _take(payload, wide), _take(payload, 2)
            if count:
                yield item, _take(payload, wide)


def _walk_locations(file: BinaryIO) -> Iterator[tuple[int, Extents]]:
    version = _take(file, 4) >> 24
    sizes = _take(file, 2)
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    for _ in range(_take(file, 2 if version < 2 else 4)):
        item = _take(file, 2 if version < 2 else 4)
        method = _take(file, 2) & 15 if version else 0
        _take(file, 2)
        base, extents = _take(file, base_size), Extents()
        for _ in range(_take(file, 2)):
            _take(file, index_size if version else 0)
            extents.append((base + _take(file, offset_size), _take(file, length_size)))
        yield item, [] if method else extents


def _take(file: BinaryIO, count: int) -> int:
    taken = file.read(count)
    if len(taken) < count:
        raise report_damage("an AVIF whose header is cut short")
    return int.from_bytes(taken, "big")


AVIF: Final = Codec((), _read_header, _decode, matches=is_avif)
