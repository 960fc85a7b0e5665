"""Encoders of the depth-distilled detector: the published VGG16, and a light one for the shipped model.

Both give five maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from torch import Tensor, nn

from ldp_core.blur.torchvision_shim import make_torchvision_importable

STRIDE: Final = 32
"""Sides of an input are multiples of it."""

_VGG16: Final = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


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
