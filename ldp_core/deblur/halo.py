"""Halos beside strong edges: a restored value may leave the range of its surroundings only so far."""

from __future__ import annotations

import torch
from scipy.ndimage import maximum_filter
from torch import Tensor

__all__ = ["limit_halos"]

_RADII_PX = (1, 2, 4, 8, 16)
_RADIUS_PER_COC = 0.25


def limit_halos(picture: Tensor, views: Tensor, coc_px: Tensor, *, slack: float) -> Tensor:
    """Keep each pixel near the range that the views span around it.

    The surroundings are half as wide as the circle of confusion. In focus they are the pixel's
    neighbours, so that content which passed unchanged is never touched.

    Args:
        picture: (c, h, w) restored.
        views: (2, c, h, w).
        coc_px: (h, w) signed diameters in pixels.
        slack: how far beyond the range a value may lie, in parts of the range.

    Returns:
        (c, h, w)
    """
    octave = (coc_px.abs() * _RADIUS_PER_COC).clamp(_RADII_PX[0], _RADII_PX[-1]).log2()
    highest, lowest = views.amax(0), views.amin(0)
    above, below = torch.zeros_like(picture), torch.zeros_like(picture)
    for index, radius_px in enumerate(_RADII_PX):
        share = (1 - (octave - index).abs()).clamp_min(0)
        if float(share.max()) > 0:
            above += share * _spread_maximum(highest, radius_px)
            below -= share * _spread_maximum(-lowest, radius_px)
    allowance = slack * (above - below)
    return torch.minimum(torch.maximum(picture, below - allowance), above + allowance)


def _spread_maximum(picture: Tensor, radius_px: int) -> Tensor:
    side = 2 * radius_px + 1
    return torch.from_numpy(maximum_filter(picture.numpy(), size=(1, side, side), mode="nearest"))
