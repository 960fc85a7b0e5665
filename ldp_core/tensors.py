"""Pictures as tensors and back, and the device on which tensors are computed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ldp_core.types import Pixels

_BAND_ROWS = 256


def choose_device() -> str:
    """``cuda`` where there is a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def autocast(device: torch.device | str) -> torch.autocast:
    """bfloat16 on a GPU, float32 elsewhere."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda")


def to_tensor(picture: Pixels, *, peak: int | None = None) -> Tensor:
    """(c, h, w) float32 in 0..1 of integer pixels (h, w, c); ``peak``: full scale, else the type's."""
    scaled = picture.astype(np.float32) / _scale_of(picture, peak)
    return torch.from_numpy(scaled).permute(2, 0, 1).contiguous()


def to_rgb(picture: Pixels, *, peak: int | None = None) -> Tensor:
    """`to_tensor` with three channels (3, h, w); one grey plane is repeated."""
    return to_tensor(picture, peak=peak).expand(3, -1, -1).contiguous()


def to_grey(picture: Pixels, *, peak: int | None = None) -> Tensor:
    """(1, 1, h, w) float32 in 0..1 of integer pixels (h, w, c): the mean of the channels."""
    # Averaged before scaling: sums of integers are exact.
    grey = picture.mean(axis=-1, dtype=np.float32) / _scale_of(picture, peak)
    return torch.from_numpy(grey)[None, None]


def to_pixels(picture: Tensor, *, peak: int) -> Pixels:
    """(h, w, c) uint8 (peak 255) or uint16 of (c, h, w) floats, clipped to 0..1."""
    channels, height, width = picture.shape
    pixels = np.empty((height, width, channels), np.uint16 if peak > 255 else np.uint8)
    # Float64, so that 16 bit round alike everywhere; in bands, so that memory stays small.
    for top in range(0, height, _BAND_ROWS):
        band = picture[:, top : top + _BAND_ROWS].clamp(0, 1).double() * peak
        pixels[top : top + _BAND_ROWS] = band.round().permute(1, 2, 0).numpy()
    return pixels


def _scale_of(picture: Pixels, peak: int | None) -> np.float32:
    return np.float32(np.iinfo(picture.dtype).max if peak is None else peak)
