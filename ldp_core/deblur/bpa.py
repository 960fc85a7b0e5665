"""Blur-prior attention: how the deblurring network takes in a blur map.

`ReleasedAttention` is the published block; `SpatialAttention` is our own, in which the map keeps its
place in the image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ldp_core.deblur.nafnet import ChannelNorm, Pointwise

RELEASED_CHANNELS = 32
MAP_PLANES = 3
"""Planes of the map the spatial block reads: signed, unsigned, and 1 where the sign is known."""


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
