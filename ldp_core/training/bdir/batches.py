"""Batches of single views and their sharp images, cut from frames and mirrored at random.

The batch of a step depends on the seed and the step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ldp_core.settings import Settings
from ldp_core.training.frames import FrameCache

Bytes = NDArray[np.uint8]


class BdirBatchSettings(Settings):
    """How crops are cut. `sharp` of the batch's crops also go through the networks unblurred."""

    crop_px: int = Field(default=128, ge=32, multiple_of=16)
    batch: int = Field(default=6, ge=1)
    sharp: int = Field(default=2, ge=0)


@dataclass(frozen=True, slots=True)
class BdirBatch:
    """`blurred` and `sharp` (b, 3, h, w) in 0..1; the first `paired` are compared in latent space."""

    blurred: Tensor
    sharp: Tensor
    paired: int

    def to(self, device: str) -> BdirBatch:
        blurred, sharp = (
            x.to(device).contiguous(memory_format=torch.channels_last) for x in (self.blurred, self.sharp)
        )
        return BdirBatch(blurred, sharp, self.paired)


class SingleViews(Protocol):
    """Single views with their truth."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """View and sharp image (h, w, 3) in 0..1."""
        ...


@dataclass(frozen=True)
class MeanViews:
    """The mean of both views of every frame of some caches: not one of them, or parallax is learned."""

    caches: Sequence[FrameCache]

    def __len__(self) -> int:
        return sum(len(cache) for cache in self.caches)

    def read(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        for cache in self.caches:
            if index < len(cache):
                views = cache[index].views
                mean = (views[0].astype(np.float32) + views[1]) / 510
                return mean, views[2].astype(np.float32) / 255
            index -= len(cache)
        raise IndexError(index)


def draw_batch(
    views: SingleViews, settings: BdirBatchSettings, *, count: int, rng: np.random.Generator
) -> BdirBatch:
    """A batch from the first `count` of the views."""
    crops = [_draw_crop(rng, views, settings.crop_px, count=count) for _ in range(settings.batch)]
    stacked = np.stack([np.stack(crop) for crop in crops], axis=1).transpose(0, 1, 4, 2, 3)
    blurred, sharp = torch.from_numpy(stacked.copy()).unbind()
    return BdirBatch(blurred, sharp, settings.sharp)


def _draw_crop(
    rng: np.random.Generator, views: SingleViews, side: int, *, count: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    blurred, sharp = views.read(int(rng.integers(count)))
    top, left = (int(rng.integers(n - side + 1)) for n in blurred.shape[:2])
    window = (slice(top, top + side), slice(left, left + side))
    across, down, over = (bool(chance < 0.5) for chance in rng.random(3))
    turned = [_turn(image[window], across=across, down=down, over=over) for image in (blurred, sharp)]
    return turned[0], turned[1]


def _turn(crop: NDArray[np.float32], *, across: bool, down: bool, over: bool) -> NDArray[np.float32]:
    crop = crop[:, ::-1] if across else crop
    crop = crop[::-1] if down else crop
    return crop.swapaxes(0, 1) if over else crop
