"""The two views made comparable: one luminance plane each, of equal local brightness, noise known."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.blur.pyramid import smooth
from ldp_core.types import Pixels

_QUANTISATION = 0.3 / 255
_FIRST_HALVING = 0.28
_DARK = 1e-3
_COARSE_PX = 8
_COARSE_SIGMA = 10.0


def luminance(view: Pixels) -> Tensor:
    """(h, w, c) integer pixels -> (1, 1, h, w) float32 in 0..1, the mean of the channels."""
    grey = view.mean(axis=-1, dtype=np.float32) / np.float32(np.iinfo(view.dtype).max)
    return torch.from_numpy(grey)[None, None]


def equalise_gain(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Both views brought to their common local brightness, so that gain and vignetting drop out."""
    ratio = ((_local_mean(left) + _DARK) / (_local_mean(right) + _DARK)).sqrt()
    ratio = F.interpolate(ratio, size=left.shape[-2:], mode="bilinear")
    return left / ratio, right * ratio


def noise_level(left: Tensor, right: Tensor) -> float:
    """Standard deviation of one view's noise, from the mixed difference of the views' difference."""
    mixed = (left - right).diff(dim=-1).diff(dim=-2)
    median = float(mixed.abs().median()) if mixed.numel() else 0.0
    return max(median / 0.6745 / math.sqrt(8), _QUANTISATION)


def halved_noise(sigma: float, level: int) -> float:
    """What is left of white noise after `level` halvings."""
    return sigma if level == 0 else sigma * _FIRST_HALVING * 0.5 ** (level - 1)


def _local_mean(plane: Tensor) -> Tensor:
    """Coarse brightness, over an area much wider than any disparity."""
    height, width = (math.ceil(n / _COARSE_PX) for n in plane.shape[-2:])
    return smooth(F.adaptive_avg_pool2d(plane, (height, width)), _COARSE_SIGMA)
