"""Defocus of a whole scene as both views of a dual-pixel sensor see it, occlusion included.

The scene is cut into slices by circle of confusion; each slice is blurred with its own kernels in
linear light and the slices are laid over each other from the back to the front. A slice's blurred
coverage is divided by the blurred coverage of all that lies at its depth or behind, so that surfaces
crossing several slices show no seam and background continues beneath a blurred foreground (the
composition of Ikoma et al., "Depth from Defocus with Learned Optics", ICCP 2021). Our own addition:
where no kernel reaches beneath the foreground, the nearest surroundings at that depth fill in.
"""

from __future__ import annotations

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional as F

from ldp_core.errors import PairMismatchError, SettingsError
from ldp_core.optics.kernels import DEFAULT_KERNEL, KernelSpec, kernel_bank, kernel_size
from ldp_core.optics.slices import Slices, cut_slices
from ldp_core.optics.transfer import Transfer, decode_light, encode_light
from ldp_core.signals import irfft2, rfft2

_FILL = 1e-4
_TINY = 1e-12
_COARSE_PX = 8


def render_views(
    sharp: Tensor,
    coc_px: Tensor,
    kernel: KernelSpec = DEFAULT_KERNEL,
    *,
    slices: int = 12,
    transfer: Transfer = Transfer.GAMMA_22,
) -> tuple[Tensor, Tensor]:
    """Left and right view of an all-in-focus image with known circles of confusion.

    Args:
        sharp: (b, c, h, w) float, encoded values 0..1.
        coc_px: (b, h, w) float, signed diameters in pixels, positive behind the focal plane.
        slices: how many levels of the circle of confusion are rendered, 3 or more.
        transfer: how `sharp` encodes light; the views are encoded alike.

    Returns:
        Two (b, c, h, w) float32 tensors, encoded values 0..1, aligned with `sharp`.

    Raises:
        PairMismatchError: the shapes do not belong together.
        SettingsError: fewer than 3 slices, or a circle of confusion that is not finite.
    """
    _require_match(sharp, coc_px)
    if slices < 3:
        raise SettingsError("too few slices", where="slices", expected="3 or more", got=str(slices))
    light = decode_light(sharp.to(torch.float32), transfer)
    views = _composite(light, cut_slices(coc_px.to(torch.float32), count=slices), kernel)
    left, right = encode_light(views, transfer).unbind(1)
    return left, right


def _composite(light: Tensor, scene: Slices, kernel: KernelSpec) -> Tensor:
    """Views (b, 2, c, h, w) in linear light."""
    largest_px = float(scene.levels_px.abs().max())
    blur = _Blur(light, margin=kernel_size(kernel, largest_px) - 1)
    surroundings = _Surroundings(light, reach_px=largest_px / 2)
    seen = [light.new_zeros(())] * 2
    for index in scene.occupied():
        share = scene.share(index)
        premultiplied = torch.cat([light * share, share], 1)
        around = surroundings.at_or_behind(premultiplied)
        blur.put(premultiplied)
        bank = kernel_bank(kernel, scene.levels_px[:, index])
        seen = [_cover(seen[side], _complete(blur.through(bank[:, side]), around)) for side in (0, 1)]
    return torch.stack([view[:, :-1] / view[:, -1:].clamp_min(_TINY) for view in seen], 1)


def _cover(behind: Tensor, layer: Tensor) -> Tensor:
    """A layer over what lies behind it; premultiplied colour, coverage last: (b, c + 1, h, w)."""
    return layer + behind * (1 - layer[:, -1:])


def _complete(blurred: Tensor, surroundings: Tensor) -> Tensor:
    """Divide by the coverage at this depth or behind, filled in from the surroundings in its holes."""
    layer, coverage = blurred[:, :-1], blurred[:, -1:].clamp(0, 1)
    fill = _FILL * (1 - coverage)
    return (layer.clamp_min(0) + fill * surroundings) / (coverage + fill + _TINY)


class _Blur:
    """Blurs slices one by one, each together with the coverage of all slices so far.

    Zero-padded convolution in the frequency domain, for kernels up to `margin` + 1 pixels.
    """

    def __init__(self, light: Tensor, *, margin: int) -> None:
        self.shape = light.shape[-2:]
        self.padded = [next_fast_len(n + margin, real=True) for n in self.shape]
        self.planes = self.coverage = light.new_zeros(())
        self.spectrum = self.coverage_spectrum = light.new_zeros((), dtype=torch.complex64)

    def put(self, premultiplied: Tensor) -> None:
        """Take the next slice (b, c + 1, h, w), coverage last."""
        spectrum = rfft2(premultiplied, self.padded)
        self.coverage = self.coverage + premultiplied[:, -1:]
        self.coverage_spectrum = self.coverage_spectrum + spectrum[:, -1:]
        self.planes = torch.cat([premultiplied, self.coverage], 1)
        self.spectrum = torch.cat([spectrum, self.coverage_spectrum], 1)

    def through(self, kernels: Tensor) -> Tensor:
        """The slice and the coverage (b, c + 2, h, w) through one view's kernels (b, k, k)."""
        if kernels.shape[-1] == 1:
            return self.planes
        product = self.spectrum * rfft2(kernels, self.padded)[:, None]
        planes = irfft2(product, self.padded)
        start, (height, width) = kernels.shape[-1] // 2, self.shape
        return planes[..., start : start + height, start : start + width]


class _Surroundings:
    """What lies around at the same depth, seen coarsely: the fill for holes behind a foreground."""

    def __init__(self, light: Tensor, *, reach_px: float) -> None:
        self.shape = light.shape[-2:]
        sigma = max(reach_px / _COARSE_PX / 2, 0.5)
        half = int(3 * sigma) + 1
        offsets = torch.arange(-half, half + 1, device=light.device, dtype=light.dtype)
        self.kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
        self.coverage = light.new_zeros(())

    def at_or_behind(self, premultiplied: Tensor) -> Tensor:
        """Add a slice (b, c + 1, h, w) and return its mean colour and share around each pixel."""
        coarse = self._spread(F.avg_pool2d(premultiplied, _COARSE_PX, ceil_mode=True))
        self.coverage = self.coverage + coarse[:, -1:]
        return F.interpolate(coarse / (self.coverage + _TINY), self.shape, mode="bilinear")

    def _spread(self, coarse: Tensor) -> Tensor:
        channels, half = coarse.shape[1], len(self.kernel) // 2
        column = self.kernel.view(1, 1, -1, 1).repeat(channels, 1, 1, 1)
        spread = torch.conv2d(coarse, column, padding=(half, 0), groups=channels)
        row = column.transpose(2, 3)
        return torch.conv2d(spread, row, padding=(0, half), groups=channels)


def _require_match(sharp: Tensor, coc_px: Tensor) -> None:
    if sharp.ndim != 4 or coc_px.shape != (sharp.shape[0], *sharp.shape[2:]):
        raise PairMismatchError(
            "image and circle of confusion do not belong together",
            where="render_views",
            expected="sharp (b, c, h, w) and coc_px (b, h, w)",
            got=f"{tuple(sharp.shape)} and {tuple(coc_px.shape)}",
        )
    if not bool(torch.isfinite(coc_px).all()):
        raise SettingsError(
            "a circle of confusion is not a finite number",
            where="render_views",
            expected="finite signed diameters in pixels",
            got=f"{int((~torch.isfinite(coc_px)).sum())} pixels that are NaN or infinite",
            remedy="fill the holes of the blur map first",
        )
