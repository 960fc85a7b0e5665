"""Batches of training crops: cut from frames, mirrored, coloured and degraded at random.

The batch of a step depends on the seed and the step alone, so a resumed run sees the same batches.
All ranges are our own choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import gaussian_filter, zoom
from torch import Tensor

from ldp_core.deblur.ldp_map import coc_planes
from ldp_core.settings import Settings
from ldp_core.training.degrade import add_noise
from ldp_core.training.frames import VIEWS, Frame, FrameCache

Image = NDArray[np.float32]


class BatchSettings(Settings):
    """How crops are cut and degraded. Shares are probabilities per crop, of maps per batch."""

    crop_px: int = Field(default=128, ge=32)
    batch: int = Field(default=8, ge=1)
    map_share: float = Field(default=0.5, ge=0, le=1)
    """How often the network is given a blur map."""
    palette_share: float = Field(default=0.45, ge=0, le=1)
    noise_share: float = Field(default=0.5, ge=0, le=1)
    largest_noise: float = Field(default=0.03, ge=0)
    grey_share: float = Field(default=0.15, ge=0, le=1)
    gain_deviation: float = Field(default=0.02, ge=0)


@dataclass(frozen=True, slots=True)
class Batch:
    """`left`, `right`, `sharp` (b, 3, h, w) in 0..1; `coc_px` (b, 1, h, w) true, `planes` as estimated."""

    left: Tensor
    right: Tensor
    sharp: Tensor
    coc_px: Tensor
    planes: Tensor | None

    def to(self, device: str) -> Batch:
        """On another device, images with channels last."""
        planes = None if self.planes is None else self.planes.to(device)
        left, right, sharp = (_place(x, device) for x in (self.left, self.right, self.sharp))
        return Batch(left, right, sharp, self.coc_px.to(device), planes)


@dataclass(frozen=True, slots=True)
class Crop:
    """Images (h, w, 3) float32 in 0..1 and signed circles of confusion (h, w) in pixels."""

    left: Image
    right: Image
    sharp: Image
    coc_px: Image


def draw_batch(
    cache: FrameCache, settings: BatchSettings, *, seed: int, step: int, frames: int, rank: int = 0
) -> Batch:
    """The batch of one step and one process, from the first `frames` frames of the cache."""
    rng = np.random.default_rng([seed, step, rank])
    crops = [draw_crop(rng, cache[int(rng.integers(frames))], settings) for _ in range(settings.batch)]
    coc_px = _stack([crop.coc_px[..., None] for crop in crops])
    planes = None
    if rng.random() < settings.map_share:
        planes = coc_planes(_stack([imitate_estimate(rng, crop.coc_px)[..., None] for crop in crops]))
    left, right, sharp = (_stack([getattr(crop, name) for crop in crops]) for name in VIEWS[:3])
    return Batch(left, right, sharp, coc_px, planes)


def draw_crop(rng: np.random.Generator, frame: Frame, settings: BatchSettings) -> Crop:
    """One crop of a frame, mirrored and degraded."""
    height, width = frame.coc_px.shape
    side = settings.crop_px
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    window = (slice(top, top + side), slice(left, left + side))
    chosen = [3, 4, 2] if rng.random() < settings.palette_share else [0, 1, 2]
    left, right, sharp = (frame.views[index][window].astype(np.float32) / 255 for index in chosen)
    crop = Crop(left, right, sharp, frame.coc_px[window])
    crop = mirror(crop, across=rng.random() < 0.5, down=rng.random() < 0.5)
    return _degrade(rng, _recolour(rng, crop, grey_share=settings.grey_share), settings)


def mirror(crop: Crop, *, across: bool, down: bool) -> Crop:
    """Turn a crop over. Across, the views change places: the sign of the blur stays."""
    if across:
        across_order = slice(None), slice(None, None, -1)
        crop = _pick(Crop(crop.right, crop.left, crop.sharp, crop.coc_px), across_order)
    return _pick(crop, (slice(None, None, -1),)) if down else crop


def _pick(crop: Crop, where: tuple[slice, ...]) -> Crop:
    return Crop(crop.left[where], crop.right[where], crop.sharp[where], crop.coc_px[where])


def _recolour(rng: np.random.Generator, crop: Crop, *, grey_share: float) -> Crop:
    order = rng.permutation(3) if rng.random() < 0.3 else np.arange(3)
    if rng.random() < grey_share:
        order = np.array([1, 1, 1])
    gain = rng.uniform(0.7, 1.1)
    left, right, sharp = (_scale(x[..., order], gain) for x in (crop.left, crop.right, crop.sharp))
    return Crop(left, right, sharp, crop.coc_px)


def _scale(view: Image, gain: Image | float) -> Image:
    return np.asarray((view * gain).clip(0, 1), dtype=np.float32)


def _degrade(rng: np.random.Generator, crop: Crop, settings: BatchSettings) -> Crop:
    gain = 1 + _draw_ramp(rng, crop.coc_px.shape[1]) * settings.gain_deviation
    left, right = _scale(crop.left, gain), _scale(crop.right, 2 - gain)
    if rng.random() < settings.noise_share:
        read, shot = settings.largest_noise * np.exp(rng.uniform(-3, 0, 2))
        if np.ptp(crop.sharp, axis=2).any():
            left, right = (add_noise(rng, view, read=read, shot=shot) for view in (left, right))
        else:
            left, right = (_add_grey_noise(rng, view, read=read, shot=shot) for view in (left, right))
    return Crop(left, right, crop.sharp, crop.coc_px)


def _add_grey_noise(rng: np.random.Generator, view: Image, *, read: float, shot: float) -> Image:
    return np.repeat(add_noise(rng, view[..., :1], read=read, shot=shot), 3, axis=2)


def _draw_ramp(rng: np.random.Generator, width: int) -> Image:
    """(1, w, 1): a straight line across the crop, of normal deviation."""
    start, stop = rng.standard_normal(2)
    return np.linspace(start, stop, width, dtype=np.float32)[None, :, None]


def imitate_estimate(rng: np.random.Generator, coc_px: Image) -> Image:
    """A true map (h, w) as an estimator might give it: coarse, wrong in scale, here and there wrong."""
    smooth = gaussian_filter(coc_px, float(rng.uniform(0, 12)), mode="nearest")
    scale, offset = np.exp(rng.normal(0, 0.2)), rng.normal(0, 0.5)
    cells = rng.standard_normal((4, 4)) * rng.uniform(0, 3)
    errors = zoom(cells, [n / 4 for n in coc_px.shape], order=1, mode="nearest", grid_mode=True)
    return np.asarray(smooth * scale + offset + errors, dtype=np.float32)


def _place(images: Tensor, device: str) -> Tensor:
    return images.to(device).contiguous(memory_format=torch.channels_last)


def _stack(images: list[Image]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)))
