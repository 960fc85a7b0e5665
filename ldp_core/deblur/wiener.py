"""Training-free restoration: both views deconvolved jointly with the kernels of their signed blur.

For one circle of confusion the sharp picture X that explains both views best is, at each frequency,

    X = (conj(H_l) Y_l + conj(H_r) Y_r) / (|H_l|^2 + |H_r|^2 + noise / signal),

the Wiener filter of a two-channel measurement. The two half-aperture kernels have different zeros,
so together they keep more of the picture than their sum, the ordinary photograph. A scene is
restored level by level of its blur map and mixed. All of it is our own choice; nothing is trained.
It works on gamma-encoded values: on real pairs that measures no worse than linear light, and ripples
in the shadows stay small.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ldp_core.deblur.colour import from_opponent, to_opponent
from ldp_core.deblur.halo import limit_halos
from ldp_core.deblur.inversion import Layer, Penalty, explain_views, invert_layers, refine_edges
from ldp_core.deblur.layers import choose_levels, level_weights
from ldp_core.deblur.noise import measure_noise
from ldp_core.deblur.quantise import to_pixels
from ldp_core.deblur.spectra import Canvas
from ldp_core.errors import BlurMapError
from ldp_core.optics.kernels import KernelSpec, kernel_bank, kernel_size
from ldp_core.settings import Settings
from ldp_core.tiling import apply_tiled
from ldp_core.types import BlurMap, FloatMap, Pair, Pixels, StageSpec

__all__ = ["WienerDeblurrer", "WienerSettings"]

VERSION = "3"
_MARGIN_PX = 16
_CHANCES = torch.tensor([1 / 6, 2 / 3, 1 / 6])


class WienerSettings(Settings):
    """How strongly to restore. The defaults serve Canon and Pixel cameras alike.

    Ratios of noise to signal are powers at the Nyquist frequency of an axis.
    """

    kernel: KernelSpec = KernelSpec()
    """Should be the kernel that turned disparity into the circle of confusion."""
    noise_signal: float = Field(default=0.035, gt=0.0, le=1.0)
    """Standard deviation of noise, full scale 1, that equals the signal; falls as 1 / frequency^2."""
    model_penalty: float = Field(default=0.15, gt=0.0, le=10.0)
    """Noise over signal that stands for what kernels and blur map get wrong; as frequency^1.5."""
    colour_strictness: float = Field(default=4.0, ge=1.0, le=100.0)
    """How many times more both weigh on colour differences, which hold less signal."""
    edge_threshold: float = Field(default=0.003, ge=0.0, le=1.0)
    edge_stiffness: float = Field(default=1.0, ge=0.0, le=100.0)
    edge_rounds: int = Field(default=2, ge=0, le=20)
    coc_tolerance: float = Field(default=0.1, ge=0.0, le=0.5)
    """Relative standard deviation to which the circle of confusion is taken to be known."""
    halo_slack: float = Field(default=0.3, ge=0.0, le=10.0)
    """How far a restored value may leave the range of its surroundings, in parts of that range."""
    level_step_px: float = Field(default=1.0, gt=0.0)
    level_growth: float = Field(default=0.15, gt=0.0, le=1.0)
    largest_coc_px: float = Field(default=96.0, gt=0.0)
    """Circles of confusion beyond this are treated as of this size."""
    tile_px: int = Field(default=640, ge=128)


@dataclass(frozen=True)
class WienerDeblurrer:
    """Two-view Wiener deconvolution, layered over the signed circle of confusion."""

    settings: WienerSettings = field(default_factory=WienerSettings)

    @property
    def spec(self) -> StageSpec:
        return StageSpec("deblur", "wiener", VERSION, self.settings.model_dump(mode="json"))

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels:
        """The all-in-focus picture, (h, w, c) of the pair's dtype.

        Raises:
            BlurMapError: no map, a map of another size, not finite, or without radius and sign.
        """
        s = self.settings
        coc = torch.from_numpy(np.ascontiguousarray(_require_coc(pair, blur_map)))
        coc = coc.clamp(-s.largest_coc_px, s.largest_coc_px)
        with torch.inference_mode():
            left, right = (_to_tensor(view, peak=pair.peak) for view in pair.both_views)
            margin = kernel_size(s.kernel, float(coc.abs().max())) + _MARGIN_PX
            noise = measure_noise(left, right)

            def restore_tile(*stacks: Tensor) -> Tensor:
                left, right, coc = (stack[0] for stack in stacks)
                return restore_views(left, right, coc, settings=s, noise=noise)[None]

            restored = apply_tiled(
                restore_tile,
                [left, right, coc],
                tile_px=max(s.tile_px, 4 * margin),
                overlap_px=2 * margin,
            )
            return to_pixels(restored, peak=pair.peak)


def restore_views(
    left: Tensor, right: Tensor, coc_px: Tensor, *, settings: WienerSettings, noise: float
) -> Tensor:
    """Restore one tile.

    Args:
        left, right: (c, h, w) gamma-encoded in 0..1.
        coc_px: (h, w) signed diameters in pixels.
        noise: standard deviation of one view's noise, full scale 1.

    Returns:
        (c, h, w), not clipped.
    """
    s = settings
    largest = float(coc_px.abs().max()) * (1 + s.level_growth) + s.level_step_px
    reach = kernel_size(s.kernel, float(_candidates(largest, settings=s).max()))
    canvas = Canvas.around(left, margin=reach // 2 + _MARGIN_PX)
    spectra = canvas.transform(to_opponent(torch.stack([left, right])))
    layers = _build_layers(canvas, spectra, coc_px, settings=s)
    frequency = canvas.frequencies()
    model = s.model_penalty * frequency**1.5
    penalty = Penalty((noise / s.noise_signal * frequency) ** 2, model)
    strictness = torch.full((len(left), 1, 1), s.colour_strictness)
    strictness[0] = 1
    restored = invert_layers(canvas, layers, penalty, strictness=strictness)
    restored[:1] = refine_edges(
        canvas,
        [layer.take_channel(0) for layer in layers],
        Penalty(penalty.noise, model / 2),
        restored[:1],
        threshold=s.edge_threshold,
        stiffness=s.edge_stiffness,
        rounds=s.edge_rounds,
    )
    return limit_halos(from_opponent(restored), torch.stack([left, right]), coc_px, slack=s.halo_slack)


def _build_layers(
    canvas: Canvas, spectra: Tensor, coc_px: Tensor, *, settings: WienerSettings
) -> list[Layer]:
    levels = choose_levels(
        lowest=float(coc_px.min()),
        highest=float(coc_px.max()),
        step_px=settings.level_step_px,
        growth=settings.level_growth,
    )
    layers = []
    for index, level in enumerate(levels):
        weight = level_weights(coc_px, levels, index)
        if float(weight.max()) > 0:
            transfers = canvas.transfer(kernel_bank(settings.kernel, _candidates(level, settings=settings)))
            layers.append(Layer(level, weight, *explain_views(spectra, transfers, _CHANCES)))
    return layers


def _candidates(coc_px: float, *, settings: WienerSettings) -> Tensor:
    """Circles of confusion (3,) that stand for a normal distribution about one (Gauss-Hermite)."""
    return coc_px * (1 + settings.coc_tolerance * torch.tensor([-(3**0.5), 0.0, 3**0.5]))


def _require_coc(pair: Pair, blur_map: BlurMap | None) -> FloatMap:
    if blur_map is None:
        raise BlurMapError(
            "wiener cannot restore without a blur map",
            where=pair.id,
            expected="signed_coc_px",
            got="none",
            remedy="run an estimator that yields a signed circle of confusion, such as 'disparity'",
        )
    coc = blur_map.signed_coc_px()
    if coc.shape != pair.left.shape[:2] or not np.isfinite(coc).all():
        raise BlurMapError(
            "the blur map does not fit the picture",
            where=pair.id,
            expected=f"finite values of shape {pair.left.shape[:2]}",
            got=f"shape {coc.shape}, {int((~np.isfinite(coc)).sum())} values not finite",
            remedy="estimate the map from this pair",
        )
    return coc


def _to_tensor(view: Pixels, *, peak: int) -> Tensor:
    scaled = view.astype(np.float32) / np.float32(peak)
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))
