"""Slices of a scene by blur: levels of the signed circle of confusion, mixed between neighbours."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["choose_levels", "level_weights"]


def choose_levels(*, lowest: float, highest: float, step_px: float, growth: float) -> list[float]:
    """Signed diameters in px that enclose lowest..highest, zero among the candidates.

    Kernels change with the relative size of the circle, so steps widen from `step_px` at focus to
    `growth` times the diameter.
    """
    reach = max(highest, -lowest, 0.0)
    grid = [0.0]
    while grid[-1] < reach:
        grid.append(grid[-1] + max(step_px, growth * grid[-1]))
    ladder = np.array([-level for level in grid[:0:-1]] + grid)
    first = max(int(np.searchsorted(ladder, lowest, side="right")) - 1, 0)
    last = min(int(np.searchsorted(ladder, highest)), len(ladder) - 1)
    return [float(level) for level in ladder[first : last + 1]]


def level_weights(coc_px: Tensor, levels: list[float], index: int) -> Tensor:
    """Share of one level at every pixel: linear between neighbouring levels, all shares add up to 1.

    Args:
        coc_px: (h, w) signed diameters.

    Returns:
        (h, w) in 0..1.
    """
    weight = torch.ones_like(coc_px)
    if index > 0:
        weight = torch.minimum(weight, (coc_px - levels[index - 1]) / (levels[index] - levels[index - 1]))
    if index + 1 < len(levels):
        weight = torch.minimum(weight, (levels[index + 1] - coc_px) / (levels[index + 1] - levels[index]))
    return weight.clamp(0, 1)
