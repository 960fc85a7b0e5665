"""From cells to a map of pixels: how sure each cell is, where in it that was seen, and what lies between.

A cell of 40 px knows something only where it has texture, and its number belongs to that texture. So what
a cell knows is laid on its pixels by the contrast that they have along x, overlapping cells together; then it
is spread edge-aware as in `spreading`, from a quarter of the size to a half of it. All of this is our own
choice. Values are in pixels of disparity, or in units that are brought to such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.blur.clip_cells import CellGrid
from ldp_core.blur.matching import Measurement, build_pyramid, enlarge, smooth
from ldp_core.blur.spreading import EdgeWeights, spread
from ldp_core.signals import difference_noise

__all__ = ["BLURRED_PX", "CellReadings", "fill_between", "read_ratings", "read_shifts"]

# Figures are Spearman's correlation and AUC of the signed map of LDP-tiny, cells of stride 20, on six scenes
# of the Pixel 4; as shipped .887, .990. They were chosen while looking at these.

BLURRED_PX: Final = 7.0
"""Disparity that a rating of 1 stands for: about that of the circle of confusion it was fitted to."""
# Variance that sentences about shifts have where a cell tells nothing, in px^2. 5: .882, .987. 12: .879,
# .990.
_PRIOR_PX2: Final = 8.0
# A cell is never surer than to .2 px: its sentences are a pixel apart.
_LEAST_PX2: Final = 0.04
# Ratings that all agree are no surer than to 1.5 px.
_LEAST_RATING_PX2: Final = 2.25
# Rounding to 8 bit alone has a deviation of 1 / sqrt(12) levels.
_LEAST_NOISE: Final = 0.3 / 255
# Contrast below twice the power of noise is taken for noise.
_ABOVE_NOISE: Final = 2.0
# Power, in that of noise, of the texture at which a cell counts half. 1: .007 less.
_FAINT: Final = 0.1
_TEXTURE_PX: Final = 1.5
# Price of a step of one pixel, as in `disparity`. .6: .884, .989.
_SMOOTHNESS: Final = 1.25
_GUIDE_EDGE: Final = 0.03
# The most that a pixel weighs against its neighbours. .4: .883, .990. 3: .889, .990.
_EVIDENCE: Final = 1.0
# Halvings of the coarsest map, and solver steps there and at half the size.
_COARSEST: Final = 2
_STEPS: Final = (20, 30)
_MEAN_PX: Final = 12.0
_AROUND_PX: Final = 4.0
# Precision in 1/px^2 at which confidence is one half: that of `disparity`.
_HALF_TRUST: Final = 0.5
_LEAST_PRECISION: Final = 1e-6
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class CellReadings:
    """What cells say, (rows, columns) each: `values` in px, `precision` in 1/px^2, 0 if nothing."""

    values: Tensor
    precision: Tensor


def read_shifts(shares: Tensor, shifts_px: Tensor) -> CellReadings:
    """Likelihood of a cell's shift, from how sentences share it: what no cell at all would say is taken out.

    Args:
        shares: (rows, columns, n), summing to 1 over the n sentences.
        shifts_px: (n,) shift that each of them names.
    """
    mean = shares @ shifts_px
    variance = (shares @ shifts_px.square() - mean.square()).clamp_min(0) + _LEAST_PX2
    known = (1 - variance / _PRIOR_PX2).clamp_min(0)
    limit = float(shifts_px.abs().max())
    values = torch.where(known > 0, mean / known.clamp_min(_TINY), 0).clamp(-limit, limit)
    return CellReadings(values, known / variance)


def read_ratings(ratings: Tensor) -> CellReadings:
    """Mean of ratings in 0..1 by several sentences and formats, as sure as they agree with each other.

    Args:
        ratings: (members, rows, columns).
    """
    values = ratings * BLURRED_PX
    variance = values.var(0, correction=0) + _LEAST_RATING_PX2
    return CellReadings(values.mean(0), (1 - variance / _PRIOR_PX2).clamp_min(0) / variance)


def fill_between(
    readings: CellReadings, grid: CellGrid, left: Tensor, right: Tensor
) -> tuple[Tensor, Tensor]:
    """A map (h, w) in px, and its confidence (h, w) in 0..1, 0 where there is no texture around.

    Args:
        left, right: (1, 1, h, w) grey views in 0..1.
    """
    guide = (left + right) / 2
    noise = max(difference_noise(left, right), _LEAST_NOISE)
    values, precision = lay_on_texture(readings, grid, find_texture(guide, noise=noise), noise=noise)
    weighted = precision * values
    planes = [build_pyramid(plane, levels=_COARSEST) for plane in (guide, precision, weighted)]
    coarsest = planes[1][-1] + _LEAST_PRECISION
    found = smooth(planes[2][-1], _MEAN_PX) / smooth(coarsest, _MEAN_PX)
    for level in range(_COARSEST, 0, -1):
        plane, known, sums = (pyramid[level] for pyramid in planes)
        found = spread(
            Measurement(sums / known.clamp_min(_TINY), known, torch.full_like(known, _EVIDENCE)),
            EdgeWeights.of(plane, edge=_GUIDE_EDGE),
            start=enlarge(found, (plane.shape[-2], plane.shape[-1])) if level < _COARSEST else found,
            smoothness=_SMOOTHNESS * 2.0**level,
            steps=_STEPS[level - 1],
        )
    around = smooth(precision, _AROUND_PX)
    return enlarge(found, (grid.height, grid.width))[0, 0], (around / (around + _HALF_TRUST))[0, 0]


def find_texture(plane: Tensor, *, noise: float) -> Tensor:
    """Power of the contrast along x (1, 1, h, w) of the mean of two views, beyond that of their noise."""
    padded = F.pad(plane, (1, 1, 0, 0), mode="replicate")
    slope = (padded[..., 2:] - padded[..., :-2]) / 2
    return (smooth(slope.square(), _TEXTURE_PX) - _ABOVE_NOISE * slope_noise(noise)).clamp_min(0)


def slope_noise(noise: float) -> float:
    """Power of noise in the slope of the mean of two views, each with noise of this deviation."""
    return noise**2 / 4


def lay_on_texture(
    readings: CellReadings, grid: CellGrid, texture: Tensor, *, noise: float
) -> tuple[Tensor, Tensor]:
    """Values and precision (1, 1, h, w) at pixels, by their shares of the texture of the cells over them.

    A cell with little more than noise in it counts less.
    """
    power = F.avg_pool2d(grid.pad(texture[0])[None], grid.cell_px, grid.stride_px)
    covers = grid.cell_px // grid.stride_px
    weight = readings.precision / (power + _FAINT * slope_noise(noise)) / covers**2
    stamp = weight.new_ones(1, 1, covers, covers)
    total, weighted = (F.conv_transpose2d(w, stamp) for w in (weight, weight * readings.values))
    means = weighted / total.clamp_min(_TINY)
    return _repeat(means, grid), _repeat(total, grid) * texture


def _repeat(blocks: Tensor, grid: CellGrid) -> Tensor:
    """Blocks of `stride_px` as pixels, cut to the picture."""
    pixels = blocks.repeat_interleave(grid.stride_px, -2).repeat_interleave(grid.stride_px, -1)
    return pixels[..., : grid.height, : grid.width]
