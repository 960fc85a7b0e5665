"""Batches for blur detection: masked photographs and simulated ones side by side.

The batch of a step depends on the seed, the step and the rank alone. All shares and ranges are our own
choices. A simulated pixel is labelled sharp up to a circle of confusion of tau, blurred from 2 tau, and
ignored between, in pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ldp_core.masked import Masked
from ldp_core.single_view import to_rgb
from ldp_core.training.frames import FrameCache
from ldp_core.training.options import OptionGroup

_JITTER = 0.1
_GREY_SHARE = 0.1


class DbdBatchSettings(OptionGroup):
    """What a batch holds."""

    heading = "Batches"

    photographs: int = Field(default=6, ge=0)
    """Masked photographs of a batch."""
    # Frames alone reach an MAE of .28, three quarters of photographs .19 (infra/measurements.md, "Arms").
    simulated: int = Field(default=2, ge=0)
    """Simulated frames of a batch; none without a cache."""
    # Small first, for speed; then 320 px, the side of the CUHK photographs and of the detector's first scale.
    side_px: int = Field(default=256, ge=32, multiple_of=32)
    """Side of images, in pixels."""
    late_side_px: int = Field(default=320, ge=32, multiple_of=32)
    """Side of images in the last steps, in pixels."""
    late_share: float = Field(default=0.4, ge=0, le=1)
    """Share of the steps that are the last ones."""
    smallest_crop: float = Field(default=0.65, gt=0, le=1)
    """Side of the smallest crop, as a share of the photograph's shorter side."""
    # One pixel of blur cannot be told from none on a grid of pixels.
    tau_px: float = Field(default=1.0, gt=0)
    """Largest circle of confusion of a simulated pixel that counts as sharp, in pixels."""
    # They teach alike: MAE .188 and .186 (infra/measurements.md, "Arms").
    teacher: Literal["depth", "coc"] = "depth"
    """What the depth branch learns: normalised inverse depth, or |CoC| over its largest value."""


@dataclass(frozen=True, slots=True)
class DbdBatch:
    """`images` (b, 3, h, w) in 0..1; `masks`, `depths` (b, 1, h, w) and, of both, how much they count."""

    images: Tensor
    masks: Tensor
    mask_weights: Tensor
    depths: Tensor
    depth_weights: Tensor

    def to(self, device: str) -> DbdBatch:
        images = self.images.to(device).contiguous(memory_format=torch.channels_last)
        rest = (self.masks, self.mask_weights, self.depths, self.depth_weights)
        return DbdBatch(images, *(plane.to(device) for plane in rest))


@dataclass(frozen=True, slots=True)
class Sample:
    """One image (3, h, w) in 0..1 and four planes (4, h, w): mask, its weight, depth, its weight."""

    image: Tensor
    planes: Tensor


def draw_batch(
    photographs: Sequence[Masked],
    frames: FrameCache | None,
    settings: DbdBatchSettings,
    *,
    side_px: int,
    rng: np.random.Generator,
) -> DbdBatch:
    """A batch of images of `side_px`."""
    shot = [
        draw_photograph(rng, photographs[int(rng.integers(len(photographs)))], settings, side_px=side_px)
        for _ in range(settings.photographs)
    ]
    simulated = [
        draw_simulated(rng, frames, settings, side_px=side_px)
        for _ in range(settings.simulated)
        if frames is not None
    ]
    samples = [mirror(rng, sample) for sample in (*shot, *simulated)]
    images = torch.stack([jitter(rng, sample.image) for sample in samples])
    planes = torch.stack([sample.planes for sample in samples])
    return DbdBatch(images, *planes[:, :, None].unbind(1))


def draw_photograph(
    rng: np.random.Generator, masked: Masked, settings: DbdBatchSettings, *, side_px: int
) -> Sample:
    """A square of a masked photograph; its depth is not known."""
    mask = torch.tensor(masked.in_focus)[None].float()
    content, _ = _cut(rng, torch.cat([to_rgb(masked.image), mask]), settings, side_px=side_px)
    planes = torch.zeros(4, side_px, side_px)
    planes[0], planes[1] = content[3], 1
    return Sample(content[:3], planes)


def draw_simulated(
    rng: np.random.Generator, frames: FrameCache, settings: DbdBatchSettings, *, side_px: int
) -> Sample:
    """A square of the mean of a frame's views, labelled by its circle of confusion."""
    frame = frames[int(rng.integers(len(frames)))]
    views = torch.stack([to_rgb(view) for view in frame.views[:2]])
    coc = torch.from_numpy(frame.maps[0])[None]
    content, scale = _cut(rng, torch.cat([views.mean(0), coc]), settings, side_px=side_px)
    return Sample(content[:3], torch.stack(label(content[3] * scale, settings)))


def label(coc_px: Tensor, settings: DbdBatchSettings) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mask, its weight, soft label, its weight, of signed circles of confusion (h, w) in pixels.

    A circle of confusion is affine in inverse depth (thin lens), positive behind the focal plane, so
    inverse depth, normalised, is read from it; a frame of one depth teaches none.
    """
    amount = coc_px.abs()
    mask = (amount <= settings.tau_px).float()
    weight = 1 - ((amount > settings.tau_px) & (amount < 2 * settings.tau_px)).float()
    if settings.teacher == "coc":
        return mask, weight, amount / amount.max().clamp(min=1e-6), torch.ones_like(mask)
    low, high = coc_px.min(), coc_px.max()
    known = torch.full_like(mask, float(high - low > settings.tau_px))
    return mask, weight, (high - coc_px) / (high - low).clamp(min=1e-6), known


def mirror(rng: np.random.Generator, sample: Sample) -> Sample:
    """Left and right exchanged, every other time."""
    if rng.random() < 0.5:
        return sample
    return Sample(sample.image.flip(-1), sample.planes.flip(-1))


def jitter(rng: np.random.Generator, image: Tensor) -> Tensor:
    """Brightness, contrast and saturation by up to a tenth; grey at times."""
    brightness, contrast, saturation = (float(1 + rng.uniform(-_JITTER, _JITTER)) for _ in range(3))
    if rng.random() < _GREY_SHARE:
        saturation = 0.0
    grey = image.mean(0, keepdim=True)
    image = grey + (image - grey) * saturation
    middle = image.mean()
    return ((middle + (image - middle) * contrast) * brightness).clamp(0, 1)


def _cut(
    rng: np.random.Generator, content: Tensor, settings: DbdBatchSettings, *, side_px: int
) -> tuple[Tensor, float]:
    """A random square of (c, h, w), resized; and by how much it was magnified."""
    height, width = content.shape[-2:]
    side = round(min(height, width) * rng.uniform(settings.smallest_crop, 1))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    square = content[None, :, top : top + side, left : left + side]
    resized = F.interpolate(square, size=side_px, mode="bilinear", antialias=True, align_corners=False)
    return resized[0], side_px / side
