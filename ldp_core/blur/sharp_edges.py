"""Edges in focus are taken out of the views before the blurred rest is matched.

A sharp bar before a defocused wall holds most of the contrast around it. Blurred with the large kernels that
the wall asks for, it reaches as far as they do, and the wall beside it matches at no circle of confusion but
the bar's. So the gradients of what is in focus are set to zero and the views put together again from the
others: the wall remains as if the bar were not there. What is in focus is told by how much its gradient falls
from a small to a larger Gaussian (Zhuo and Sim, "Defocus map estimation from a single image", Pattern
Recognition 44, 2011). Integration follows Perez et al., "Poisson image editing", 2003.

Planes are (1, 1, h, w) float32.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from scipy import fft
from torch import Tensor
from torch.nn import functional as F

from ldp_core.blur.matching import smooth
from ldp_core.signals import spread_maxima

__all__ = ["find_sharp_edges", "halve_mask", "remove_edges"]

_FINE_PX: Final = 1.0
_COARSE_PX: Final = 3.0
# A step's gradient falls 2.7 times from the fine to the coarse Gaussian in focus, 2.0 times at a circle of
# confusion of 5 px, 1.3 times at 12 px.
_IN_FOCUS_RATIO: Final = 2.0
# A thin line falls as much at a circle of confusion of 10 px as an edge at 5 px. So the gradient is compared
# with the whole change around it as well: of an edge .38 a pixel in focus, .25 at 5 px; of a line .5, and .24
# at 10 px; of a blurred fine texture up to .31. Without it window frames behind a post of a Canon scene count
# as in focus.
_IN_FOCUS_SHARE: Final = 0.33
_AROUND_PX: Final = 3
# Noise falls more than any edge, and so do the finest blurred textures: only what stands out of both counts.
_NOISE_DEVIATIONS: Final = 4.0
# A step of .07 in focus. With .002 blurred textures of a short period count as in focus, and are lost.
_LEAST_GRADIENT: Final = 0.025
# Part of the gradient over which an edge becomes one in focus: at a step the last bits of a sum, which differ
# between processors, would decide on it, and move a map by pixels.
_RAMP: Final = 0.2
# An edge and its flanks, after the fine Gaussian.
_REACH_PX: Final = 2


def find_sharp_edges(left: Tensor, right: Tensor, *, noise: float) -> Tensor:
    """1 on and close beside edges that are nearly in focus, 0 elsewhere, and between where that is not clear.

    Args:
        left, right: views in 0..1.
        noise: standard deviation of one view's noise.
    """
    mean = (left + right) / 2
    smoothed = smooth(mean, _FINE_PX)
    fine, coarse = _gradient(smoothed), _gradient(smooth(mean, _COARSE_PX))
    of_noise = noise / math.sqrt(8 * math.pi) / _FINE_PX**2
    least = _NOISE_DEVIATIONS * of_noise + _LEAST_GRADIENT
    needed = torch.maximum(_IN_FOCUS_RATIO * coarse, _IN_FOCUS_SHARE * _range(smoothed)).clamp_min(least)
    sharp = ((fine / needed - 1) / _RAMP + 0.5).clamp(0, 1)
    *_, reached = spread_maxima(sharp, (1, _REACH_PX))
    return reached


def halve_mask(mask: Tensor) -> Tensor:
    """On the grid of a halved picture, 1 wherever the mask is 1 close by."""
    return F.max_pool2d(mask, 3, stride=2, padding=1)


def remove_edges(view: Tensor, mask: Tensor) -> Tensor:
    """The view without the differences between neighbours of which one is in the mask; its mean is kept."""
    if not float(mask.max()) > 0:
        return view
    total = torch.zeros_like(view)
    for axis in (-1, -2):
        length = view.shape[axis]
        if length < 2:
            continue
        masked = torch.maximum(mask.narrow(axis, 0, length - 1), mask.narrow(axis, 1, length - 1))
        step = view.diff(dim=axis) * (1 - masked)
        total.narrow(axis, 0, length - 1).sub_(step)
        total.narrow(axis, 1, length - 1).add_(step)
    return _integrate(total) + view.mean()


def _integrate(divergence: Tensor) -> Tensor:
    """Solution of Poisson's equation with mirrored borders, of mean 0, by a cosine transform."""
    spectrum = fft.dctn(divergence[0, 0].numpy(), type=2)
    down, across = (2 - 2 * np.cos(np.pi * np.arange(n, dtype=np.float32) / n) for n in spectrum.shape)
    power = down[:, None] + across
    power[0, 0] = 1
    spectrum = spectrum / power
    spectrum[0, 0] = 0
    return torch.from_numpy(fft.idctn(spectrum.astype(np.float32), type=2))[None, None]


def _gradient(plane: Tensor) -> Tensor:
    """Along each axis the larger of the changes to both neighbours."""
    across = F.pad(plane.diff(dim=-1).abs(), (1, 1))
    down = F.pad(plane.diff(dim=-2).abs(), (0, 0, 1, 1))
    return torch.hypot(
        torch.maximum(across[..., 1:], across[..., :-1]), torch.maximum(down[..., 1:, :], down[..., :-1, :])
    )


def _range(plane: Tensor) -> Tensor:
    """Largest less smallest value around each pixel."""
    (_, highest), (_, lowest) = (spread_maxima(side, (1, _AROUND_PX)) for side in (plane, -plane))
    return highest + lowest
