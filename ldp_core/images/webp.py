"""WebP (RFC 9649), 8 bit RGB, lossy or lossless. It has no checksums: altered pixels may pass."""

from __future__ import annotations

from typing import Any, BinaryIO

import imagecodecs

from ldp_core.images.alpha import drop_opaque
from ldp_core.images.header import PictureHeader, refuse_kind, report_damage

MAGIC = b"RIFF"

_HEADER_BYTES = 30
_ANIMATED = 0x02
_LOSSY, _LOSSLESS, _EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
_KEY_FRAME = b"\x9d\x01\x2a"
_LOSSLESS_MARK = 0x2F


def read_header(file: BinaryIO) -> PictureHeader:
    """The header, of any of the three kinds of WebP."""
    head = file.read(_HEADER_BYTES)
    if head[8:12] != b"WEBP":
        raise refuse_kind(f"RIFF file of kind {head[8:12]!r}")
    if len(head) < _HEADER_BYTES:
        raise report_damage("a WebP that is cut short")
    width, height = _read_size(head)
    if not (width and height):
        raise report_damage(f"a size of {width} x {height}")
    return PictureHeader(height=height, width=width, channels=3, bit_depth=8)


def decode(content: bytes) -> Any:
    """Pixels ``(h, w, 3)`` uint8 of a WebP whose header was accepted."""
    if len(content) < 8 + int.from_bytes(content[4:8], "little"):
        raise report_damage("a WebP that is cut short")
    pixels = imagecodecs.webp_decode(content)
    return drop_opaque(pixels, opaque=255) if pixels.shape[-1] == 4 else pixels


def _read_size(head: bytes) -> tuple[int, int]:
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
