"""JPEG XL (ISO/IEC 18181-1 and -2): grey or RGB of up to 16 bit, or floating point in 0..1.

Depths other than 8 and 16 bit are spread over the full range of the next of them. The header is read here, so
that limits hold before the decoder starts. The orientation is not applied, as in every other format.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import imagecodecs

from ldp_core.images.boxes import walk_boxes
from ldp_core.images.codec import (
    Codec,
    PictureHeader,
    drop_opaque,
    fill_range,
    quantise,
    refuse_kind,
    report_damage,
    require_tail,
)
from ldp_core.images.traits import PictureTraits

_FILE_MAGIC: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_STREAM_MAGIC: Final = b"\xff\x0a"
_HEADER_BYTES: Final = 4096  # 6 to 100 are usual; names of extra channels may add to them
_PART_INDEX_BYTES: Final = 4  # before each piece of a codestream in several boxes
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_MAX_DEPTH: Final = 16
_GREY, _RGB, _ALPHA = 1, 0, 0
_CHANNEL_KINDS: Final = {1: "depth", 2: "a spot colour", 3: "a selection", 4: "black (CMYK)", 5: "a mosaic"}

Ways = tuple[tuple[int, int], ...]
"""The four ways in which a number is coded (B.2.1): (bits, offset) each."""
_SIDE: Final = ((9, 1), (13, 1), (18, 1), (30, 1))
_DEPTH: Final = ((0, 8), (0, 10), (0, 12), (6, 1))
_FLOAT_DEPTH: Final = ((0, 32), (0, 16), (0, 24), (6, 1))
_COUNT: Final = ((0, 0), (0, 1), (4, 2), (12, 1))
_KIND: Final = ((0, 0), (0, 1), (4, 2), (6, 18))
_SHIFT: Final = ((0, 0), (0, 3), (0, 4), (3, 1))
_NAME: Final = ((0, 0), (4, 0), (5, 16), (10, 48))
_PREVIEW_EIGHTHS: Final = ((0, 16), (0, 32), (5, 1), (9, 33))
_PREVIEW_SIDE: Final = ((6, 1), (8, 65), (10, 321), (12, 1345))


@dataclass(frozen=True, slots=True)
class StreamHeader:
    """Size as stored, the orientation not applied (EXIF numbers; 1: none), and what a channel holds."""

    height: int
    width: int
    orientation: int = 1
    bits: int = 8
    is_float: bool = False
    channels: int = 3
    has_alpha: bool = False


def read_stream_header(file: BinaryIO) -> StreamHeader:
    """The header of a picture.

    Raises:
        ImageFormatError: damaged, an animation, or of channels that are not read.
    """
    bits = _Bits(_read_start(file))
    bits.take(16)
    height, width = _read_size(bits, _SIDE, None)
    if bits.take(1):
        return StreamHeader(height, width)
    orientation = _read_extra_fields(bits) if bits.take(1) else 1
    is_float, depth = _read_depth(bits)
    bits.take(1)  # whether 16-bit buffers are enough
    has_alpha = _read_extra_channels(bits, (is_float, depth))
    bits.take(1)  # whether colours are stored as XYB
    return StreamHeader(height, width, orientation, depth, is_float, _read_channels(bits), has_alpha)


class _Bits:
    """Numbers of so many bits, the lowest bit of each byte first."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "little")
        self._left = 8 * len(content)

    def take(self, count: int) -> int:
        if count > self._left:
            raise report_damage("a JPEG XL that is cut short")
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return taken

    def choose(self, ways: Ways) -> int:
        count, offset = ways[self.take(2)]
        return self.take(count) + offset


def _read_start(file: BinaryIO) -> bytes:
    """The first bytes of the codestream, which may lie in several boxes."""
    file.seek(0)
    if (start := file.read(len(_STREAM_MAGIC))) == _STREAM_MAGIC:
        return start + file.read(_HEADER_BYTES)
    found = b""
    for box in walk_boxes(file):
        if box.name in (b"jxlc", b"jxlp") and len(found) < _HEADER_BYTES:
            file.seek(box.start + (_PART_INDEX_BYTES if box.name == b"jxlp" else 0))
            found += file.read(min(_HEADER_BYTES, max(0, box.end - file.tell())))
    if not found.startswith(_STREAM_MAGIC):
        raise report_damage("a JPEG XL without a codestream")
    return found


def _find_end(file: BinaryIO, size_bytes: int) -> int:
    """Where the codestream ends; metadata may follow in other boxes."""
    file.seek(0)
    if file.read(len(_STREAM_MAGIC)) == _STREAM_MAGIC:
        return size_bytes
    return max((box.end for box in walk_boxes(file) if box.name in (b"jxlc", b"jxlp")), default=size_bytes)


def _read_size(bits: _Bits, side: Ways, eighths: Ways | None) -> tuple[int, int]:
    """Height and width; ``side`` and ``eighths`` say how a side and the eighth of one are coded.

    The eighth has 5 bits where it has no ways.
    """
    in_eighths = bits.take(1)

    def take_side() -> int:
        if not in_eighths:
            return bits.choose(side)
        return 8 * (bits.choose(eighths) if eighths else bits.take(5) + 1)

    height = take_side()
    ratio = bits.take(3)
    if not ratio:
        return height, take_side()
    across, down = _RATIOS[ratio - 1]
    return height, height * across // down


def _read_extra_fields(bits: _Bits) -> int:
    """The orientation; what else there is is stepped over."""
    orientation = bits.take(3) + 1
    if bits.take(1):
        _read_size(bits, _SIDE, None)  # the size that is meant to be shown
    if bits.take(1):
        _read_size(bits, _PREVIEW_SIDE, _PREVIEW_EIGHTHS)
    if bits.take(1):
        raise refuse_kind("animated JPEG XL", remedy="store one picture per file")
    return orientation


def _read_depth(bits: _Bits) -> tuple[bool, int]:
    is_float = bool(bits.take(1))
    depth = bits.choose(_FLOAT_DEPTH if is_float else _DEPTH)
    if is_float:
        bits.take(4)  # bits of the exponent
    elif depth > _MAX_DEPTH:
        raise refuse_kind(f"JPEG XL of {depth} bit")
    return is_float, depth


def _read_extra_channels(bits: _Bits, depth: tuple[bool, int]) -> bool:
    """Whether there is alpha; any other channel beside the colours is refused."""
    count = bits.choose(_COUNT)
    if count > 1:
        raise refuse_kind(f"JPEG XL with {count} channels beside its colours")
    if not count:
        return False
    if not bits.take(1):
        kind = bits.choose(_KIND)
        if kind != _ALPHA:
            raise refuse_kind(f"JPEG XL with {_CHANNEL_KINDS.get(kind, f'a channel of kind {kind}')}")
        if _read_depth(bits) != depth:
            raise refuse_kind("JPEG XL whose alpha has another depth than its colours")
        bits.choose(_SHIFT)
        for _ in range(bits.choose(_NAME)):
            bits.take(8)
        bits.take(1)  # whether colours are multiplied by alpha
    elif depth != (False, 8):
        raise refuse_kind("JPEG XL whose alpha has another depth than its colours")
    return True


def _read_channels(bits: _Bits) -> int:
    if bits.take(1):
        return 3
    bits.take(1)  # whether an ICC profile follows
    space = bits.choose(_KIND)
    if space not in (_RGB, _GREY):
        raise refuse_kind(f"JPEG XL in the colour space {space}, neither grey nor RGB")
    return 1 if space == _GREY else 3


def _read_header(file: BinaryIO) -> PictureHeader:
    stream = read_stream_header(file)
    if not (stream.height and stream.width):
        raise report_damage(f"a size of {stream.width} x {stream.height}")
    depth = 8 if stream.bits <= 8 and not stream.is_float else 16
    return PictureHeader(
        height=stream.height,
        width=stream.width,
        channels=stream.channels,
        bit_depth=depth,
        traits=PictureTraits(orientation=stream.orientation),
    )


def _decode(content: bytes) -> Any:
    file = io.BytesIO(content)
    stream = read_stream_header(file)
    require_tail(content[: _find_end(file, len(content))], kind="JPEG XL")
    pixels = imagecodecs.jpegxl_decode(content, keeporientation=True, numthreads=1)
    opaque = 1.0 if stream.is_float else 2**stream.bits - 1
    pixels = drop_opaque(pixels, opaque=opaque) if stream.has_alpha else pixels
    return quantise(pixels) if stream.is_float else fill_range(pixels, stream.bits)


JPEGXL: Final = Codec((_STREAM_MAGIC, _FILE_MAGIC), _read_header, _decode)
