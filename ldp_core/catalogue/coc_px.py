"""Signed circles of confusion as 16-bit grey pictures: ``px = (value - 32768) / 128``, -256 .. 255.99 px."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import ImageFormatError
from ldp_core.types import FloatMap, Pixels

STEPS_PER_PX: Final = 128
ZERO: Final = 32768


def encode_coc_px(coc_px: FloatMap) -> NDArray[np.uint16]:
    """``(h, w)`` px to ``(h, w, 1)`` uint16, rounded to 1/128 px and clipped to what 16 bits hold."""
    values = np.rint(coc_px.astype(np.float64) * STEPS_PER_PX) + ZERO
    stored: NDArray[np.uint16] = np.clip(values, 0, 65535).astype(np.uint16)[..., None]
    return stored


def decode_coc_px(stored: Pixels, *, where: str) -> FloatMap:
    """``(h, w, 1)`` uint16 to ``(h, w)`` float32 px.

    Raises:
        ImageFormatError: the picture is not 16-bit grey.
    """
    if stored.dtype != np.uint16 or stored.shape[2] != 1:
        raise ImageFormatError(
            "a map of circles of confusion must be 16-bit grey",
            where=where,
            expected="(h, w, 1) uint16, px = (value - 32768) / 128",
            got=f"{stored.shape} {stored.dtype}",
            remedy="write it with ldp_core.catalogue.encode_coc_px, or leave the folder coc/ out",
        )
    return ((stored[..., 0].astype(np.float32) - ZERO) / STEPS_PER_PX).astype(np.float32)
