"""The training-free estimator: the signed circle of confusion that explains both views best.

Coarse to fine: at the search level every candidate is tried, at finer levels those near what was
found; after each, the measurements are spread edge-aware into areas without texture. Level k is the
views halved k times; disparities and circles of confusion are in pixels of the full size throughout.
The method and its constants are our own choices; what it rests on is said in `matching`.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from ldp_core.blur.levels import Level, LevelSettings
from ldp_core.blur.pyramid import build_pyramid, enlarge, smooth
from ldp_core.blur.views import equalise_gain, halved_noise, luminance, noise_level
from ldp_core.optics.kernels import disparity_per_coc
from ldp_core.types import BlurMap, BlurMapKind, Pair, StageSpec

VERSION = "4"

_AROUND_PX = 4.0
_HALF_TRUST = 0.5
_NOTHING = 1e-3


class DisparitySettings(LevelSettings):
    """How the circle of confusion is sought."""

    largest_disparity_px: float = Field(default=14.0, gt=0, le=256)
    """How far apart the views are sought to lie, either way, up to 1200 px height; grows above."""


class DisparityEstimator:
    """Pair to signed circle of confusion in pixels, with confidence; deterministic."""

    def __init__(self, settings: DisparitySettings | None = None) -> None:
        self.settings = settings or DisparitySettings()

    @property
    def spec(self) -> StageSpec:
        return StageSpec("blur", "disparity", VERSION, self.settings.model_dump(mode="json"))

    def estimate(self, pair: Pair) -> BlurMap:
        """Signed circle of confusion in px, (h, w) as the views; confidence 0 where nothing is seen."""
        with torch.inference_mode():
            left, right = (luminance(view) for view in pair.both_views)
            disparity, precision = estimate_disparity(left, right, settings=self.settings)
            coc = disparity / disparity_per_coc(self.settings.kernel)
            confidence = rate_confidence(precision)
        return BlurMap(coc[0, 0].numpy(), BlurMapKind.SIGNED_COC_PX, confidence[0, 0].numpy())


def estimate_disparity(left: Tensor, right: Tensor, *, settings: DisparitySettings) -> tuple[Tensor, Tensor]:
    """Disparity of the right view against the left one in px, and its precision in 1/px^2.

    Args:
        left, right: (1, 1, h, w) float32 in 0..1.

    Returns:
        Two (1, 1, h, w) maps, aligned with the mean of the views; disparity is positive where content
        of the right view lies at larger x.
    """
    left, right = equalise_gain(left, right)
    noise = noise_level(left, right)
    coarse = choose_search_level(*left.shape[-2:])
    pyramids = [build_pyramid(view, levels=coarse + 1) for view in (left, right)]
    levels = [
        Level(index, a, b, noise=halved_noise(noise, index), settings=settings)
        for index, (a, b) in enumerate(zip(*pyramids, strict=True))
    ]
    reach_px = settings.largest_disparity_px * 2.0 ** max(0, coarse - 2)
    found = levels[coarse].search(reach_px, start=levels[coarse + 1].search(reach_px))
    for index in range(coarse - 1, 0, -1):
        found = levels[index].refine(found)
    maps = found.disparity_px, found.measured.precision
    disparity, precision = (enlarge(m, levels[0].size) if coarse else m for m in maps)
    return disparity, precision


def rate_confidence(precision: Tensor) -> Tensor:
    """0 (nothing to match) .. 1: one half where disparity is known to about a pixel and a half.

    The precision is taken over a few pixels, since it is zero between the lines of a texture.
    """
    around = (smooth(precision, _AROUND_PX) - _NOTHING).clamp_min(0)
    return around / (around + _HALF_TRUST)


def choose_search_level(height: int, width: int) -> int:
    """Halvings after which all candidates are tried: 2 for a picture of about 1000 px height."""
    shorter = min(height, width)
    return max(0, min(2, int(math.log2(shorter / 16)))) + int(math.log2(max(1, shorter / 1200)))
