"""The networks of BDIR: blur is distilled out of a latent, and the sharp image reconstructed from it.

Known (Niu et al., Neurocomputing 466, 2021, from the abstract): the roles of DistillNet, RecNet, SAID
and SAIR, and that latents of two images of one scene are compared. All layers and formulas are ours,
with a residual path to the input and skips, without which such a network falls below its input.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from ldp_core.settings import Settings

_EPS: Final = 1e-5
_RETURNED: Final = 0.1
_JITTER: Final = 0.1


class BdirSettings(Settings):
    """The form of the networks."""

    width: int = Field(default=32, ge=4)
    """Channels at full size; they double at every halving."""
    halvings: int = Field(default=2, ge=1, le=4)
    blocks: int = Field(default=6, ge=0)
    """Residual blocks at the smallest size, in each of the two networks."""
    refining: int = Field(default=0, ge=0)
    """Residual blocks after every doubling but the last."""
    interference: bool = True
    """SAID and SAIR; without them the two networks are a plain U-Net of nearly equal size."""

    @property
    def channels(self) -> tuple[int, ...]:
        """From full size to the latent's."""
        return tuple(self.width * 2**k for k in range(self.halvings + 1))

    @property
    def multiple(self) -> int:
        """Sides of what the networks see are multiples of it."""
        return int(2**self.halvings)


METHOD: Final = BdirSettings()
"""Widths 32/64/128, about four million parameters."""
LIGHT: Final = BdirSettings(width=16, halvings=3, blocks=6, refining=1)
"""The same number of parameters where they cost less: what ships."""


@dataclass(frozen=True, slots=True)
class Latent:
    """`content` (b, c, h, w) at the smallest size, and the maps of the larger ones for the skips."""

    content: Tensor
    skips: tuple[Tensor, ...]


class Said(nn.Module):
    """Statistical anti-interference distilling: channel statistics re-weighted, a tenth of what is
    removed given back through a gate."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(2 * channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, 2 * channels)
        )
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        middle, spread = _statistics(x)
        normal = (x - middle) / spread
        weights = self.weigh(torch.cat([middle, spread], dim=1).flatten(1)).sigmoid()
        of_spread, of_middle = weights[..., None, None].chunk(2, dim=1)
        distilled: Tensor = normal * spread * of_spread + middle * of_middle
        returned: Tensor = self.gate(x - normal)
        return distilled + _RETURNED * returned


class Sair(nn.Module):
    """Statistical anti-interference reconstruction: in training, statistics are jittered every other
    time; a gate weighs the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = _jitter(x)
        gate: Tensor = self.gate(x.mean((-2, -1), keepdim=True))
        return x * (2 * gate.sigmoid())


class Block(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.body(x)
        return x + change


class DistillNet(nn.Module):
    """Images (b, 3, h, w) to their latent."""

    def __init__(self, settings: BdirSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.first = nn.Conv2d(3, channels[0], 5, padding=2)
        self.downs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, stride=2, padding=1),
                nn.ReLU(inplace=True),
                Said(b) if settings.interference else nn.Identity(),
            )
            for a, b in pairwise(channels)
        )
        self.blocks = _stack(channels[-1], settings.blocks)

    def forward(self, images: Tensor) -> Latent:
        maps = [self.first(images)]
        for down in self.downs:
            maps.append(down(maps[-1]))
        return Latent(self.blocks(maps.pop()), tuple(maps))


class RecNet(nn.Module):
    """A latent to the correction (b, 3, h, w) of its image."""

    def __init__(self, settings: BdirSettings) -> None:
        super().__init__()
        channels = settings.channels[::-1]
        self.steady = nn.ModuleList(
            Sair(n) if settings.interference else nn.Identity() for n in channels[:-1]
        )
        self.blocks = _stack(channels[0], settings.blocks)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, 4 * b, 3, padding=1), nn.PixelShuffle(2))
            for a, b in pairwise(channels)
        )
        self.refine = nn.ModuleList(_stack(n, settings.refining) for n in channels[1:-1])
        self.last = nn.Conv2d(channels[-1], 3, 5, padding=2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, latent: Latent) -> Tensor:
        x = self.blocks(self.steady[0](latent.content))
        skips = latent.skips[::-1]
        for k, up in enumerate(self.ups):
            x = up(x) + skips[k]
            if k < len(self.refine):
                x = self.steady[k + 1](self.refine[k](x))
        corrected: Tensor = self.last(x)
        return corrected


class BdirNetwork(nn.Module):
    """Both networks: images (b, 3, h, w) in 0..1 of any size, restored."""

    def __init__(self, settings: BdirSettings) -> None:
        super().__init__()
        self.settings = settings
        self.distill, self.reconstruct = DistillNet(settings), RecNet(settings)

    def forward(self, images: Tensor) -> tuple[Tensor, Latent]:
        """The images restored, not clamped, and their latents."""
        height, width = images.shape[-2:]
        missing = (-width % self.settings.multiple, -height % self.settings.multiple)
        latent = self.distill(F.pad(images, (0, missing[0], 0, missing[1]), mode="replicate"))
        return images + self.reconstruct(latent)[..., :height, :width], latent


def _stack(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Block(channels) for _ in range(count)))


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation (b, c, 1, 1) of each channel of each image."""
    middle = x.mean((-2, -1), keepdim=True)
    return middle, (x.var((-2, -1), unbiased=False, keepdim=True) + _EPS).sqrt()


def _jitter(x: Tensor) -> Tensor:
    """Every other image: its channels' means and deviations changed by a tenth."""
    middle, spread = _statistics(x)
    chosen = (torch.rand(len(x), 1, 1, 1, device=x.device) < 0.5).to(x.dtype)
    scale = 1 + _JITTER * chosen * torch.randn_like(spread)
    shift = _JITTER * chosen * torch.randn_like(middle) * spread
    return (x - middle) * scale + middle + shift
