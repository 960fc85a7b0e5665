"""Smoothing, halving and enlarging of (1, 1, h, w) float32 planes."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def smooth(plane: Tensor, sigma_px: float) -> Tensor:
    """Gaussian smoothing with repeated borders; the shape is kept."""
    kernel = _gaussian(sigma_px).to(plane)
    radius = len(kernel) // 2
    rows = F.conv2d(F.pad(plane, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    return F.conv2d(F.pad(rows, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))


def halve(plane: Tensor) -> Tensor:
    """Half the size, rounded up: pixel i lies where pixel 2i lay."""
    return smooth(plane, 1.0)[..., ::2, ::2]


def enlarge(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """Twice the size, bilinear, on the grid that `halve` left: pixel i goes to pixel 2i."""
    height, width = size
    rows = _read_columns(plane.mT, torch.arange(height, device=plane.device) / 2).mT
    return _read_columns(rows, torch.arange(width, device=plane.device) / 2)


def build_pyramid(plane: Tensor, *, levels: int) -> list[Tensor]:
    """The plane and `levels` halvings of it, the largest first."""
    planes = [plane]
    for _ in range(levels):
        planes.append(halve(planes[-1]))
    return planes


@lru_cache(maxsize=32)
def _gaussian(sigma_px: float) -> Tensor:
    radius = max(1, math.ceil(3 * sigma_px))
    weights = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * sigma_px**2))
    return weights / weights.sum()


def _read_columns(plane: Tensor, place: Tensor) -> Tensor:
    """Linear interpolation along the last axis at the given places, the border repeated."""
    last = plane.shape[-1] - 1
    low = place.long().clamp_max(last)
    return torch.lerp(plane[..., low], plane[..., (low + 1).clamp_max(last)], place - place.floor())
