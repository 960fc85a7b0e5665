"""Batches of training crops: cut from frames and mirrored at random.

The batch of a step depends on the seed and the step alone, so a resumed run sees the same batches.
All shares are our own choices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ldp_core.deblur.ldp_network import coc_planes, hide_sign
from ldp_core.settings import Settings
from ldp_core.training.frames import FrameCache

Array = NDArray[np.generic]
MapSource = Literal["disparity", "truth"]


class BatchSettings(Settings):
    """How crops are cut, and what the network is told. Shares are probabilities per batch."""

    crop_px: int = Field(default=128, ge=32)
    batch: int = Field(default=8, ge=1)
    map_source: MapSource = "disparity"
    """The map of the estimator, as restoration will have it, or the true one."""
    unsigned_share: float = Field(default=0.1, ge=0, le=1)
    """How often the map comes without its sign, and without wiener, which needs the sign."""
    mapless_share: float = Field(default=0.1, ge=0, le=1)
    """How often there is no map at all, and no wiener."""


@dataclass(frozen=True, slots=True)
class Batch:
    """`left`, `right`, `sharp` and `wiener` (b, 3, h, w) in 0..1; `coc_px` (b, 1, h, w) is the truth.

    `planes` is the map as the network reads it.
    """

    left: Tensor
    right: Tensor
    sharp: Tensor
    coc_px: Tensor
    planes: Tensor | None
    wiener: Tensor | None

    def to(self, device: str) -> Batch:
        """On another device, images with channels last."""
        planes = None if self.planes is None else self.planes.to(device)
        wiener = None if self.wiener is None else _place(self.wiener, device)
        left, right, sharp = (_place(x, device) for x in (self.left, self.right, self.sharp))
        return Batch(left, right, sharp, self.coc_px.to(device), planes, wiener)


def draw_batch(
    cache: FrameCache, settings: BatchSettings, *, seed: int, step: int, frames: int, rank: int = 0
) -> Batch:
    """The batch of one step and one process, from the first `frames` frames of the cache."""
    rng = np.random.default_rng([seed, step, rank])
    crops = [draw_crop(rng, cache, settings.crop_px, frames=frames) for _ in range(settings.batch)]
    views = torch.from_numpy(np.stack([views for views, _ in crops]).transpose(0, 1, 4, 2, 3).copy())
    maps = torch.from_numpy(np.stack([maps for _, maps in crops]))
    left, right, sharp, wiener = (views.float() / 255).unbind(1)
    truth, estimate = maps[:, :1], maps[:, 1:]
    planes = coc_planes(estimate if settings.map_source == "disparity" else truth)
    kind = rng.random()
    if kind < settings.mapless_share:
        return Batch(left, right, sharp, truth, None, None)
    if kind < settings.mapless_share + settings.unsigned_share:
        return Batch(left, right, sharp, truth, hide_sign(planes), None)
    return Batch(left, right, sharp, truth, planes, wiener)


def draw_crop(rng: np.random.Generator, cache: FrameCache, side: int, *, frames: int) -> tuple[Array, Array]:
    """Views (4, side, side, 3) and maps (2, side, side) of one crop, mirrored at random."""
    frame = cache[int(rng.integers(frames))]
    height, width = frame.maps.shape[1:]
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    window = (slice(None), slice(top, top + side), slice(left, left + side))
    return mirror(frame.views[window], frame.maps[window], across=rng.random() < 0.5, down=rng.random() < 0.5)


def mirror(views: Array, maps: Array, *, across: bool, down: bool) -> tuple[Array, Array]:
    """Turn a crop over. Across, left and right change places: the sign of the blur stays."""
    if across:
        views, maps = views[[1, 0, 2, 3], :, ::-1], maps[:, :, ::-1]
    return (views[:, ::-1], maps[:, ::-1]) if down else (views, maps)


def _place(images: Tensor, device: str) -> Tensor:
    return images.to(device).contiguous(memory_format=torch.channels_last)
