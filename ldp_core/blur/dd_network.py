"""The network of depth-distilled defocus blur detection, and a light one of the same form.

Known (Cun and Pun, ECCV 2020, arXiv 2007.08113, and the authors' code): VGG16 taps, five decoder levels
of selective receptive field blocks, attention from the side outputs, six mask and six depth maps;
19,436,634 parameters. Ours: the light encoder, and taps narrowed to few channels before the decoder.
Encoders give five maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ldp_core.blur.torchvision_shim import make_torchvision_importable
from ldp_core.settings import Settings

STRIDE: Final = 32
"""Sides of an input are multiples of it."""

_VGG16: Final = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
LEVELS: Final = 5
_LEAST_SQUEEZED: Final = 32


class EncoderName(StrEnum):
    """Which network reads the picture."""

    VGG16 = "vgg16"
    """Known: VGG16 without batch normalisation, taps after each pool; 14,714,688 parameters."""
    LITE = "efficientnet-lite0"
    """Our choice for the shipped model: EfficientNet-Lite0 (Apache-2.0), 2,958,848 parameters."""


class Vgg16(nn.Module):
    """VGG16's convolutions, named as in torchvision's weights (`features.N`)."""

    channels = tuple(block[-1] for block in _VGG16)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for block in _VGG16:
            for channels in block:
                layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
                before = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        taps = []
        for layer in self.features:
            images = layer(images)
            if isinstance(layer, nn.MaxPool2d):
                taps.append(images)
        return taps


class EfficientNetLite0(nn.Module):
    """timm's EfficientNet-Lite0 up to its last block, named as in timm's weights."""

    channels = (16, 24, 40, 112, 320)
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3

    def __init__(self) -> None:
        super().__init__()
        make_torchvision_importable()
        from timm import create_model

        self.features = create_model("tf_efficientnet_lite0", features_only=True, pretrained=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        taps: list[Tensor] = self.features(images)
        return taps


class Encoder(nn.Module):
    """RGB images (n, 3, h, w) in 0..1 to the five taps of one of the encoders; h and w multiples of 32.

    Args:
        frozen_statistics: leave batch normalisation as it was trained, for small batches.
    """

    def __init__(self, name: EncoderName, *, frozen_statistics: bool = False) -> None:
        super().__init__()
        self.body = Vgg16() if name is EncoderName.VGG16 else EfficientNetLite0()
        self.frozen_statistics = frozen_statistics

    @property
    def channels(self) -> tuple[int, ...]:
        return self.body.channels

    def forward(self, images: Tensor) -> list[Tensor]:
        mean, std = (images.new_tensor(x).view(1, 3, 1, 1) for x in (self.body.mean, self.body.std))
        taps: list[Tensor] = self.body((images - mean) / std)
        return taps

    def train(self, mode: bool = True) -> Encoder:
        return super().train(mode and not self.frozen_statistics)


class DdSettings(Settings):
    """The form of the network. The default is the published one."""

    encoder: EncoderName = EncoderName.VGG16
    taps: tuple[int, ...] = Field(default=(), max_length=LEVELS)
    """Channels the taps are narrowed to, fine to coarse; as the encoder gives them, if empty."""
    hidden: tuple[int, ...] = Field(default=(), max_length=LEVELS)
    """Channels inside the decoder levels, coarse to fine; a quarter of their input, if empty."""
    last: int = Field(default=32, ge=1)
    """Channels of the finest level."""
    fields: int = Field(default=LEVELS, ge=0, le=LEVELS)
    """How many levels, from the coarsest, have a receptive field block."""


PUBLISHED: Final = DdSettings()
LIGHT: Final = DdSettings(
    encoder=EncoderName.LITE, taps=(32, 48, 64, 96, 128), hidden=(64, 48, 24, 12, 8), last=16, fields=3
)


@dataclass(frozen=True, slots=True)
class Detection:
    """What the network says of images (n, 3, h, w): logits of being in focus, and depths.

    `masks` and `depths` (n, 6, h, w): the merged one first, then the side outputs from coarse to fine.
    Depth is normalised inverse depth, 0 far .. 1 near, before clipping, or the amount of blur, where
    that was its teacher.
    """

    masks: Tensor
    depths: Tensor

    @property
    def in_focus(self) -> Tensor:
        """(n, 1, h, w): the probability that a pixel is in focus."""
        return self.masks[:, :1].sigmoid()


class Srfb(nn.Module):
    """Selective receptive field block: three dilated convolutions in a row, weighed against each other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(channels // 16, _LEAST_SQUEEZED)
        self.branches = nn.ModuleList(_widen(channels, side) for side in (3, 5, 7))
        self.squeeze = nn.Linear(channels, squeezed)
        self.weigh = nn.ModuleList(nn.Linear(squeezed, channels) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        fields = [x]
        for branch in self.branches:
            fields.append(branch(fields[-1]))
        stacked = torch.stack(fields, dim=1)
        squeezed = self.squeeze(stacked.sum(1).mean((-2, -1)))
        weights = torch.stack([weigh(squeezed) for weigh in self.weigh], dim=1).softmax(1)
        return (stacked * weights[..., None, None]).sum(1)


def _widen(channels: int, side: int) -> nn.Sequential:
    """A convolution of `side` taps, as many pixels apart."""
    conv = nn.Conv2d(channels, channels, side, padding=side * (side // 2), dilation=side)
    return nn.Sequential(conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class DecoderLevel(nn.Module):
    """Twice the size; a receptive field block; one mask logit and one depth on the side."""

    def __init__(self, before: int, hidden: int, after: int, *, has_field: bool, attends: bool) -> None:
        super().__init__()
        self.narrow = nn.Sequential(
            nn.Conv2d(before, hidden, 3, padding=1), nn.ReLU(inplace=True), nn.BatchNorm2d(hidden)
        )
        self.field = Srfb(hidden) if has_field else nn.Identity()
        self.widen = nn.Sequential(nn.Conv2d(hidden, after, 1), nn.ReLU(inplace=True), nn.BatchNorm2d(after))
        self.mask, self.depth = nn.Conv2d(after, 1, 1), nn.Conv2d(after, 1, 1)
        self.attend = (
            nn.Sequential(
                nn.Conv2d(2, 32, 3, padding=1),
                nn.ReLU(inplace=True),
                nn.BatchNorm2d(32),
                nn.Conv2d(32, 1, 3, padding=1),
            )
            if attends
            else None
        )

    def forward(self, x: Tensor, tap: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Features for the next level, mask logit and depth, all of twice the size of `x`."""
        y = self.narrow(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        y = self.widen(self.field(y))
        mask, depth = self.mask(y), self.depth(y)
        if self.attend is not None and tap is not None:
            y = y * self.attend(torch.cat([mask, depth], dim=1)).sigmoid() + tap
        return y, mask, depth


class DdNetwork(nn.Module):
    """Images (n, 3, h, w) in 0..1, sides multiples of 32, to where they are in focus and how deep."""

    def __init__(self, settings: DdSettings, *, frozen_statistics: bool = False) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = Encoder(settings.encoder, frozen_statistics=frozen_statistics)
        given = self.encoder.channels
        taps = settings.taps or given
        self.lateral = nn.ModuleList(
            nn.Conv2d(a, b, 1) if settings.taps else nn.Identity() for a, b in zip(given, taps, strict=True)
        )
        ins = taps[::-1]
        outs = (*taps[-2::-1], settings.last)
        hidden = settings.hidden or tuple(n // 4 for n in ins)
        self.levels = nn.ModuleList(
            DecoderLevel(a, b, c, has_field=k < settings.fields, attends=k < LEVELS - 1)
            for k, (a, b, c) in enumerate(zip(ins, hidden, outs, strict=True))
        )
        self.merge_masks, self.merge_depths = nn.Conv2d(LEVELS, 1, 1), nn.Conv2d(LEVELS, 1, 1)
        for merge in (self.merge_masks, self.merge_depths):
            nn.init.constant_(merge.weight, 1 / LEVELS)
            nn.init.zeros_(merge.bias)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Detection:
        taps = [narrow(tap) for narrow, tap in zip(self.lateral, self.encoder(images), strict=True)]
        y = taps.pop()
        masks, depths = [], []
        for level in self.levels:
            y, mask, depth = level(y, taps.pop() if taps else None)
            masks.append(_resize(mask, images))
            depths.append(_resize(depth, images))
        mask_sides, depth_sides = torch.cat(masks, dim=1), torch.cat(depths, dim=1)
        return Detection(
            torch.cat([self.merge_masks(mask_sides), mask_sides], dim=1),
            torch.cat([self.merge_depths(depth_sides), depth_sides], dim=1),
        )


def _resize(plane: Tensor, images: Tensor) -> Tensor:
    return F.interpolate(plane, size=images.shape[-2:], mode="bilinear", align_corners=False)
