"""Restoration by the LDP network, with weights of our own training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pydantic import Field
from torch import Tensor

from ldp_core.cameras import Camera, is_generic, key_settings, open_camera
from ldp_core.cameras.kernel_numbers import kernel_planes
from ldp_core.deblur import wiener
from ldp_core.deblur.ldp_network import LdpNetwork, NetworkSettings, arrange_for, lay_planes
from ldp_core.settings import Settings
from ldp_core.tensors import choose_device, to_pixels, to_rgb
from ldp_core.tiling import apply_network
from ldp_core.types import GENERIC_CAMERA, BlurMap, BlurMapKind, Pair, Pixels, StageSpec
from ldp_core.weights import NetworkKind, digest_of, load_network

__all__ = ["LDP", "LdpDeblurrer", "LdpSettings", "restore_views"]

VERSION: Final = "2"


def _build(settings: Mapping[str, Any]) -> LdpNetwork:
    return LdpNetwork(NetworkSettings.parse(settings))


LDP: Final = NetworkKind("ldp", _build)


class LdpSettings(Settings):
    """Which weights to use, and how a picture is cut up for them."""

    weights: str = "ldp"
    """Name of a shipped model, or the address of a .safetensors file."""
    sha256: str = ""
    """Digest of the file at that address; shipped models have theirs pinned."""
    camera: str = Field(default=GENERIC_CAMERA, exclude_if=is_generic)
    """Camera profile by name or address. Its kernels make the restoration that the network corrects; networks
    that know kernels are told them by place."""
    use_map: bool = True
    """Give the blur map to the network; without it the network sees the views alone."""
    # Trained on crops of 128 px. Whole pictures lose .05 to .13 dB; tiles of 192 px gain .08 dB on Pixel 4
    # and cost half as much work again (decision 0006).
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
        return StageSpec("deblur", "ldp", version, key_settings(self.settings, self._camera), digest)

    @cached_property
    def _camera(self) -> Camera | None:
        return None if is_generic(self.settings.camera) else open_camera(self.settings.camera)

    @cached_property
    def _wiener(self) -> wiener.WienerDeblurrer:
        return wiener.WienerDeblurrer(wiener.WienerSettings(camera=self.settings.camera))

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
            wiener.require_fit(
                pair, blur_map, remedy="estimate the map from this pair, or restore without one"
            )
            kernel = None
            if network.settings.knows_kernel:
                kernel = kernel_planes(self._camera, *blur_map.values.shape)[None]
            planes = arrange_for(network.settings, lay_planes(blur_map), kernel)
            if network.settings.residual == "wiener" and blur_map.kind is BlurMapKind.SIGNED_COC_PX:
                images["guess"] = self._wiener.restore(pair, blur_map)
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
    return apply_network(
        network,
        arrays,
        device=next(network.parameters()).device,
        tile_px=settings.tile_px,
        overlap_px=settings.overlap_px,
    )
