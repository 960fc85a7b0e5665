"""Defocus blur detection by depth distillation (DD architecture, retrained): where a picture is in focus.

Known (Cun and Pun, ECCV 2020): one image of 320 x 320 in, one probability map out. Ours: pictures of
any size, seen whole and again in tiles at finer scales, since a blur of 10 px in a photograph 5,000 px
wide is gone when that is reduced to 320.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ldp_core.blur.dd_encoders import STRIDE
from ldp_core.blur.dd_network import DdNetwork, DdSettings
from ldp_core.devices import autocast, choose_device
from ldp_core.settings import Settings
from ldp_core.single_view import input_image, to_rgb
from ldp_core.tiling import apply_tiled
from ldp_core.types import BlurMap, BlurMapKind, FloatMap, Pair, Pixels, StageSpec
from ldp_core.weights import digest_of
from ldp_core.weights.networks import NetworkKind, load_network

__all__ = ["DBD", "DepthDistilledEstimator", "DepthDistilledSettings", "detect"]

VERSION = "1"
_TILES_AT_ONCE = 16
"""On a GPU; on a CPU one is fastest."""


def _build(settings: Mapping[str, Any]) -> DdNetwork:
    return DdNetwork(DdSettings.parse(settings))


DBD = NetworkKind("dbd", _build)


class DepthDistilledSettings(Settings):
    """Which weights to use, and at which sizes a picture is seen."""

    weights: str = "dbd"
    """Name of a shipped model, or the address of a .safetensors file."""
    sha256: str = ""
    """Digest of the file at that address; shipped models have theirs pinned."""
    side_px: int = Field(default=320, ge=64, multiple_of=STRIDE)
    """Shorter side of the picture as it is seen whole, and side of the tiles at finer scales."""
    finest_px: int = Field(default=1280, ge=64)
    """Shorter side of the picture at the finest scale; each scale doubles the one before."""
    overlap_px: int = Field(default=64, ge=0)
    fusion: Literal["mean", "least"] = "mean"
    """Over scales: the mean of the logits, or the least: what is blurred at one scale is blurred."""
    contrast: float = Field(default=2.0, gt=0)
    """Factor on the logits, 1 = as trained; 2 has the least MAE on the validation photographs."""
    flip: bool = False
    """Average with what is found in the mirrored picture; twice the time."""
    around: bool = False
    """Average with what is found at 0.8 and 1.25 times each scale; three times the time or more."""


@dataclass(frozen=True)
class DepthDistilledEstimator:
    """The network as a stage: of a pair it sees the mean of the views."""

    settings: DepthDistilledSettings = field(default_factory=DepthDistilledSettings)

    @property
    def spec(self) -> StageSpec:
        digest = digest_of(self.settings.weights, sha256=self.settings.sha256)
        return StageSpec("blur", "depth-distilled", VERSION, self.settings.model_dump(mode="json"), digest)

    def estimate(self, pair: Pair) -> BlurMap:
        """The probability (h, w) that a pixel is in focus: no radius, no sign.

        Raises:
            WeightsError: the weights are absent, altered, or of another network.
        """
        return BlurMap(self.detect(input_image(pair)), BlurMapKind.IN_FOCUS_PROBABILITY)

    def detect(self, picture: Pixels) -> FloatMap:
        """The probability (h, w) in 0..1 that a pixel of (h, w, c) uint8 or uint16 is in focus."""
        network = load_network(
            DBD, self.settings.weights, sha256=self.settings.sha256, device=choose_device()
        )
        return detect(network, to_rgb(picture), self.settings).numpy()


def detect(network: nn.Module, image: Tensor, settings: DepthDistilledSettings) -> Tensor:
    """In-focus probability (h, w) of an image (3, h, w) in 0..1."""
    size = (image.shape[-2], image.shape[-1])
    found = []
    for side in scales_of(size, settings):
        sides = (side, *(round(side * factor) for factor in (0.8, 1.25) if settings.around))
        seen = [_resize(_see(network, image, settings, side=one), size) for one in sides]
        found.append(torch.stack(seen).mean(0))
    stacked = torch.stack(found)
    logits = stacked.amin(0) if settings.fusion == "least" else stacked.mean(0)
    return (logits * settings.contrast).sigmoid()


def scales_of(size: tuple[int, int], settings: DepthDistilledSettings) -> Sequence[int]:
    """Shorter sides at which a picture of a size is seen, coarse to fine; never more than twice its own."""
    shorter = min(size)
    sides = [settings.side_px]
    while sides[-1] * 2 <= min(shorter, settings.finest_px):
        sides.append(sides[-1] * 2)
    native = min(shorter, settings.finest_px)
    return sides if native < sides[-1] * 1.25 else [*sides, native]


def _see(network: nn.Module, image: Tensor, settings: DepthDistilledSettings, *, side: int) -> Tensor:
    """Logits (h', w') of the image with its shorter side brought to `side`."""
    height, width = image.shape[-2:]
    scale = side / min(height, width)
    scaled = _resize(image, (round(height * scale), round(width * scale)))
    logits = _tile(network, scaled, settings)
    if not settings.flip:
        return logits
    return (logits + _tile(network, scaled.flip(-1), settings).flip(-1)) / 2


def _tile(network: nn.Module, image: Tensor, settings: DepthDistilledSettings) -> Tensor:
    device = next(network.parameters()).device

    @torch.inference_mode()
    def detect_tiles(stack: Tensor) -> Tensor:
        height, width = stack.shape[-2:]
        padded = F.pad(stack, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        with autocast(device):
            found = network(padded.to(device).contiguous(memory_format=torch.channels_last))
        logits: Tensor = found.masks[:, 0].float().cpu()
        return logits[..., :height, :width]

    return apply_tiled(
        detect_tiles,
        [image],
        tile_px=round(settings.side_px * 1.6) // STRIDE * STRIDE,
        overlap_px=settings.overlap_px,
        at_once=_TILES_AT_ONCE if device.type == "cuda" else 1,
    )


def _resize(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., h, w) to another size; antialiased where it shrinks."""
    if tuple(plane.shape[-2:]) == size:
        return plane
    stack = plane.reshape(1, -1, *plane.shape[-2:])
    resized = F.interpolate(stack, size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized.reshape(*plane.shape[:-2], *size)
