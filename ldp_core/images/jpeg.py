"""JPEG (ITU-T T.81), 8 bit baseline and progressive. It has no checksums: altered pixels may pass."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import imagecodecs
import numpy as np

from ldp_core.images.header import PictureHeader, refuse_kind, report_damage
from ldp_core.types import Pixels

MAGIC = b"\xff\xd8\xff"

_READ_FRAMES = {0xC0, 0xC1, 0xC2}
_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = b"\xff\xd9"
_QUALITY = 95


def read_header(file: BinaryIO) -> PictureHeader:
    """The frame header. EXIF blocks and previews before it are stepped over, whatever their size."""
    for marker, position in _walk_segments(file):
        if marker in _FRAMES:
            return _read_frame(file, marker, position)
    raise report_damage("a JPEG without a frame header")


def decode(content: bytes) -> Any:
    """Pixels ``(h, w)`` or ``(h, w, 3)`` uint8 of a JPEG whose header was accepted."""
    if content.rfind(_END_OF_IMAGE) < content.find(bytes([0xFF, _START_OF_SCAN])):
        raise report_damage("a JPEG that is cut short")
    return imagecodecs.jpeg8_decode(content)


def encode(pixels: Pixels) -> bytes:
    """A JPEG of quality 95 without chroma subsampling; 8 bit only, with loss."""
    plane = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    subsampling = None if plane.ndim == 2 else "444"
    encoded = imagecodecs.jpeg8_encode(np.ascontiguousarray(plane), level=_QUALITY, subsampling=subsampling)
    return bytes(encoded)


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
