"""A scene cut by circle of confusion into few slices that share it out without a seam."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_FINEST_STEP_PX = 0.5


@dataclass(frozen=True, slots=True)
class Slices:
    """Levels of the circle of confusion, from the back to the front.

    `levels_px` (b, n) descending; `step_px` (b,) their distance. Zero is a level wherever the scene
    reaches across the focal plane, so that what is in focus stays sharp.
    """

    coc_px: Tensor
    levels_px: Tensor
    step_px: Tensor

    def __len__(self) -> int:
        return self.levels_px.shape[1]

    def share(self, index: int) -> Tensor:
        """Share (b, 1, h, w) of each pixel in one slice; over all slices the shares add up to 1."""
        level = self.levels_px[:, index, None, None, None]
        distance = (self.coc_px[:, None] - level).abs() / self.step_px[:, None, None, None]
        return (1 - distance).clamp_min(0)

    def occupied(self) -> list[int]:
        """Indices of the slices that hold anything in any scene of the batch."""
        position = (self.levels_px[:, :1] - self.coc_px.flatten(1)) / self.step_px[:, None]
        nearest = torch.cat([position.floor(), position.ceil()]).long().clamp(0, len(self) - 1)
        held = torch.bincount(nearest.flatten(), minlength=len(self))
        return [index for index, count in enumerate(held.tolist()) if count]


def cut_slices(coc_px: Tensor, *, count: int) -> Slices:
    """Cut maps (b, h, w) of signed circles of confusion into `count` (3 or more) levels."""
    low, high = coc_px.amin((1, 2)), coc_px.amax((1, 2))
    step = ((high - low) / (count - 2)).clamp_min(_FINEST_STEP_PX)
    origin = torch.zeros_like(low).clamp(low, high)
    top = ((high - origin) / step).ceil()
    index = torch.arange(count, device=coc_px.device, dtype=coc_px.dtype)
    levels = origin[:, None] + step[:, None] * (top[:, None] - index)
    return Slices(coc_px=coc_px, levels_px=levels, step_px=step)
