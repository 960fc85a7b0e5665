"""How noisy a dual-pixel pair is, measured on what its two views do not share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

__all__ = ["measure_noise"]

_LAPLACIAN = torch.tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6
_MAD_OF_UNIT_NORMAL = 0.6745


def measure_noise(left: Tensor, right: Tensor) -> float:
    """Standard deviation of the noise of one view, mean over channels.

    The views differ by noise and by slow parallax; a difference of Laplacians (Immerkaer, CVIU 1996)
    passes the former, and the median ignores the edges where the latter still shows.

    Args:
        left, right: (c, h, w) in 0..1.
    """
    if min(left.shape[-2:]) < 3:
        return 0.0
    difference = (left - right)[:, None] / 2**0.5
    fine = conv2d(difference, _LAPLACIAN[None, None]).abs().flatten(1)
    return float(fine.median(1).values.mean()) / _MAD_OF_UNIT_NORMAL
