"""OpenEXR, one part of scan lines or tiles, half or float in 0..1. Uncompressed blocks have no checksums.

The header is read here, so that limits hold before a decoder starts; pixels by the package OpenEXR.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from ldp_core.images.alpha import drop_opaque
from ldp_core.images.floats import quantise
from ldp_core.images.header import PictureHeader, refuse_kind, report_damage, require_package

MAGIC = b"\x76\x2f\x31\x01"

_NOT_FLAT = 0x0800 | 0x1000
_ORDERS = (("Y",), ("R", "G", "B"), ("Y", "A"), ("R", "G", "B", "A"))
_TYPES = {1: np.float16, 2: np.float32}
_MAX_ATTRIBUTES = 1000
_MAX_ATTRIBUTE_BYTES = 2**20

Channels = dict[str, tuple[int, int, int]]
"""Pixel type and sampling in x and y by name."""


def read_header(file: BinaryIO) -> PictureHeader:
    """The header: channels ``Y`` or ``R G B``, with an opaque ``A`` or without."""
    require_package("OpenEXR", kind="EXR")
    attributes = _read_attributes(file)
    order = _find_order(_parse_channels(attributes["channels"]))
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    if attributes["dataWindow"] != attributes["displayWindow"]:
        raise refuse_kind("EXR whose data do not fill its display window")
    if right < left or bottom < top:
        raise report_damage(f"a size of {right - left + 1} x {bottom - top + 1}")
    channels = 3 if "R" in order else 1
    return PictureHeader(height=bottom - top + 1, width=right - left + 1, channels=channels, bit_depth=16)


def decode(content: bytes) -> Any:
    """Pixels ``(h, w, 1 or 3)`` uint16 of an EXR whose header was accepted."""
    from OpenEXR import InputFile

    attributes = _read_attributes(io.BytesIO(content))
    channels = _parse_channels(attributes["channels"])
    _, top, _, bottom = struct.unpack("<4i", attributes["dataWindow"])
    file = InputFile(io.BytesIO(content))
    planes = [
        np.frombuffer(file.channel(name), _TYPES[channels[name][0]]).reshape(bottom - top + 1, -1)
        for name in _find_order(channels)
    ]
    pixels = np.stack(planes, axis=-1)
    return quantise(drop_opaque(pixels, opaque=1.0) if len(planes) in (2, 4) else pixels)


def _read_attributes(file: BinaryIO) -> Mapping[str, bytes]:
    file.seek(len(MAGIC))
    version = int.from_bytes(file.read(4), "little")
    if version & _NOT_FLAT:
        raise refuse_kind("EXR with several parts or deep pixels", remedy="store one flat picture per file")
    return dict(_walk_attributes(file))


def _walk_attributes(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    for _ in range(_MAX_ATTRIBUTES):
        name = _read_text(file)
        if not name:
            return
        _read_text(file)
        size = int.from_bytes(file.read(4), "little")
        if size > _MAX_ATTRIBUTE_BYTES:
            raise report_damage(f"an EXR attribute of {size} bytes")
        yield name, file.read(size)
    raise report_damage(f"more than {_MAX_ATTRIBUTES} EXR attributes")


def _read_text(file: BinaryIO) -> str:
    letters = bytearray()
    while (letter := file.read(1)) != b"\0":
        if not letter or len(letters) > 255:
            raise report_damage("an EXR whose header does not end")
        letters += letter
    return letters.decode("latin-1")


def _parse_channels(packed: bytes) -> Channels:
    file, channels = io.BytesIO(packed), Channels()
    while name := _read_text(file):
        pixel_type, _, x_sampling, y_sampling = struct.unpack("<4i", file.read(16))
        channels[name] = (pixel_type, x_sampling, y_sampling)
    return channels


def _find_order(channels: Channels) -> tuple[str, ...]:
    """The channels in the order of pixels, if they are a grey or RGB picture of one type."""
    for order in _ORDERS:
        if set(order) == channels.keys() and len(set(channels.values())) == 1:
            pixel_type, *sampling = channels[order[0]]
            if pixel_type in _TYPES and sampling == [1, 1]:
                return order
    raise refuse_kind(f"EXR with the channels {', '.join(f'{n} {v}' for n, v in sorted(channels.items()))}")
