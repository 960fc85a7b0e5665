"""Losses of the deblurring network.

Known of the published three: what they compare, not their formulas or weights. These formulas are
our own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-6


def charbonnier(restored: Tensor, sharp: Tensor) -> Tensor:
    """L_charb: mean of sqrt((restored - sharp)**2 + 1e-6); 0.001 at equality."""
    return _distance(restored, sharp).mean()


def blur_weighted(restored: Tensor, sharp: Tensor, *, blur: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """L_bwl: the same distance where the map says blurred and the input is wrong.

    Args:
        restored, sharp, left, right: (b, c, h, w) in 0..1.
        blur: (b, 1, h', w') unsigned map in 0..1, resized to the images; takes no gradient.
    """
    with torch.no_grad():
        error = ((left + right) / 2 - sharp).abs()
        largest = error.amax((1, 2, 3), keepdim=True).clamp_min(EPSILON)
        weight = F.interpolate(blur, sharp.shape[-2:], mode="bilinear") * error / largest
    return (weight * _distance(restored, sharp)).mean()


def blur_absence(
    restored: Tensor, *, score: Callable[[Tensor], Tensor], sharp_score: float, blurred_score: float
) -> Tensor:
    """L_bal: how far a single-image estimator still calls the result blurred; 0 at `sharp_score`.

    Not clipped at 1, so that gradients survive strong blur.

    Args:
        restored: (b, c, h, w) in 0..1.
        score: differentiable; images to scores of cells of any shape.
        sharp_score, blurred_score: the estimator's score of sharp and of fully blurred cells.
    """
    return F.relu((sharp_score - score(restored)) / (sharp_score - blurred_score)).mean()


def reblur(
    restored: Tensor, *, left: Tensor, right: Tensor, blur: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> Tensor:
    """The result, blurred again with the estimated circle of confusion, against both views.

    After DDDNet (Pan et al., CVPR 2021); the distance is ours. `blur` is differentiable, sharp
    images to a left and a right view.
    """
    again_left, again_right = blur(restored)
    return (charbonnier(again_left, left) + charbonnier(again_right, right)) / 2


def _distance(restored: Tensor, sharp: Tensor) -> Tensor:
    return ((restored - sharp) ** 2 + EPSILON).sqrt()
