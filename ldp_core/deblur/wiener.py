"""Training-free restoration: both views deconvolved jointly with the kernels of their signed blur.

For one circle of confusion the sharp picture X that explains both views best is, at each frequency,

    X = (conj(H_l) Y_l + conj(H_r) Y_r) / (|H_l|^2 + |H_r|^2 + noise / signal),

the Wiener filter of a two-channel measurement. The two half-aperture kernels have different zeros,
so together they keep more of the picture than their sum, the ordinary photograph. A scene is
restored level by level of its blur map and mixed; where surfaces hide each other, each by itself, see
`occlusion`. All of it is our own choice; nothing is trained.
It works on gamma-encoded values: on real pairs that measures no worse than linear light, and ripples
in the shadows stay small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ldp_core.cameras import Camera, is_generic, key_settings, open_camera
from ldp_core.cameras.tiles import apply_by_place, largest_kernel_size
from ldp_core.deblur.inversion import Layer, Penalty, PulledLayer, ViewSpectra, add_inverse, refine_edges
from ldp_core.deblur.occlusion import DepthRange, Restored, decode_views, find_ranges, isolate, surround
from ldp_core.errors import BlurMapError
from ldp_core.optics.kernels import Kernel, KernelSpec, kernel_bank, kernel_size
from ldp_core.settings import Settings
from ldp_core.signals import Canvas, laplacian_noise, repeat_twice, spread_maxima
from ldp_core.tensors import to_pixels, to_tensor
from ldp_core.tiling import apply_tiled
from ldp_core.types import GENERIC_CAMERA, BlurMap, Pair, Pixels, StageSpec

__all__ = ["WienerDeblurrer", "WienerSettings", "require_fit"]

VERSION: Final = "4"
# Beyond the kernel's reach: a Wiener filter rings farther than the kernel that it inverts.
_MARGIN_PX: Final = 16
_NODES: Final = torch.tensor([-(3**0.5), 0.0, 3**0.5])
_PROBABILITIES: Final = torch.tensor([1 / 6, 2 / 3, 1 / 6])
"""Gauss-Hermite quadrature: three circles of confusion that stand for a normal distribution of them."""
_OPPONENT: Final = torch.tensor(
    [
        [3**-0.5, 3**-0.5, 3**-0.5],
        [2**-0.5, 0.0, -(2**-0.5)],
        [6**-0.5, -2 * 6**-0.5, 6**-0.5],
    ]
)
# Surroundings reach a quarter of the circle of confusion to each side: chosen, not measured by itself.
_RADIUS_PER_COC: Final = 0.25
_RADII_PX: Final = (1, 2, 4, 8, 16)


# Changes in dB on five Canon scenes (canon_dpdd), then on three of the Pixel 4; as shipped 25.61 and 27.24.
# One setting at a time, `python infra/benchmarks/constants.py`. They were chosen on those scenes.
class WienerSettings(Settings):
    """How strongly to restore. The defaults serve Canon and Pixel cameras alike.

    Ratios of noise to signal are powers at the Nyquist frequency of an axis.
    """

    kernel: KernelSpec = KernelSpec()
    """Should be the kernel that turned disparity into the circle of confusion."""
    camera: str = Field(default=GENERIC_CAMERA, exclude_if=is_generic)
    """Camera profile by name or address. Its kernels, by place in the frame, stand in for `kernel`."""
    # .02 lets noise through, -.08 on Canon; .06 blurs, -.04; the Pixel 4 has too little noise to tell.
    noise_signal: float = Field(default=0.035, gt=0.0, le=1.0)
    """Standard deviation of noise, full scale 1, that equals the signal; falls as 1 / frequency^2."""
    # .08: +.01 Canon, -.05 Pixel 4, whose kernels the half disc fits worse; .3: -.04, +.01.
    model_penalty: float = Field(default=0.15, gt=0.0, le=10.0)
    """Noise over signal that stands for what kernels and blur map get wrong; as frequency^1.5."""
    # 1 lets colour noise through: -.07 on Canon; 10 is worth the same as 4. The Pixel 4 is grey.
    colour_strictness: float = Field(default=4.0, ge=1.0, le=100.0)
    """How many times more both weigh on colour differences, which hold less signal."""
    # 0 leaves ripples: -.13 on the Pixel 4; .01 takes texture away: -.03, -.06, and -.006 SSIM on Canon.
    edge_threshold: float = Field(default=0.003, ge=0.0, le=1.0)
    """Change per pixel, full scale 1, below which a gradient counts as a ripple."""
    # .3: -.01, -.04. 3: +.00, +.00, but -.001 SSIM on Canon.
    edge_stiffness: float = Field(default=1.0, ge=0.0, le=100.0)
    """Weight of strong edges against the views."""
    # None: -.03, -.12. 4: +.00, +.01 for two more solutions of every level.
    edge_rounds: int = Field(default=2, ge=0, le=20)
    """How often edges are found again and the views solved for again."""
    # 0 trusts the map: +.02, -.25. .2 hardly restores: -.12, -.17.
    coc_tolerance: float = Field(default=0.1, ge=0.0, le=0.5)
    """Relative standard deviation to which the circle of confusion is taken to be known."""
    # .05 cuts true contrast: -.03, -.14. 1: .00, +.03. 10, no limit in effect: -.01, -.01.
    halo_slack: float = Field(default=0.3, ge=0.0, le=10.0)
    """How far a restored value may leave the range of its surroundings, in parts of that range."""
    # Time grows with the number of levels. Half or twice the step or the growth: within .03 on both.
    level_step_px: float = Field(default=1.0, gt=0.0)
    """Distance of levels near focus."""
    level_growth: float = Field(default=0.15, gt=0.0, le=1.0)
    """Distance of levels over their circle of confusion, farther out."""
    largest_coc_px: float = Field(default=96.0, gt=0.0)
    """Circles of confusion beyond this are treated as of this size."""
    tile_px: int = Field(default=640, ge=128)


@dataclass(frozen=True)
class WienerDeblurrer:
    """Two-view Wiener deconvolution, layered over the signed circle of confusion."""

    settings: WienerSettings = field(default_factory=WienerSettings)
    camera: Camera | None = None
    """In place of the settings' camera: one that no file holds."""

    @property
    def spec(self) -> StageSpec:
        return StageSpec("deblur", "wiener", VERSION, key_settings(self.settings, self._camera))

    @cached_property
    def _camera(self) -> Camera | None:
        if self.camera is not None:
            return self.camera
        return None if is_generic(self.settings.camera) else open_camera(self.settings.camera)

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels:
        """The all-in-focus picture, (h, w, c) of the pair's dtype.

        Raises:
            BlurMapError: no map, a map of another size, not finite, or without radius and sign.
            SettingsError: the picture does not fit into the frame of its camera.
        """
        s, camera = self.settings, self._camera
        found = _require_coc(pair, blur_map)
        coc = torch.from_numpy(np.ascontiguousarray(found.signed_coc_px()))
        coc = coc.clamp(-s.largest_coc_px, s.largest_coc_px)
        sure = None if found.confidence is None else torch.from_numpy(np.ascontiguousarray(found.confidence))
        with torch.inference_mode():
            left, right = (to_tensor(view, peak=pair.peak) for view in pair.both_views)
            noise = laplacian_noise(left, right)
            ranges = find_ranges(coc, sure)

            def restore_tile(kernel: Kernel, left: Tensor, right: Tensor, coc: Tensor) -> Tensor:
                return restore_views(left, right, coc, settings=s, noise=noise, ranges=ranges, kernel=kernel)

            if camera is None or camera.uniform_kernel is not None:
                kernel = s.kernel if camera is None else camera.uniform_kernel or s.kernel
                margin = kernel_size(kernel, float(coc.abs().max())) + _MARGIN_PX
                restored = apply_tiled(
                    lambda *stacks: restore_tile(kernel, *(stack[0] for stack in stacks))[None],
                    [left, right, coc],
                    tile_px=max(s.tile_px, 4 * margin),
                    overlap_px=2 * margin,
                )
            else:
                # Twice the radius, as above, takes 1.4 times as long and gives the same within .02 dB.
                margin = largest_kernel_size(camera, coc) // 2 + _MARGIN_PX
                restored = apply_by_place(restore_tile, [left, right, coc], camera=camera, margin_px=margin)
            return to_pixels(restored, peak=pair.peak)


def restore_views(
    left: Tensor,
    right: Tensor,
    coc_px: Tensor,
    *,
    settings: WienerSettings,
    noise: float,
    ranges: Sequence[DepthRange],
    kernel: Kernel | None = None,
) -> Tensor:
    """Restore one tile.

    Args:
        left, right: (c, h, w) gamma-encoded in 0..1.
        coc_px: (h, w) signed diameters in pixels.
        noise: standard deviation of one view's noise, full scale 1.
        ranges: of depth in the whole picture, from the front to the back.
        kernel: of both views; that of the settings, if not given.

    Returns:
        (c, h, w), not clipped.
    """
    kernel = settings.kernel if kernel is None else kernel
    views = torch.stack([left, right])
    restored, alone = torch.zeros_like(left), views
    if len(ranges) == 1:
        restored = invert_blur(views, coc_px, settings=settings, noise=noise, kernel=kernel)
    else:
        alone, light = torch.zeros_like(views), decode_views(views)
        done: list[Restored] = []
        for depth in ranges:
            inside = depth.holds(coc_px)
            if bool(inside.any()):
                seen = isolate(views, light, coc_px, depth, done, kernel=kernel)
                # Beyond the margin that tiles have, too, nothing of the surface is seen.
                margin = kernel_size(kernel, max(abs(depth.low_px), abs(depth.high_px))) + _MARGIN_PX
                box = (..., *surround(inside, margin_px=margin))
                picture = torch.zeros_like(left)
                picture[box] = invert_blur(
                    seen[box], depth.clamp(coc_px[box]), settings=settings, noise=noise, kernel=kernel
                )
                done.append(Restored(depth, picture.clamp(0, 1)))
                restored, alone = torch.where(inside, picture, restored), torch.where(inside, seen, alone)
    return limit_halos(restored, alone, coc_px, slack=settings.halo_slack)


def invert_blur(
    views: Tensor, coc_px: Tensor, *, settings: WienerSettings, noise: float, kernel: Kernel
) -> Tensor:
    """The picture (c, h, w) that both views (2, c, h, w) of a surface without gaps show."""
    s = settings
    largest = float(coc_px.abs().max()) * (1 + s.level_growth) + s.level_step_px
    reach = kernel_size(kernel, float(_candidates(largest, settings=s).max()))
    canvas = Canvas.around(views, margin=reach // 2 + _MARGIN_PX)
    frequency = repeat_twice(canvas.frequencies())
    model = s.model_penalty * frequency**1.5
    penalty = Penalty((noise / s.noise_signal * frequency).square(), model)
    of_edges, gradient_power = Penalty(penalty.noise, model / 2), repeat_twice(canvas.gradient_power())
    restored, pulled = torch.zeros_like(views[0]), []
    for layer in _build_layers(canvas, views, coc_px, settings=s, kernel=kernel):
        add_inverse(restored, canvas, layer, penalty, colour_strictness=s.colour_strictness)
        pulled.append(PulledLayer.of(layer, of_edges, gradient_power, stiffness=s.edge_stiffness))
    restored[:1] = refine_edges(
        canvas, pulled, restored[:1], threshold=s.edge_threshold, rounds=s.edge_rounds
    )
    return from_opponent(restored)


def _build_layers(
    canvas: Canvas, views: Tensor, coc_px: Tensor, *, settings: WienerSettings, kernel: Kernel
) -> Iterator[Layer]:
    levels = choose_levels(
        lowest=float(coc_px.min()),
        highest=float(coc_px.max()),
        step_px=settings.level_step_px,
        growth=settings.level_growth,
    )
    spectra = ViewSpectra.of(canvas.transform(to_opponent(views)))
    for index, level in enumerate(levels):
        weight = level_weights(coc_px, levels, index)
        if float(weight.max()) > 0:
            kernels = kernel_bank(kernel, _candidates(level, settings=settings))
            yield Layer(level, weight, *spectra.apply_adjoint(canvas, kernels, _PROBABILITIES))


def _candidates(coc_px: float, *, settings: WienerSettings) -> Tensor:
    """Circles of confusion (3,) that stand for a normal distribution about one."""
    return coc_px * (1 + settings.coc_tolerance * _NODES)


def choose_levels(*, lowest: float, highest: float, step_px: float, growth: float) -> list[float]:
    """Signed diameters in px that enclose lowest..highest, zero among the candidates.

    Kernels change with the relative size of the circle, so steps widen from `step_px` at focus to
    `growth` times the diameter.
    """
    reach = max(highest, -lowest, 0.0)
    grid = [0.0]
    while grid[-1] < reach:
        grid.append(grid[-1] + max(step_px, growth * grid[-1]))
    levels = np.array([-level for level in grid[:0:-1]] + grid)
    first = max(int(np.searchsorted(levels, lowest, side="right")) - 1, 0)
    last = min(int(np.searchsorted(levels, highest)), len(levels) - 1)
    return [float(level) for level in levels[first : last + 1]]


def level_weights(coc_px: Tensor, levels: list[float], index: int) -> Tensor:
    """Share of one level at every pixel: linear between neighbouring levels, all shares add up to 1.

    Args:
        coc_px: (h, w) signed diameters.

    Returns:
        (h, w) in 0..1.
    """
    weight = torch.ones_like(coc_px)
    if index > 0:
        weight = torch.minimum(weight, (coc_px - levels[index - 1]) / (levels[index] - levels[index - 1]))
    if index + 1 < len(levels):
        weight = torch.minimum(weight, (levels[index + 1] - coc_px) / (levels[index + 1] - levels[index]))
    return weight.clamp(0, 1)


def to_opponent(picture: Tensor) -> Tensor:
    """(..., 3, h, w) RGB to luminance, red-blue, magenta-green; (..., 1, h, w) as it is.

    The basis is orthonormal, so that white noise stays white.
    """
    if picture.shape[-3] == 1:
        return picture
    return torch.einsum("ij,...jhw->...ihw", _OPPONENT, picture)


def from_opponent(picture: Tensor) -> Tensor:
    """The inverse of `to_opponent`."""
    if picture.shape[-3] == 1:
        return picture
    return torch.einsum("ji,...jhw->...ihw", _OPPONENT, picture)


def limit_halos(picture: Tensor, views: Tensor, coc_px: Tensor, *, slack: float) -> Tensor:
    """Keep each pixel near the range that the views span around it.

    The surroundings are half as wide as the circle of confusion. In focus they are the pixel's
    neighbours, so that content which passed unchanged is never touched.

    Args:
        picture: (c, h, w) restored.
        views: (2, c, h, w).
        coc_px: (h, w) signed diameters in pixels.
        slack: how far beyond the range a value may lie, in parts of the range.

    Returns:
        (c, h, w)
    """
    octave = (coc_px.abs() * _RADIUS_PER_COC).clamp(_RADII_PX[0], _RADII_PX[-1]).log2()
    above, below = torch.zeros_like(picture), torch.zeros_like(picture)
    spreads = zip(*(spread_maxima(side, _RADII_PX) for side in (views.amax(0), -views.amin(0))), strict=True)
    for index, (highest, lowest) in enumerate(spreads):
        share = (1 - (octave - index).abs()).clamp_min(0)
        if float(share.max()) > 0:
            above.addcmul_(share, highest)
            below.addcmul_(share, lowest, value=-1)
    allowance = slack * (above - below)
    return torch.minimum(torch.maximum(picture, below - allowance), above + allowance)


def require_fit(pair: Pair, blur_map: BlurMap, *, remedy: str) -> None:
    """Refuse a map that does not fit its picture.

    Raises:
        BlurMapError: the map is of another size than the pair, or not finite.
    """
    values, shape = blur_map.values, pair.left.shape[:2]
    if values.shape != shape or not np.isfinite(values).all():
        raise BlurMapError(
            "the blur map does not fit the picture",
            where=pair.id,
            expected=f"finite values of shape {shape}",
            got=f"shape {values.shape}, {int((~np.isfinite(values)).sum())} values not finite",
            remedy=remedy,
        )


def _require_coc(pair: Pair, blur_map: BlurMap | None) -> BlurMap:
    if blur_map is None:
        raise BlurMapError(
            "wiener cannot restore without a blur map",
            where=pair.id,
            expected="signed_coc_px",
            got="none",
            remedy="run an estimator that yields a signed circle of confusion, such as 'disparity'",
        )
    blur_map.signed_coc_px()
    require_fit(pair, blur_map, remedy="estimate the map from this pair")
    return blur_map
