"""Arrays as pictures: NPY (NumPy's format, versions 1 to 3) and OpenEXR (one part, scan lines or tiles).

Integers of NPY are kept as they are; floating point must lie in 0..1 and becomes 16 bit. Neither format has
checksums of uncompressed values. The header of an EXR is read here, so that limits hold before its decoder
starts; its pixels are read by the package OpenEXR.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy

from ldp_core.images.codec import (
    Codec,
    PictureHeader,
    drop_opaque,
    quantise,
    refuse_kind,
    report_damage,
    require_package,
)
from ldp_core.images.colour import SRGB, from_chromaticities
from ldp_core.images.scale import FULL_SCALE
from ldp_core.images.traits import PictureTraits

_NPY_INTEGERS: Final = {"u1": 8, "u2": 16}
_NPY_FLOATS: Final = {"f2", "f4", "f8"}

_EXR_MAGIC: Final = b"\x76\x2f\x31\x01"
_NOT_FLAT: Final = 0x0800 | 0x1000
_CHANNEL_ORDERS: Final = (("Y",), ("R", "G", "B"), ("Y", "A"), ("R", "G", "B", "A"))
_EXR_TYPES: Final = {1: np.float16, 2: np.float32}
# A dozen attributes of some hundred bytes are usual; the bounds end files whose header has no end.
_MAX_ATTRIBUTES: Final = 1000
_CHROMATICITIES_BYTES: Final = 32
_MAX_ATTRIBUTE_BYTES: Final = 2**20
_MAX_NAME_LETTERS: Final = 255

Channels = dict[str, tuple[int, int, int]]
"""Pixel type and sampling in x and y by name."""


def _read_npy_header(file: BinaryIO) -> PictureHeader:
    """Shape ``(h, w)`` or ``(h, w, 1 or 3)``, uint8, uint16 or float16 to float64."""
    shape, _, dtype = _read_npy_fields(file)
    start = file.tell()
    kind = f"{dtype.kind}{dtype.itemsize}"
    if kind not in _NPY_INTEGERS.keys() | _NPY_FLOATS or dtype.hasobject or dtype.subdtype:
        raise refuse_kind(f"NPY of {dtype}", remedy="store uint8, uint16, or floating point in 0..1")
    channels = 1 if len(shape) == 2 else shape[-1]
    if len(shape) not in (2, 3) or channels not in (1, 3) or min(shape) < 1:
        raise refuse_kind(f"NPY of shape {shape}", remedy="store (h, w), (h, w, 1) or (h, w, 3)")
    return PictureHeader(
        height=shape[0],
        width=shape[1],
        channels=channels,
        bit_depth=_NPY_INTEGERS.get(kind, 16),
        least_bytes=start + math.prod(shape) * dtype.itemsize,
        traits=PictureTraits(peak=FULL_SCALE if dtype.kind == "f" else None),
    )


def _decode_npy(content: bytes) -> Any:
    file = io.BytesIO(content)
    shape, by_columns, dtype = _read_npy_fields(file)
    expected = int(np.prod(shape)) * dtype.itemsize
    if len(content) - file.tell() != expected:
        raise report_damage(f"{len(content) - file.tell()} bytes of pixels where {expected} are announced")
    flat = np.frombuffer(content, dtype, offset=file.tell())
    pixels = flat.reshape(shape, order="F" if by_columns else "C")
    if dtype.kind == "f":
        return quantise(pixels)
    return pixels.astype(dtype.newbyteorder("="))


def _read_npy_fields(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, dtype = read(file)
    return tuple(shape), bool(by_columns), np.dtype(dtype)


def _read_exr_header(file: BinaryIO) -> PictureHeader:
    """Channels ``Y`` or ``R G B``, with an opaque ``A`` or without."""
    require_package("OpenEXR", kind="EXR")
    attributes = _read_attributes(file)
    order = _find_order(_parse_channels(attributes["channels"]))
    left, top, right, bottom = struct.unpack("<4i", attributes["dataWindow"])
    if attributes["dataWindow"] != attributes["displayWindow"]:
        raise refuse_kind("EXR whose data do not fill its display window")
    if right < left or bottom < top:
        raise report_damage(f"a size of {right - left + 1} x {bottom - top + 1}")
    channels = 3 if "R" in order else 1
    profile = _read_chromaticities(attributes.get("chromaticities", b"")) if channels == 3 else SRGB
    return PictureHeader(
        height=bottom - top + 1,
        width=right - left + 1,
        channels=channels,
        bit_depth=16,
        traits=PictureTraits(peak=FULL_SCALE, profile=profile),
    )


def _read_chromaticities(packed: bytes) -> bytes:
    """Of red, green, blue and white; the curve is taken as that of sRGB, as of all values here."""
    if len(packed) != _CHROMATICITIES_BYTES:
        return SRGB
    *primaries, white_x, white_y = struct.unpack("<8f", packed)
    return from_chromaticities(tuple(primaries), (white_x, white_y))


def _decode_exr(content: bytes) -> Any:
    from OpenEXR import InputFile

    attributes = _read_attributes(io.BytesIO(content))
    channels = _parse_channels(attributes["channels"])
    _, top, _, bottom = struct.unpack("<4i", attributes["dataWindow"])
    file = InputFile(io.BytesIO(content))
    planes = [
        np.frombuffer(file.channel(name), _EXR_TYPES[channels[name][0]]).reshape(bottom - top + 1, -1)
        for name in _find_order(channels)
    ]
    pixels = np.stack(planes, axis=-1)
    return quantise(drop_opaque(pixels, opaque=1.0) if len(planes) in (2, 4) else pixels)


def _read_attributes(file: BinaryIO) -> Mapping[str, bytes]:
    file.seek(len(_EXR_MAGIC))
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
        if not letter or len(letters) > _MAX_NAME_LETTERS:
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
    for order in _CHANNEL_ORDERS:
        if set(order) == channels.keys() and len(set(channels.values())) == 1:
            pixel_type, *sampling = channels[order[0]]
            if pixel_type in _EXR_TYPES and sampling == [1, 1]:
                return order
    raise refuse_kind(f"EXR with the channels {', '.join(f'{n} {v}' for n, v in sorted(channels.items()))}")


NPY: Final = Codec((b"\x93NUMPY",), _read_npy_header, _decode_npy)
EXR: Final = Codec((_EXR_MAGIC,), _read_exr_header, _decode_exr)
