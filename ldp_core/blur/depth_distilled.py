"""Defocus blur detection by depth distillation (DD architecture, retrained): where a picture is in focus.

Known (Cun and Pun, ECCV 2020): one image of 320 x 320 in, one probability map out. Ours: pictures of
any size, seen whole and again in tiles at finer scales, since a blur of 10 px in a photograph 5,000 px
wide is gone when that is reduced to 320.

The reliability rule rates a map by itself. A detector that found something is sure of it: its values
spread, they fall into two groups that lie apart, and neither group fills the photograph. The known failure is
the photograph in focus all over, on which a detector still looks for blur.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ldp_core.blur.dd_network import STRIDE, DdNetwork, DdSettings
from ldp_core.errors import BlurMapError
from ldp_core.settings import Settings
from ldp_core.single_view import input_image
from ldp_core.tensors import choose_device, to_rgb
from ldp_core.tiling import apply_network
from ldp_core.types import BlurMap, BlurMapKind, FloatMap, Pair, Pixels, StageSpec
from ldp_core.weights import NetworkKind, digest_of, load_network

__all__ = [
    "DBD",
    "DepthDistilledEstimator",
    "DepthDistilledSettings",
    "Reliability",
    "ReliabilitySettings",
    "detect",
    "rate_reliability",
]

VERSION: Final = "1"
# Tiles are larger than what the network was trained on, so that their overlaps cost less.
_TILE_PER_SIDE: Final = 1.6
_NEARBY_SCALES: Final = (0.8, 1.25)
# A finer scale is worth its time only if it shows a picture larger by this much.
_NEW_SCALE: Final = 1.25
_GREY_LEVELS: Final = 256


def _build(settings: Mapping[str, Any]) -> DdNetwork:
    return DdNetwork(DdSettings.parse(settings))


DBD: Final = NetworkKind("dbd", _build)


class DepthDistilledSettings(Settings):
    """Which weights to use, and at which sizes a picture is seen."""

    weights: str = "dbd"
    """Name of a shipped model, or the address of a .safetensors file."""
    sha256: str = ""
    """Digest of the file at that address; shipped models have theirs pinned."""
    # Trained at 320 px. Scales to 1280 px raise the AUC on Pixel 4 from .801 to .816 and on simulated pairs
    # from .934 to .962; the least over scales falls to .706 on Pixel 4 (measurements, Blur detection).
    side_px: int = Field(default=320, ge=64, multiple_of=STRIDE)
    """Shorter side of the picture as it is seen whole, and side of the tiles at finer scales."""
    finest_px: int = Field(default=1280, ge=64)
    """Shorter side of the picture at the finest scale; each scale doubles the one before."""
    overlap_px: int = Field(default=64, ge=0)
    fusion: Literal["mean", "least"] = "mean"
    """Over scales: the mean of the logits, or the least: what is blurred at one scale is blurred."""
    # 2 has the least MAE on the 60 validation photographs: .078; 1, as trained, .084.
    contrast: float = Field(default=2.0, gt=0)
    """Factor on the logits, 1 = as trained."""
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
        sides = (side, *(round(side * factor) for factor in _NEARBY_SCALES if settings.around))
        logits = [_resize(_detect_at(network, image, settings, side=one), size) for one in sides]
        found.append(torch.stack(logits).mean(0))
    stacked = torch.stack(found)
    fused = stacked.amin(0) if settings.fusion == "least" else stacked.mean(0)
    return (fused * settings.contrast).sigmoid()


def scales_of(size: tuple[int, int], settings: DepthDistilledSettings) -> Sequence[int]:
    """Shorter sides at which a picture of a size is seen, coarse to fine; never more than twice its own."""
    shorter = min(size)
    sides = [settings.side_px]
    while sides[-1] * 2 <= min(shorter, settings.finest_px):
        sides.append(sides[-1] * 2)
    native = min(shorter, settings.finest_px)
    return sides if native < sides[-1] * _NEW_SCALE else [*sides, native]


def _detect_at(network: nn.Module, image: Tensor, settings: DepthDistilledSettings, *, side: int) -> Tensor:
    """Logits (h', w') of the image with its shorter side brought to `side`."""
    height, width = image.shape[-2:]
    scale = side / min(height, width)
    scaled = _resize(image, (round(height * scale), round(width * scale)))
    logits = _detect_tiled(network, scaled, settings)
    if not settings.flip:
        return logits
    return (logits + _detect_tiled(network, scaled.flip(-1), settings).flip(-1)) / 2


def _detect_tiled(network: nn.Module, image: Tensor, settings: DepthDistilledSettings) -> Tensor:
    def take_logits(image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        padded = F.pad(image, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        logits: Tensor = network(padded.contiguous(memory_format=torch.channels_last)).masks[:, 0]
        return logits[..., :height, :width]

    return apply_network(
        take_logits,
        {"image": image},
        device=next(network.parameters()).device,
        tile_px=round(settings.side_px * _TILE_PER_SIDE) // STRIDE * STRIDE,
        overlap_px=settings.overlap_px,
    )


def _resize(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., h, w) to another size; antialiased where it shrinks."""
    if tuple(plane.shape[-2:]) == size:
        return plane
    stack = plane.reshape(1, -1, *plane.shape[-2:])
    resized = F.interpolate(stack, size=size, mode="bilinear", antialias=True, align_corners=False)
    return resized.reshape(*plane.shape[:-2], *size)


class ReliabilitySettings(Settings):
    """What a map has to show to be trusted: figures of a 2026 manuscript, which our own measurement does
    not confirm (infra/measurements.md, Blur detection)."""

    least_spread: float = Field(default=0.55, ge=0, le=1)
    """90th less 10th percentile."""
    least_separation: float = Field(default=0.45, ge=0, le=1)
    """Distance of the means of the two groups."""
    least_sharp: float = Field(default=0.03, ge=0, le=1)
    most_sharp: float = Field(default=0.70, ge=0, le=1)
    """Share of the picture that is in focus."""


DEFAULT_RELIABILITY: Final = ReliabilitySettings()


@dataclass(frozen=True, slots=True)
class Reliability:
    """What the rule found, and why it does not trust the map, by condition; no reason: it does."""

    spread: float
    separation: float
    sharp_share: float
    reasons: Mapping[str, str]

    @property
    def accepted(self) -> bool:
        return not self.reasons


def rate_reliability(in_focus: FloatMap, settings: ReliabilitySettings = DEFAULT_RELIABILITY) -> Reliability:
    """Rate a probability of being in focus, (h, w) float32 in 0..1.

    Raises:
        BlurMapError: the map is empty, or holds nan or what is no probability.
    """
    if not in_focus.size or not (in_focus.min() >= 0 and in_focus.max() <= 1):
        raise BlurMapError(
            "the reliability of this map cannot be rated",
            expected="finite values in 0..1",
            got=f"{in_focus.size} values",
            remedy="give a probability of being in focus",
        )
    low, high = np.percentile(in_focus, (10, 90))
    spread, separation = float(high - low), separate_modes(in_focus)
    sharp_share = float((in_focus >= 0.5).mean())
    reasons = {
        "spread": _less(spread, settings.least_spread, "values spread by"),
        "separation": _less(separation, settings.least_separation, "groups are apart by"),
        "too little in focus": _less(sharp_share, settings.least_sharp, "share in focus"),
        "too much in focus": _more(sharp_share, settings.most_sharp, "share in focus"),
    }
    failed = {condition: reason for condition, reason in reasons.items() if reason}
    return Reliability(spread, separation, sharp_share, failed)


def separate_modes(in_focus: FloatMap) -> float:
    """Distance of the means of the two groups that Otsu's threshold makes: 0..1, 0 for a constant.

    Otsu, IEEE Trans. SMC 9, 1979, over 256 levels.
    """
    levels = np.rint(in_focus * np.float32(_GREY_LEVELS - 1)).astype(np.uint8)
    counts = np.bincount(levels.ravel(), minlength=_GREY_LEVELS).astype(np.float64)
    sums = counts * np.arange(_GREY_LEVELS) / (_GREY_LEVELS - 1)
    below, sum_below = counts.cumsum()[:-1], sums.cumsum()[:-1]
    above, sum_above = counts.sum() - below, sums.sum() - sum_below
    both = (below > 0) & (above > 0)
    if not both.any():
        return 0.0
    distances = sum_above[both] / above[both] - sum_below[both] / below[both]
    between = below[both] * above[both] * distances**2
    return float(distances[between.argmax()])


def _less(value: float, least: float, what: str) -> str:
    return f"{what} {value:.3f}, less than {least:g}" if value < least else ""


def _more(value: float, most: float, what: str) -> str:
    return f"{what} {value:.3f}, more than {most:g}" if value > most else ""
