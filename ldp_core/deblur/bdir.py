"""Restoration from one view by BDIR (roles from the paper, layers ours), with weights of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import Field
from torch import Tensor

from ldp_core.deblur.bdir_network import BdirNetwork, BdirSettings
from ldp_core.settings import Settings
from ldp_core.single_view import input_image
from ldp_core.tensors import choose_device, to_pixels, to_rgb
from ldp_core.tiling import apply_network
from ldp_core.types import BlurMap, Pair, Pixels, StageSpec
from ldp_core.weights import NetworkKind, digest_of, load_network

__all__ = ["BDIR", "BdirDeblurSettings", "BdirDeblurrer", "restore_image"]

VERSION: Final = "1"


def _build(settings: Mapping[str, Any]) -> BdirNetwork:
    return BdirNetwork(BdirSettings.parse(settings))


BDIR: Final = NetworkKind("bdir", _build)


class BdirDeblurSettings(Settings):
    """Which weights to use, and how a picture is cut up for them."""

    weights: str = "bdir"
    """Name of a shipped model, or the address of a .safetensors file."""
    sha256: str = ""
    """Digest of the file at that address; shipped models have theirs pinned."""
    # As of the deblurrer `ldp`: tiles little larger than the crops of training (decision 0006).
    tile_px: int = Field(default=384, ge=128)
    overlap_px: int = Field(default=64, ge=0)


@dataclass(frozen=True)
class BdirDeblurrer:
    """The networks as a stage. It needs no blur map, and of a pair only the mean of its views."""

    settings: BdirDeblurSettings = field(default_factory=BdirDeblurSettings)

    @property
    def spec(self) -> StageSpec:
        digest = digest_of(self.settings.weights, sha256=self.settings.sha256)
        return StageSpec("deblur", "bdir", VERSION, self.settings.model_dump(mode="json"), digest)

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels:
        """The all-in-focus picture, (h, w, c) of the pair's dtype.

        Raises:
            WeightsError: the weights are absent, altered, or of another network.
        """
        network = load_network(
            BDIR, self.settings.weights, sha256=self.settings.sha256, device=choose_device()
        )
        restored = restore_image(network, to_rgb(input_image(pair)), self.settings)
        if pair.left.shape[2] == 1:
            restored = restored.mean(0, keepdim=True)
        return to_pixels(restored, peak=pair.peak)


def restore_image(network: BdirNetwork, image: Tensor, settings: BdirDeblurSettings) -> Tensor:
    """Restore (3, h, w) in 0..1 tile by tile; (3, h, w) on the CPU, not clamped."""
    return apply_network(
        lambda images: network(images)[0],
        {"images": image},
        device=next(network.parameters()).device,
        tile_px=settings.tile_px,
        overlap_px=settings.overlap_px,
    )
