"""The LDP deblurring network: two dual-pixel views and a blur map in, one all-in-focus image out.

Published (LDP, CVPR 2024, read in the authors' release): `PUBLISHED` and `ReleasedAttention`. Everything a
setting turns away from it is our own: `SpatialAttention`, in which the map keeps its place in the image, the
concatenated map, the image residual, the guess by wiener, the half-resolution stem.
"""

from __future__ import annotations

from typing import Final, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ldp_core.cameras.kernel_numbers import NUMBERS
from ldp_core.deblur.nafnet import ChannelNorm, NafBody, Pointwise
from ldp_core.settings import Settings
from ldp_core.types import BlurMap, BlurMapKind

RELEASED_CHANNELS: Final = 32
MAP_PLANES: Final = 3
"""Planes of the map the spatial block reads: signed, unsigned, and 1 where the sign is known."""
COC_SCALE_PX: Final = 20.0
"""Circle of confusion, in pixels, that stands at 1; larger ones are clipped. Weights depend on it."""


class NetworkSettings(Settings):
    """The shape of the network; `PUBLISHED`, `SMALL`, `LIGHT` and `DEEP` are those in use."""

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
    knows_kernel: bool = False
    """Whether numbers of the kernel at each place follow the planes of the map."""
    correction: float = Field(default=1.0, gt=0, le=1, exclude_if=lambda value: value == 1)
    """Share of its correction that is added to a guess. Guess and corrected guess err independently in part:
    on photographs their mean errs less than either. Training corrects in full, and so does a network without
    a guess."""

    @model_validator(mode="after")
    def _check(self) -> NetworkSettings:
        if len(self.encoder) != len(self.decoder):
            raise ValueError("`encoder` and `decoder` need the same number of scales")
        if self.bpa == "released" and self.width != RELEASED_CHANNELS:
            raise ValueError(f"bpa='released' works at width {RELEASED_CHANNELS} only")
        if self.knows_kernel and self.bpa not in ("spatial", "concat"):
            raise ValueError(f"bpa={self.bpa!r} takes no numbers of the kernel")
        return self

    @property
    def planes(self) -> int:
        """Planes that say what the blur is at each place."""
        return MAP_PLANES + (len(NUMBERS) if self.knows_kernel else 0)


PUBLISHED = NetworkSettings(bpa="released", residual="none")
SMALL = NetworkSettings(encoder=(1, 2, 4), middle=2, decoder=(4, 2, 1), stem=2, guided_scales=1)

LIGHT = NetworkSettings(width=24, encoder=(1, 1, 2), middle=2, decoder=(1, 1, 1), stem=2, guided_scales=1)
# More blocks where one position stands for 8 or 16 px, as large circles of confusion need. Of the same width
# as LIGHT, whose weights it can begin with.
DEEP = NetworkSettings(
    width=24,
    encoder=(1, 2, 6),
    middle=6,
    decoder=(4, 2, 1),
    stem=2,
    guided_scales=1,
    knows_kernel=True,
)


class LdpNetwork(nn.Module):
    """(b, 3, h, w) left and right, gamma-encoded in 0..1, to (b, 3, h, w), not clamped."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        self.settings = settings
        width, cells = settings.width, settings.stem**2
        planes = 9 if settings.residual == "wiener" else 6
        planes += settings.planes if settings.bpa == "concat" else 0
        self.stem = nn.Conv2d(planes * cells, width, 3, padding=1, bias=False)
        self.bpa = ReleasedAttention(width) if settings.bpa == "released" else None
        self.read_blur = BlurReader(settings.planes, width) if settings.knows_kernel else None
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
            plane: the blur map as `arrange_for` gives it for this network, or None.
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
        if self.settings.residual == "none":
            return restored
        return start + restored * (1.0 if guess is None else self.settings.correction)

    def _restore(self, views: Tensor, plane: Tensor | None) -> Tensor:
        stem = self.settings.stem
        if self.settings.bpa == "concat":
            plane_or_zeros = views.new_zeros(len(views), self.settings.planes, *views.shape[-2:])
            views = torch.cat([views, plane_or_zeros if plane is None else plane], dim=1)
        x = self.stem(F.pixel_unshuffle(views, stem))
        if self.read_blur is not None and plane is not None:
            x = self.read_blur(x, plane)
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
    return {
        str(level): SpatialAttention(settings.width * 2**level, planes=settings.planes) for level in levels
    }


def count_parameters(network: nn.Module) -> int:
    """Parameters in all, the unused ones of the published network included."""
    return sum(parameter.numel() for parameter in network.parameters())


class ReleasedAttention(nn.Module):
    """The block of the published network (LDP, CVPR 2024), as its authors released it.

    Attention over channels; the map, pooled to 32 x 32, is added to the 32 x 32 channel matrix. The
    two agree in size only, so the map's places in the image have no meaning there. `depthwise` is
    declared and never used, as in the released network, so that parameters agree in number.
    """

    def __init__(self, channels: int = RELEASED_CHANNELS) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(1))
        self.qkv = Pointwise(channels, 3 * channels, bias=False)
        self.depthwise = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.project = Pointwise(channels, channels, bias=False)

    def forward(self, x: Tensor, similarity: Tensor | None) -> Tensor:
        """(b, c, h, w) and a map (b, 1, h, w) in 0..1, or None for a map of zeros."""
        query, key, value = (part.flatten(2) for part in self.qkv(x).chunk(3, dim=1))
        scores = self.temperature * correlate(query, key)
        if similarity is not None:
            scores = scores + F.adaptive_avg_pool2d(similarity, (scores.shape[-2], scores.shape[-1]))[:, 0]
        mixed: Tensor = self.project((scores.softmax(-1) @ value).view(x.shape))
        return mixed


class BlurReader(nn.Module):
    """What is known of the blur at each place scales and shifts the finest features there. Our own choice.

    Scale and shift start at 0: an untrained reader is the identity.
    """

    def __init__(self, planes: int, channels: int, *, hidden: int = 32) -> None:
        super().__init__()
        self.read = Pointwise(planes, hidden)
        self.modulate = Pointwise(hidden, 2 * channels)
        for parameter in self.modulate.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, plane: Tensor) -> Tensor:
        """(b, c, h, w) and planes (b, planes, H, W) of any size."""
        resized = F.adaptive_avg_pool2d(plane, (x.shape[2], x.shape[3]))
        scale, shift = self.modulate(F.gelu(self.read(resized))).chunk(2, dim=1)
        modulated: Tensor = x * (1 + scale) + shift
        return modulated


class SpatialAttention(nn.Module):
    """The map, resized to a scale of the body, modulates queries and keys there. Our own choice.

    Transposed attention in heads of 32 channels with a residual whose scale starts at 0. The map's
    scale and shift start at 0 too: an untrained block is the identity, and a block without a map is
    plain transposed attention.
    """

    def __init__(self, channels: int, *, planes: int = MAP_PLANES, hidden: int = 16) -> None:
        super().__init__()
        self.heads = max(1, channels // 32)
        self.norm = ChannelNorm(channels)
        self.qkv = Pointwise(channels, 3 * channels, bias=False)
        self.read = nn.Conv2d(planes, hidden, 3, padding=1)
        self.modulate = nn.Conv2d(hidden, 4 * channels, 3, padding=1)
        self.temperature = nn.Parameter(torch.ones(self.heads, 1, 1))
        self.project = Pointwise(channels, channels, bias=False)
        self.scale = nn.Parameter(torch.zeros(1, channels, 1, 1))
        for parameter in self.modulate.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, plane: Tensor | None) -> Tensor:
        """(b, c, h, w) and a map (b, planes, H, W) of any size, or None."""
        query, key, value = self.qkv(self.norm(x)).chunk(3, dim=1)
        if plane is not None:
            query, key = self._modulate(query, key, plane=plane)
        query, key, value = (self._split(part) for part in (query, key, value))
        weights = (self.temperature * correlate(query, key)).softmax(-1)
        mixed: Tensor = self.project((weights @ value).reshape(x.shape))
        return x + mixed * self.scale

    def _modulate(self, query: Tensor, key: Tensor, *, plane: Tensor) -> tuple[Tensor, Tensor]:
        resized = F.adaptive_avg_pool2d(plane, (query.shape[2], query.shape[3]))
        terms = self.modulate(F.gelu(self.read(resized))).chunk(4, dim=1)
        return query * (1 + terms[0]) + terms[1], key * (1 + terms[2]) + terms[3]

    def _split(self, part: Tensor) -> Tensor:
        batch, channels, height, width = part.shape
        return part.reshape(batch, self.heads, channels // self.heads, height * width)


def correlate(query: Tensor, key: Tensor) -> Tensor:
    """Cosine of every pair of channels: (..., c, n) and (..., c, n) -> (..., c, c)."""
    return F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).mT


def lay_planes(blur_map: BlurMap) -> Tensor:
    """The three planes of a map, (1, 3, h, w) float32: signed, unsigned, sign known (0 or 1).

    A signed circle of confusion gives value / 20 px clipped to -1..1; a similarity map is unsigned
    and leaves the first plane 0; a probability of focus is turned round first.
    """
    values = torch.from_numpy(blur_map.values)[None, None].float()
    if blur_map.kind is BlurMapKind.SIGNED_COC_PX:
        return coc_planes(values)
    unsigned = values if blur_map.kind is BlurMapKind.SIMILARITY else 1 - values
    return torch.cat([torch.zeros_like(values), unsigned.clamp(0, 1), torch.zeros_like(values)], dim=1)


def coc_planes(coc_px: Tensor) -> Tensor:
    """Planes (b, 3, h, w) of signed circles of confusion (b, 1, h, w) in pixels."""
    signed = (coc_px / COC_SCALE_PX).clamp(-1, 1)
    return torch.cat([signed, signed.abs(), torch.ones_like(signed)], dim=1)


def hide_sign(planes: Tensor) -> Tensor:
    """Planes (b, 3, h, w) of the same map if its sign were not known."""
    nothing = torch.zeros_like(planes[:, 1:2])
    return torch.cat([nothing, planes[:, 1:2], nothing], dim=1)


def arrange_for(settings: NetworkSettings, planes: Tensor, kernel: Tensor | None = None) -> Tensor | None:
    """What a network takes of the planes: all, the unsigned one, or nothing; then numbers of the kernel.

    Args:
        planes: (b, 3, h, w) of the map.
        kernel: (b, 11, h, w) as `kernel_planes` gives them; without any, nothing is known of it.
    """
    match settings.bpa:
        case "none":
            return None
        case "released":
            return planes[:, 1:2]
    if not settings.knows_kernel:
        return planes
    if kernel is None:
        kernel = planes.new_zeros(len(planes), len(NUMBERS), *planes.shape[-2:])
    return torch.cat([planes, kernel], dim=1)
