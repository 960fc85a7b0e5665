"""Restored values to pixels."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ldp_core.types import Pixels

_BAND_ROWS = 256


def to_pixels(picture: Tensor, *, peak: int) -> Pixels:
    """(c, h, w) float, clipped to 0..1, as (h, w, c) uint8 (peak 255) or uint16; in bands of rows, since
    it takes double precision to round alike everywhere."""
    channels, height, width = picture.shape
    pixels = np.empty((height, width, channels), np.uint16 if peak > 255 else np.uint8)
    for top in range(0, height, _BAND_ROWS):
        band = picture[:, top : top + _BAND_ROWS].clamp(0, 1).double() * peak
        pixels[top : top + _BAND_ROWS] = band.round().permute(1, 2, 0).numpy()
    return pixels
