"""Restoration by the LDP network, with weights of our own training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ldp_core.deblur import wiener
from ldp_core.deblur.ldp_map import arrange_for, lay_planes
from ldp_core.deblur.ldp_network import LdpNetwork, NetworkSettings
from ldp_core.deblur.quantise import to_pixels
from ldp_core.devices import autocast, choose_device
from ldp_core.errors import BlurMapError
from ldp_core.settings import Settings
from ldp_core.single_view import to_rgb
from ldp_core.tiling import apply_tiled
from ldp_core.types import BlurMap, BlurMapKind, Pair, Pixels, StageSpec
from ldp_core.weights import digest_of
from ldp_core.weights.networks import NetworkKind, load_network

__all__ = ["LDP", "LdpDeblurrer", "LdpSettings"]

VERSION = "2"


def _build(settings: Mapping[str, Any]) -> LdpNetwork:
    return LdpNetwork(NetworkSettings.parse(settings))


LDP = NetworkKind("ldp", _build)
_TILES_AT_ONCE = 16
"""On a GPU; on a CPU one is fastest."""


class LdpSettings(Settings):
    """Which weights to use, and how a picture is cut up for them."""

    weights: str = "ldp"
    """Name of a shipped model, or the address of a .safetensors file."""
    sha256: str = ""
    """Digest of the file at that address; shipped models have theirs pinned."""
    use_map: bool = True
    """Give the blur map to the network; without it the network sees the views alone."""
    tile_px: int = Field(default=384, ge=128)
    overlap_px: int = Field(default=64, ge=0)


@dataclass(frozen=True)
class LdpDeblurrer:
    """The network as a stage. It takes any kind of blur map, or none, and RGB or grey pairs."""

    settings: LdpSettings = field(default_factory=LdpSettings)

    @property
    def spec(self) -> StageSpec:
        digest = digest_of(self.settings.weights, sha256=self.settings.sha256)
        version = f"{VERSION}, wiener {wiener.VERSION}"
        return StageSpec("deblur", "ldp", version, self.settings.model_dump(mode="json"), digest)

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels:
        """The all-in-focus picture, (h, w, c) of the pair's dtype.

        Raises:
            BlurMapError: the map is of another size than the pair, or not finite.
            WeightsError: the weights are absent, altered, or of another network.
        """
        network = load_network(
            LDP, self.settings.weights, sha256=self.settings.sha256, device=choose_device()
        )
        images = dict(zip(("left", "right"), pair.both_views, strict=True))
        planes = None
        if blur_map is not None and self.settings.use_map:
            _require_fit(pair, blur_map)
            planes = arrange_for(network.settings.bpa, lay_planes(blur_map))
            if network.settings.residual == "wiener" and blur_map.kind is BlurMapKind.SIGNED_COC_PX:
                images["guess"] = wiener.WienerDeblurrer().restore(pair, blur_map)
        arrays = {name: to_rgb(image) for name, image in images.items()}
        if planes is not None:
            arrays["plane"] = planes[0]
        restored = restore_views(network, self.settings, **arrays)
        if pair.left.shape[2] == 1:
            restored = restored.mean(0, keepdim=True)
        return to_pixels(restored, peak=pair.peak)


def restore_views(network: LdpNetwork, settings: LdpSettings, **arrays: Tensor) -> Tensor:
    """Restore (3, h, w) views in 0..1 tile by tile.

    The network weighs its channels by their means over what it is shown, and was trained on small
    crops: tiles of little more than their size restore better than the whole picture does, and every
    tile of a picture has the same one.

    Args:
        arrays: what `LdpNetwork.forward` takes, by name, without the batch.

    Returns:
        (3, h, w) on the CPU, not clamped.
    """
    device = next(network.parameters()).device

    @torch.inference_mode()
    def restore_tiles(*stacks: Tensor) -> Tensor:
        placed = {name: _place(stack, device) for name, stack in zip(arrays, stacks, strict=True)}
        with autocast(device):
            restored: Tensor = network(**placed)
        return restored.float().cpu()

    return apply_tiled(
        restore_tiles,
        list(arrays.values()),
        tile_px=settings.tile_px,
        overlap_px=settings.overlap_px,
        at_once=_TILES_AT_ONCE if device.type == "cuda" else 1,
    )


def _place(views: Tensor, device: torch.device) -> Tensor:
    return views.to(device).contiguous(memory_format=torch.channels_last)


def _require_fit(pair: Pair, blur_map: BlurMap) -> None:
    if blur_map.values.shape != pair.left.shape[:2] or not np.isfinite(blur_map.values).all():
        raise BlurMapError(
            "the blur map does not fit the picture",
            where=pair.id,
            expected=f"finite values of shape {pair.left.shape[:2]}",
            got=f"shape {blur_map.values.shape}, {int((~np.isfinite(blur_map.values)).sum())} not finite",
            remedy="estimate the map from this pair, or restore without one",
        )
