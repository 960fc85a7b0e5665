"""JPEG (ITU-T T.81: 8 bit, baseline and progressive) and WebP (RFC 9649: 8 bit RGB, lossy or lossless).

Neither has checksums: altered pixels may pass.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import imagecodecs
from numpy.typing import NDArray

from ldp_core.images.codec import Codec, PictureHeader, drop_opaque, refuse_kind, report_damage

_READ_FRAMES: Final = {0xC0, 0xC1, 0xC2}
_FRAMES: Final = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE: Final = {0x01, *range(0xD0, 0xD9)}
_START_OF_SCAN: Final = 0xDA
_END_OF_IMAGE: Final = b"\xff\xd9"
_QUALITY: Final = 95  # 40 dB on a photograph; 90 gives 37 dB, 100 takes 2.3 times the bytes

_WEBP_HEADER_BYTES: Final = 30
_ANIMATED: Final = 0x02
_LOSSY, _LOSSLESS, _EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
_KEY_FRAME: Final = b"\x9d\x01\x2a"
_LOSSLESS_MARK: Final = 0x2F


def _read_jpeg_header(file: BinaryIO) -> PictureHeader:
    """The frame header. EXIF blocks and previews before it are stepped over, whatever their size."""
    for marker, position in _walk_segments(file):
        if marker in _FRAMES:
            return _read_frame(file, marker, position)
    raise report_damage("a JPEG without a frame header")


def _decode_jpeg(content: bytes) -> Any:
    if content.rfind(_END_OF_IMAGE) < content.find(bytes([0xFF, _START_OF_SCAN])):
        raise report_damage("a JPEG that is cut short")
    return imagecodecs.jpeg8_decode(content)


def _encode_jpeg(plane: NDArray[Any]) -> bytes:
    """Quality 95 without chroma subsampling, with loss."""
    subsampling = None if plane.ndim == 2 else "444"
    return bytes(imagecodecs.jpeg8_encode(plane, level=_QUALITY, subsampling=subsampling))


def _walk_segments(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Marker and position of its payload, for the segments up to the first scan."""
    position = 2
    while True:
        file.seek(position)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        marker = head[1]
        if marker == 0xFF or marker in _STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        if marker == _START_OF_SCAN:
            return
        yield marker, position + 4
        position += 2 + max(2, int.from_bytes(head[2:], "big"))


def _read_frame(file: BinaryIO, marker: int, position: int) -> PictureHeader:
    file.seek(position)
    precision, height, width, channels = struct.unpack(">BHHB", file.read(6))
    if marker not in _READ_FRAMES:
        raise refuse_kind(f"JPEG of frame type 0x{marker:02X} (lossless or arithmetic)")
    if precision != 8:
        raise refuse_kind(f"{precision} bit JPEG")
    if channels not in (1, 3):
        raise refuse_kind(f"JPEG with {channels} channels (CMYK has 4)")
    if not (height and width):
        raise report_damage(f"a size of {width} x {height}")
    return PictureHeader(height=height, width=width, channels=channels, bit_depth=precision)


def _read_webp_header(file: BinaryIO) -> PictureHeader:
    """The header, of any of the three kinds of WebP."""
    head = file.read(_WEBP_HEADER_BYTES)
    if head[8:12] != b"WEBP":
        raise refuse_kind(f"RIFF file of kind {head[8:12]!r}")
    if len(head) < _WEBP_HEADER_BYTES:
        raise report_damage("a WebP that is cut short")
    width, height = _read_webp_size(head)
    if not (width and height):
        raise report_damage(f"a size of {width} x {height}")
    return PictureHeader(height=height, width=width, channels=3, bit_depth=8)


def _decode_webp(content: bytes) -> Any:
    if len(content) < 8 + int.from_bytes(content[4:8], "little"):
        raise report_damage("a WebP that is cut short")
    pixels = imagecodecs.webp_decode(content)
    return drop_opaque(pixels, opaque=255) if pixels.shape[-1] == 4 else pixels


def _read_webp_size(head: bytes) -> tuple[int, int]:
    kind, payload = head[12:16], head[20:]
    if kind == _LOSSY and payload[3:6] == _KEY_FRAME:
        return _bits(payload[6:8], 0), _bits(payload[8:10], 0)
    if kind == _LOSSLESS and payload[0] == _LOSSLESS_MARK:
        return _bits(payload[1:5], 0) + 1, _bits(payload[1:5], 14) + 1
    if kind == _EXTENDED:
        if payload[0] & _ANIMATED:
            raise refuse_kind("animated WebP", remedy="store one picture per file")
        return int.from_bytes(payload[4:7], "little") + 1, int.from_bytes(payload[7:10], "little") + 1
    raise report_damage(f"a WebP whose first chunk is {kind!r}")


def _bits(field: bytes, start: int) -> int:
    return int.from_bytes(field, "little") >> start & 0x3FFF


JPEG: Final = Codec((b"\xff\xd8\xff",), _read_jpeg_header, _decode_jpeg, _encode_jpeg)
WEBP: Final = Codec((b"RIFF",), _read_webp_header, _decode_webp)
