"""The networks of BDIR: blur is distilled out of a latent, and the sharp image reconstructed from it.

Known (Niu et al., Neurocomputing 466, 2021, from the abstract): the roles of DistillNet, RecNet, SAID
and SAIR, and that latents of two images of one scene are compared. All layers and formulas are ours:
the blocks are NAFNet's, and there are a residual path to the input and skips, without which such a
network falls below its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from ldp_core.deblur.nafnet import NafBlock, Pointwise, Upsample
from ldp_core.settings import Settings

_EPS: Final = 1e-5
# A tenth of what is removed is given back, and statistics are jittered by a tenth: chosen, not measured.
_RETURNED: Final = 0.1
_JITTER: Final = 0.1


class BdirSettings(Settings):
    """The form of the networks. Channels double at every halving."""

    width: int = Field(default=24, ge=4)
    encoder: tuple[int, ...] = (1, 1, 2)
    """Blocks before each halving, in DistillNet."""
    middle: int = Field(default=2, ge=0)
    """Blocks that make the latent, in DistillNet."""
    decoder: tuple[int, ...] = (1, 1, 1)
    """Blocks after each doubling, in RecNet."""
    stem: int = Field(default=2, ge=1, le=4)
    """Pixels per side that one position stands for."""
    interference: bool = True
    """SAID and SAIR; without them the two networks are a plain U-Net of nearly equal size."""

    @model_validator(mode="after")
    def _check(self) -> BdirSettings:
        if len(self.encoder) != len(self.decoder):
            raise ValueError("`encoder` and `decoder` need the same number of scales")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels from the first scale to the latent's."""
        return tuple(self.width * 2**level for level in range(len(self.encoder) + 1))

    @property
    def multiple(self) -> int:
        """Sides of what the networks see are multiples of it."""
        return int(self.stem * 2 ** len(self.encoder))


LIGHT: Final = BdirSettings()
# More blocks where one position stands for 8 or 16 px, as large circles of confusion need: 1.2 times the
# seconds of LIGHT.
DEEP: Final = BdirSettings(encoder=(1, 1, 4), middle=4)
SMALL: Final = BdirSettings(width=32, encoder=(1, 2, 4), middle=2, decoder=(4, 2, 1))


@dataclass(frozen=True, slots=True)
class Latent:
    """`content` (b, c, h, w) at the smallest size; the maps of larger ones, fine to coarse, for skips."""

    content: Tensor
    skips: tuple[Tensor, ...]


class Said(nn.Module):
    """Statistical anti-interference distilling: channel statistics re-weighted, a tenth of what is
    removed given back through a gate. It begins as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(2 * channels, channels), nn.ReLU(inplace=True), nn.Linear(channels, 2 * channels)
        )
        self.gate = Pointwise(channels, channels, bias=False)
        for last in (self.weigh[-1], self.gate):
            for parameter in last.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        middle, spread = _statistics(x)
        normal = (x - middle) / spread
        weights = 2 * self.weigh(torch.cat([middle, spread], dim=1).flatten(1)).sigmoid()
        of_spread, of_middle = weights[..., None, None].chunk(2, dim=1)
        returned: Tensor = self.gate(x - normal)
        distilled: Tensor = normal * spread * of_spread + middle * of_middle
        return distilled + _RETURNED * returned


class Sair(nn.Module):
    """Statistical anti-interference reconstruction: in training, statistics are jittered every other
    time; a gate weighs the channels. It begins as the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(channels, channels)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = _jitter(x)
        weights: Tensor = 2 * self.gate(x.mean((-2, -1))).sigmoid()
        return x * weights[..., None, None]


class DistillNet(nn.Module):
    """Images (b, 3, h, w) to their latent."""

    def __init__(self, settings: BdirSettings) -> None:
        super().__init__()
        self.pixels = settings.stem
        width, widths = settings.width, settings.widths
        self.stem = nn.Conv2d(3 * settings.stem**2, width, 3, padding=1, bias=False)
        self.intro = nn.Conv2d(width, width, 3, padding=1)
        self.encoders = nn.ModuleList(_stack(w, n) for w, n in zip(widths, settings.encoder, strict=False))
        self.downs = nn.ModuleList(nn.Conv2d(w, 2 * w, 2, stride=2) for w in widths[:-1])
        self.steady = nn.ModuleList(Said(w) if settings.interference else nn.Identity() for w in widths[1:])
        self.middle = _stack(widths[-1], settings.middle)

    def forward(self, images: Tensor) -> Latent:
        first = self.stem(F.pixel_unshuffle(images, self.pixels))
        x, skips = self.intro(first), [first]
        for encoder, down, steady in zip(self.encoders, self.downs, self.steady, strict=True):
            skips.append(encoder(x))
            x = steady(down(skips[-1]))
        return Latent(self.middle(x), tuple(skips))


class RecNet(nn.Module):
    """A latent to the correction (b, 3, h, w) of its image; nothing before training."""

    def __init__(self, settings: BdirSettings) -> None:
        super().__init__()
        self.pixels = settings.stem
        width, widths = settings.width, settings.widths[::-1]
        self.ups = nn.ModuleList(Upsample(w) for w in widths[:-1])
        self.steady = nn.ModuleList(Sair(w) if settings.interference else nn.Identity() for w in widths[:-1])
        self.decoders = nn.ModuleList(_stack(w, n) for w, n in zip(widths[1:], settings.decoder, strict=True))
        self.ending = nn.Conv2d(width, width, 3, padding=1)
        self.bypass = Pointwise(width, width, bias=False)
        self.head = nn.Conv2d(width, 3 * settings.stem**2, 3, padding=1, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, latent: Latent) -> Tensor:
        x = latent.content
        first, *skips = latent.skips
        for up, steady, decoder in zip(self.ups, self.steady, self.decoders, strict=True):
            x = decoder(up(steady(x)) + skips.pop())
        return F.pixel_shuffle(self.head(self.ending(x) + self.bypass(first)), self.pixels)


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


def from_ldp(tensors: Mapping[str, Tensor], settings: BdirSettings) -> dict[str, Tensor]:
    """Tensors of an LDP network that shows the same image as left, right and guess, under our names.

    Both must be of one width and stem; of more blocks at a scale than ours has, the first are taken. What
    reads the blur map is left out; SAID and SAIR, which begin as the identity, are not among them.
    """
    own = BdirNetwork(settings).state_dict().keys()
    networks = {"intro": "distill", "encoders": "distill", "downs": "distill", "middle": "distill"}
    found = {}
    for name, value in tensors.items():
        part = name.removeprefix("body.")
        first = part.split(".")[0]
        if first == "stem":
            planes = value.view(len(value), -1, 3 * settings.stem**2, *value.shape[2:])
            found["distill.stem.weight"] = planes.sum(1)
        elif (ours := f"{networks.get(first, 'reconstruct')}.{part}") in own:
            found[ours] = value
    return found


def _stack(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(NafBlock(channels) for _ in range(count)))


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
