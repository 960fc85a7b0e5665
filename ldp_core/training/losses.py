"""Losses of the deblurring network.

Known of the published three (L_charb, L_bwl, L_bal): what they compare, not their formulas or weights. These
formulas are our own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.blur.clip_calibration import calibrate_on_scenes
from ldp_core.blur.clip_card import CellFormat
from ldp_core.blur.clip_model import ClipModel, encode_prompts
from ldp_core.optics.kernels import DEFAULT_KERNEL

# Differences below .001, a quarter of a step of 8 bit, count quadratically.
EPSILON = 1e-6
PROMPT = "A blurry image"
# The cells of the published map: 40 px a side. Nine of them see an image of 128 px nearly whole.
CELL_PX = 40
CELLS_A_SIDE = 3


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


@dataclass(frozen=True)
class ClipLoss:
    """L_bal: how blurred the restored image still looks to a sentence.

    Known of the published term: it drives the CLIP blur map of the result to zero. Shown beside itself a
    result is symmetric whatever it is, so single cells are asked; prompt, cells and formula are our own.
    Thresholds are fitted to simulated blur; the CLIP's weights take no gradient.
    """

    model: ClipModel

    def __post_init__(self) -> None:
        self.model.network.requires_grad_(False)

    def __call__(self, restored: Tensor) -> Tensor:
        """L_bal of restored images (b, 3, h, w) in 0..1, at least 40 px a side.

        Raises:
            WeightsError: with these weights the sentence does not tell sharp from blurred.
        """
        limits = calibrate_on_scenes(self.model, PROMPT, CellFormat.SINGLE, DEFAULT_KERNEL)
        a, b = limits.sharp_logit, limits.blurred_logit
        return blur_absence(restored, score=self.score, sharp_score=a, blurred_score=b)

    def score(self, images: Tensor) -> Tensor:
        """Logits (b, 9) of the sentence for nine cells of each image; differentiable."""
        cells = cut_cells(images)
        fitted = F.interpolate(cells, size=self.model.image_size, mode="bicubic", antialias=True)
        features = self.model.encode_images(self.model.normalise(fitted.clamp(0, 1)))
        text = encode_prompts(self.model, (PROMPT,)).clone()
        return self.model.logits(features, text).view(len(images), -1)


def cut_cells(images: Tensor) -> Tensor:
    """Nine cells (9 b, 3, 40, 40) of images (b, 3, h, w), spread evenly over each."""
    height, width = images.shape[-2:]
    tops, lefts = (
        [round(k * (side - CELL_PX) / (CELLS_A_SIDE - 1)) for k in range(CELLS_A_SIDE)]
        for side in (height, width)
    )
    windows = [images[..., y : y + CELL_PX, x : x + CELL_PX] for y in tops for x in lefts]
    return torch.stack(windows, dim=1).flatten(0, 1)
