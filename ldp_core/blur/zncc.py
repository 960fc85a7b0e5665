"""A control for language-driven maps: how little the views of a cell correlate, no network involved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field
from torch import Tensor

from ldp_core.blur.cells import CellGrid
from ldp_core.blur.views import luminance
from ldp_core.settings import Settings
from ldp_core.types import BlurMap, BlurMapKind, Pair, StageSpec

VERSION = "1"

_QUANTISATION = (0.5 / 255) ** 2


class ZnccSettings(Settings):
    """The same cells as those of the CLIP map."""

    cell_px: Literal[40] = 40
    stride_px: Literal[40, 20, 10] = Field(default=40)


@dataclass(frozen=True)
class ZnccEstimator:
    """1 - zero-mean normalised cross-correlation of left and right per cell, clipped to 0..1."""

    settings: ZnccSettings = field(default_factory=ZnccSettings)

    @property
    def spec(self) -> StageSpec:
        return StageSpec("blur", "zncc", VERSION, self.settings.model_dump(mode="json"))

    def estimate(self, pair: Pair) -> BlurMap:
        """0 where the views agree .. 1 where they have nothing in common; flat cells count as agreeing."""
        height, width = pair.left.shape[:2]
        grid = CellGrid(height, width, self.settings.cell_px, self.settings.stride_px)
        left, right = (_cut_all(grid, luminance(view)[0]) for view in pair.both_views)
        values = (1 - correlate(left, right)).clamp(0, 1).view(grid.shape)
        return BlurMap(grid.spread(values).numpy(), BlurMapKind.SIMILARITY)


def correlate(left: Tensor, right: Tensor) -> Tensor:
    """Zero-mean normalised cross-correlation of (n, k) samples along k, (n,) in -1..1.

    The variance of a rounding error is added, so that two flat cells correlate.
    """
    a, b = (x - x.mean(1, keepdim=True) for x in (left, right))
    covariance = (a * b).mean(1) + _QUANTISATION
    return covariance * ((a.square().mean(1) + _QUANTISATION) * (b.square().mean(1) + _QUANTISATION)).rsqrt()


def _cut_all(grid: CellGrid, plane: Tensor) -> Tensor:
    return grid.cut(grid.pad(plane), 0, len(grid)).flatten(1)
