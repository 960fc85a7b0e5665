"""The LDP deblurring network: two dual-pixel views and a blur map in, one all-in-focus image out.

Published (LDP, CVPR 2024, read in the authors' release): `PUBLISHED`. Everything a setting turns
away from it is our own: the spatial block, the concatenated map, the image residual, the guess by
wiener, the half-resolution stem.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ldp_core.deblur.bpa import MAP_PLANES, RELEASED_CHANNELS, ReleasedAttention, SpatialAttention
from ldp_core.deblur.nafnet import NafBody, Pointwise
from ldp_core.settings import Settings


class NetworkSettings(Settings):
    """The shape of the network; `PUBLISHED`, `SMALL` and `LIGHT` are those in use."""

    bpa: Literal["released", "spatial", "concat", "none"] = "spatial"
    """How the blur map enters."""
    width: int = Field(default=32, ge=8)
    encoder: tuple[int, ...] = (2, 2, 2, 2)
    middle: int = Field(default=2, ge=0)
    decoder: tuple[int, ...] = (2, 2, 2, 2)
    stem: int = Field(default=1, ge=1, le=4)
    """Pixels per side that one position of the body stands for (pixel unshuffle)."""
    guided_scales: int = Field(default=3, ge=0)
    """Deepest encoder scales that read the map in spatial attention, besides the middle."""
    residual: Literal["none", "mean", "wiener"] = "wiener"
    """What the network corrects: nothing (it paints the image), the mean of the views, or a guess.

    With "wiener" the network also sees the guess; without one, the mean of the views takes its place.
    """

    @model_validator(mode="after")
    def _check(self) -> NetworkSettings:
        if len(self.encoder) != len(self.decoder):
            raise ValueError("`encoder` and `decoder` need the same number of scales")
        if self.bpa == "released" and self.width != RELEASED_CHANNELS:
            raise ValueError(f"bpa='released' works at width {RELEASED_CHANNELS} only")
        return self


PUBLISHED = NetworkSettings(bpa="released", residual="none")
SMALL = NetworkSettings(encoder=(1, 2, 4), middle=2, decoder=(4, 2, 1), stem=2, guided_scales=1)

LIGHT = NetworkSettings(width=24, encoder=(1, 1, 2), middle=2, decoder=(1, 1, 1), stem=2, guided_scales=1)


class LdpNetwork(nn.Module):
    """(b, 3, h, w) left and right, gamma-encoded in 0..1, to (b, 3, h, w), not clamped."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        width, cells = settings.width, settings.stem**2
        planes = 9 if settings.residual == "wiener" else 6
        planes += MAP_PLANES if settings.bpa == "concat" else 0
        self.stem = nn.Conv2d(planes * cells, width, 3, padding=1, bias=False)
        self.bpa = ReleasedAttention(width) if settings.bpa == "released" else None
        self.body = NafBody(
            width=width, encoder=settings.encoder, middle=settings.middle, decoder=settings.decoder
        )
        self.bypass = Pointwise(width, width, bias=False)
        self.head = nn.Conv2d(width, 3 * cells, 3, padding=1, bias=False)
        if settings.bpa == "spatial":
            self.body.guides.update(_spatial_guides(settings))
        if settings.residual != "none":
            nn.init.zeros_(self.head.weight)

    @property
    def multiple(self) -> int:
        """Sides are padded to multiples of this many pixels."""
        return int(self.body.multiple) * self.settings.stem

    def forward(
        self, left: Tensor, right: Tensor, plane: Tensor | None = None, guess: Tensor | None = None
    ) -> Tensor:
        """Restore.

        Args:
            left, right: (b, 3, h, w), any size.
            plane: the blur map as `ldp_map` lays it out for this network's `bpa`, or None.
            guess: (b, 3, h, w) restored by wiener, or None; only read where `residual` says so.
        """
        size = left.shape[-2:]
        views = [left, right]
        start = (left + right) / 2
        if self.settings.residual == "wiener":
            start = start if guess is None else guess
            views.append(start)
        padded = self._pad(torch.cat(views, dim=1))
        restored = self._restore(padded, None if plane is None else self._pad(plane))
        restored = restored[..., : size[0], : size[1]]
        return restored if self.settings.residual == "none" else restored + start

    def _restore(self, views: Tensor, plane: Tensor | None) -> Tensor:
        stem = self.settings.stem
        if self.settings.bpa == "concat":
            views = torch.cat([views, _plane_or_zeros(plane, views)], dim=1)
        x = self.stem(F.pixel_unshuffle(views, stem))
        if self.bpa is not None:
            x = self.bpa(x, plane)
        x = self.body(x, plane) + self.bypass(x)
        return F.pixel_shuffle(self.head(x), stem)

    def _pad(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        bottom, right = -height % self.multiple, -width % self.multiple
        if not (bottom or right):
            return x
        return F.pad(x, (0, right, 0, bottom), mode="replicate")


def _spatial_guides(settings: NetworkSettings) -> dict[str, nn.Module]:
    """Blocks at the deepest encoder scales and the middle, never at the finest."""
    deepest = len(settings.encoder)
    levels = range(max(1, deepest - settings.guided_scales), deepest + 1)
    return {str(level): SpatialAttention(settings.width * 2**level) for level in levels}


def _plane_or_zeros(plane: Tensor | None, views: Tensor) -> Tensor:
    if plane is not None:
        return plane
    return views.new_zeros(len(views), MAP_PLANES, *views.shape[-2:])


def count_parameters(network: nn.Module) -> int:
    """Parameters in all, the unused ones of the published network included."""
    return sum(parameter.numel() for parameter in network.parameters())
