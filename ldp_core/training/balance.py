"""L_bal with CLIP: how blurred the restored image still looks to a sentence.

Known of the published term: it drives the CLIP blur map of the result to zero. Shown beside itself a
result is symmetric whatever it is, so single cells are asked; prompt, cells and formula are our own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.blur.clip import calibrate_on_scenes
from ldp_core.blur.clip_model import ClipModel, encode_prompts
from ldp_core.blur.clip_settings import CellFormat
from ldp_core.optics.kernels import DEFAULT_KERNEL
from ldp_core.training.losses import blur_absence

PROMPT = "A blurry image"
CELL_PX = 40
CELLS_A_SIDE = 3


@dataclass(frozen=True)
class Balance:
    """The term for one CLIP, whose weights take no gradient; thresholds are fitted to simulated blur."""

    model: ClipModel

    def __post_init__(self) -> None:
        self.model.network.requires_grad_(False)

    def loss(self, restored: Tensor) -> Tensor:
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
