"""JPEG 2000 (ISO/IEC 15444-1; `.jp2` and the bare codestream `.j2k`): grey or RGB of up to 16 bit.

Depths other than 8 and 16 bit are spread over the full range of the next of them. There are no checksums:
altered pixels may pass. Every tile must have come, and the codestream must end.
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import imagecodecs

from ldp_core.images.boxes import Box, read_box, walk_boxes
from ldp_core.images.codec import Codec, PictureHeader, drop_opaque, fill_range, refuse_kind, report_damage
from ldp_core.images.colour import SRGB
from ldp_core.images.traits import PictureTraits

_FILE_MAGIC: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_STREAM_MAGIC: Final = b"\xff\x4f\xff\x51"
_START_OF_TILE, _END_OF_STREAM = b"\xff\x90", b"\xff\xd9"
_MAX_BOX_BYTES: Final = 2**20
_MAX_MARKERS: Final = 1000
_MAX_DEPTH: Final = 16
_GREY, _RGB = 17, 16
_COLOURS: Final = {12: "CMYK", 14: "CIELab", 18: "YCbCr"}
_ENUMERATED: Final = 1
_WITH_PROFILE: Final = (b"\x02", b"\x03")  # the methods of I.5.3.3 with a profile, restricted or not
_OPACITY: Final = (1, 2)


@dataclass(frozen=True, slots=True)
class _Stream:
    """What SIZ, the first segment of a codestream, says (A.5.1); ``next`` is where the second begins."""

    height: int
    width: int
    tiles: int
    depths: tuple[int, ...]
    next: int


def _read_header(file: BinaryIO) -> PictureHeader:
    box, alpha = _find_stream(file)
    stream = _read_size(file, box)
    channels = len(stream.depths) - alpha
    if channels not in (1, 3):
        raise refuse_kind(f"JPEG 2000 with {len(stream.depths)} components")
    depth = 8 if stream.depths[0] <= 8 else 16
    return PictureHeader(
        height=stream.height,
        width=stream.width,
        channels=channels,
        bit_depth=depth,
        traits=PictureTraits(profile=_read_profile(file)),
    )


def _decode(content: bytes) -> Any:
    file = io.BytesIO(content)
    box, alpha = _find_stream(file)
    stream = _read_size(file, box)
    _require_tiles(content, box, stream)
    pixels = imagecodecs.jpeg2k_decode(content, numthreads=1)
    bits = stream.depths[0]
    return fill_range(drop_opaque(pixels, opaque=2**bits - 1) if alpha else pixels, bits)


def _find_stream(file: BinaryIO) -> tuple[Box, bool]:
    """The codestream, and whether its last component is alpha."""
    file.seek(0)
    if file.read(len(_STREAM_MAGIC)) == _STREAM_MAGIC:
        return Box(b"jp2c", 0, file.seek(0, io.SEEK_END)), False
    alpha = False
    for box in walk_boxes(file):
        if box.name == b"jp2h":
            alpha = _read_meaning(file, box)
        if box.name == b"jp2c":
            return box, alpha
    raise refuse_kind("a file of the JPEG 2000 family without a picture of its own")


def _read_meaning(file: BinaryIO, header: Box) -> bool:
    """Whether there is alpha; refuses palettes and colours other than grey and RGB (I.5.3)."""
    alpha = False
    for box in walk_boxes(file, header.start, header.end):
        if box.name == b"pclr":
            raise refuse_kind("JPEG 2000 with a palette")
        if box.name == b"colr":
            _require_colour(read_box(file, box, most=_MAX_BOX_BYTES))
        if box.name == b"cdef":
            alpha = _find_alpha(read_box(file, box, most=_MAX_BOX_BYTES))
    return alpha


def _read_profile(file: BinaryIO) -> bytes:
    """The ICC profile of a file, as its first `colr` that has one; sRGB where none has."""
    file.seek(0)
    if file.read(len(_STREAM_MAGIC)) == _STREAM_MAGIC:
        return SRGB
    for header in (box for box in walk_boxes(file) if box.name == b"jp2h"):
        for box in walk_boxes(file, header.start, header.end):
            colour = read_box(file, box, most=_MAX_BOX_BYTES) if box.name == b"colr" else b""
            if colour[:1] in _WITH_PROFILE:
                return colour[3:]
    return SRGB


def _require_colour(colour: bytes) -> None:
    (kind,) = struct.unpack_from(">I", colour, 3) if colour[0] == _ENUMERATED else (_RGB,)
    if kind not in (_GREY, _RGB):
        raise refuse_kind(f"JPEG 2000 in {_COLOURS.get(kind, f'the colour space {kind}')}")


def _find_alpha(definitions: bytes) -> bool:
    kinds = [kind for _, kind, _ in struct.iter_unpack(">HHH", definitions[2:])]
    if any(kind not in (0, *_OPACITY) for kind in kinds):
        raise refuse_kind("JPEG 2000 with channels that are neither colour nor alpha")
    places = [number for number, kind, _ in struct.iter_unpack(">HHH", definitions[2:]) if kind in _OPACITY]
    if places not in ([], [len(kinds) - 1]):
        raise refuse_kind("JPEG 2000 whose alpha is not its last component")
    return bool(places)


def _read_size(file: BinaryIO, box: Box) -> _Stream:
    file.seek(box.start)
    head = file.read(42)
    if len(head) < 42 or not head.startswith(_STREAM_MAGIC):
        raise report_damage("a JPEG 2000 whose codestream does not begin")
    length, _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, count = (
        struct.unpack_from(">HHIIIIIIIIH", head, 4)
    )
    components = file.read(3 * count)
    width, height = right - left, bottom - top
    if not (0 < width < 2**31 and 0 < height < 2**31 and tile_width and tile_height and count):
        raise report_damage(f"a size of {width} x {height}, {count} components")
    if len(components) < 3 * count or length != 38 + 3 * count:
        raise report_damage("a JPEG 2000 that is cut short")
    tiles = math.ceil((right - tile_left) / tile_width) * math.ceil((bottom - tile_top) / tile_height)
    return _Stream(height, width, tiles, _read_depths(components), box.start + 4 + length)


def _read_depths(components: bytes) -> tuple[int, ...]:
    if any(part != 1 for n in (1, 2) for part in components[n::3]):
        raise refuse_kind("JPEG 2000 with components of other sizes (subsampled)")
    depths = tuple((kind & 0x7F) + 1 for kind in components[::3])
    if any(kind & 0x80 for kind in components[::3]):
        raise refuse_kind("JPEG 2000 of signed values")
    if len(set(depths)) > 1 or depths[0] > _MAX_DEPTH:
        raise refuse_kind(f"JPEG 2000 of {', '.join(map(str, depths))} bit")
    return depths


def _require_tiles(content: bytes, box: Box, stream: _Stream) -> None:
    """Walk the tile-parts to the end of the codestream (A.4.2): the decoder fills what is missing."""
    position = _skip_markers(content, stream.next, box.end)
    seen: set[int] = set()
    while content[position : position + 2] == _START_OF_TILE and position + 12 <= box.end:
        tile, length = struct.unpack_from(">HI", content, position + 4)
        seen.add(tile)
        if 0 < length < 14:
            raise report_damage(f"a tile of {length} bytes in a JPEG 2000")
        position = position + length if length else _find_end(content, position, box.end)
    if content[position : position + 2] != _END_OF_STREAM or position + 2 > box.end:
        raise report_damage("a JPEG 2000 that is cut short")
    if len(seen) != stream.tiles:
        raise report_damage(f"{len(seen)} of {stream.tiles} tiles of a JPEG 2000")


def _skip_markers(content: bytes, position: int, end: int) -> int:
    for _ in range(_MAX_MARKERS):
        if content[position : position + 2] == _START_OF_TILE or position + 4 > end:
            break
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return position


def _find_end(content: bytes, position: int, end: int) -> int:
    """Of a last tile-part that does not tell its length; it reaches to the end marker."""
    found = content.rfind(_END_OF_STREAM, position, end)
    return found if found >= 0 else end


JPEG2000: Final = Codec((_STREAM_MAGIC, _FILE_MAGIC), _read_header, _decode)
