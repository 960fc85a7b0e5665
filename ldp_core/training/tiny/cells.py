"""Batches of simulated cells, laid out as the language-driven estimator sees them.

Cells are cut from patches, mirrored, and degraded as cameras do. The batch of a step depends on the
seed and the step alone. All ranges are our own choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ldp_core.settings import Settings
from ldp_core.training.degrade import Bytes, add_noise, to_bytes
from ldp_core.training.sources import Image
from ldp_core.training.tiny.patches import Patch
from ldp_core.training.tiny.pool import PatchPool

CELL_PX = 40


class CellSettings(Settings):
    """How cells are degraded. Shares are probabilities per cell."""

    batch: int = Field(default=64, ge=2)
    grey_share: float = Field(default=0.4, ge=0, le=1)
    noise_share: float = Field(default=0.7, ge=0, le=1)
    largest_noise: float = Field(default=0.03, ge=0)
    """Of values 0..1; noise is drawn between this and a hundredth of it."""
    faint_share: float = Field(default=0.4, ge=0, le=1)
    """Share of cells whose contrast is lowered, as that of most cells of a photograph is low."""
    lowest_contrast: float = Field(default=0.06, gt=0, le=1)
    gain_deviation: float = Field(default=0.03, ge=0)
    darkest_gain: float = Field(default=0.35, gt=0, le=1)


@dataclass(frozen=True, slots=True)
class Cells:
    """`composites` (n, 3, 40, 80) in 0..1, the right half mirrored; `disparity_px`, `coc_px` (n,) signed."""

    composites: Tensor
    disparity_px: Tensor
    coc_px: Tensor


def draw_cells(pool: PatchPool, settings: CellSettings, *, seed: int, step: int, patches: int) -> Cells:
    """The cells of one step, from the first `patches` patches of a pool."""
    rng = np.random.default_rng([seed, step])
    drawn = [_draw_cell(rng, pool[int(rng.integers(patches))], settings) for _ in range(settings.batch)]
    composites = np.stack([composite for composite, _, _ in drawn]).transpose(0, 3, 1, 2)
    disparity, coc = (torch.tensor([cell[i] for cell in drawn], dtype=torch.float32) for i in (1, 2))
    return Cells(torch.from_numpy(np.ascontiguousarray(composites)), disparity, coc)


def _draw_cell(rng: np.random.Generator, patch: Patch, settings: CellSettings) -> tuple[Image, float, float]:
    """One composite (40, 80, 3), its mean disparity and circle of confusion in pixels."""
    top, left = (int(rng.integers(n - CELL_PX + 1)) for n in patch.coc_px.shape)
    window = (slice(top, top + CELL_PX), slice(left, left + CELL_PX))
    views = [view[window] for view in patch.views]
    coc_px = float(patch.coc_px[window].mean(dtype=np.float32))
    if rng.random() < 0.5:
        views, coc_px = views[::-1], -coc_px
    if rng.random() < 0.5:
        views = [view[::-1] for view in views]
    left_cell, right_cell = _degrade(rng, views, settings)
    composite = np.concatenate([left_cell, right_cell[:, ::-1]], axis=1)
    return composite, coc_px * patch.disparity_per_coc, coc_px


def _degrade(rng: np.random.Generator, views: Sequence[Bytes], settings: CellSettings) -> list[Image]:
    """The same colours for both views, gain and noise of each its own; in steps of 8 bit."""
    grey = rng.random() < settings.grey_share
    order = np.array([1]) if grey else rng.permutation(3)
    brightness = np.exp(rng.uniform(np.log(settings.darkest_gain), 0.1))
    ratio = 1 + rng.normal(0, settings.gain_deviation)
    faint = rng.random() < settings.faint_share
    contrast = np.float32(settings.lowest_contrast ** rng.uniform(0, 1) if faint else 1)
    mean = np.mean(views, axis=(0, 1, 2), dtype=np.float32)
    read, shot = settings.largest_noise * 100.0 ** rng.uniform(-1, 0, 2)
    noisy = rng.random() < settings.noise_share
    degraded = []
    for view, gain in zip(views, (ratio, 2 - ratio), strict=True):
        planes = (mean + contrast * (view - mean))[..., order] * np.float32(brightness * gain / 255)
        planes = planes.clip(0, 1)
        planes = add_noise(rng, planes, read=read, shot=shot) if noisy else planes
        planes = to_bytes(planes).astype(np.float32) / np.float32(255)
        degraded.append(np.repeat(planes, 3, axis=2) if grey else planes)
    return degraded
