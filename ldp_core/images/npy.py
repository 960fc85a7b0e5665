"""NPY (NumPy's own format), versions 1 to 3: integers as they are, floating point in 0..1."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from ldp_core.images.floats import quantise
from ldp_core.images.header import PictureHeader, refuse_kind, report_damage

MAGIC = b"\x93NUMPY"

_INTEGERS = {"u1": 8, "u2": 16}
_FLOATS = {"f2", "f4", "f8"}


def read_header(file: BinaryIO) -> PictureHeader:
    """The header: shape ``(h, w)`` or ``(h, w, 1 or 3)``, uint8, uint16 or float16 to float64."""
    shape, _, dtype = _read_fields(file)
    kind = f"{dtype.kind}{dtype.itemsize}"
    if kind not in _INTEGERS.keys() | _FLOATS or dtype.hasobject or dtype.subdtype:
        raise refuse_kind(f"NPY of {dtype}", remedy="store uint8, uint16, or floating point in 0..1")
    channels = 1 if len(shape) == 2 else shape[-1]
    if len(shape) not in (2, 3) or channels not in (1, 3) or 0 in shape:
        raise refuse_kind(f"NPY of shape {shape}", remedy="store (h, w), (h, w, 1) or (h, w, 3)")
    return PictureHeader(
        height=shape[0], width=shape[1], channels=channels, bit_depth=_INTEGERS.get(kind, 16)
    )


def decode(content: bytes) -> Any:
    """Pixels of an NPY whose header was accepted; floating point is quantised to 16 bit."""
    file = io.BytesIO(content)
    shape, by_columns, dtype = _read_fields(file)
    expected = int(np.prod(shape)) * dtype.itemsize
    if len(content) - file.tell() != expected:
        raise report_damage(f"{len(content) - file.tell()} bytes of pixels where {expected} are announced")
    flat = np.frombuffer(content, dtype, offset=file.tell())
    pixels = flat.reshape(shape, order="F" if by_columns else "C")
    if dtype.kind == "f":
        return quantise(pixels)
    return pixels.astype(dtype.newbyteorder("="))


def _read_fields(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, dtype = read(file)
    return tuple(shape), bool(by_columns), np.dtype(dtype)
