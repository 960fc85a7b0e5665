"""Dual-pixel kernels at any signed circle of confusion.

A kernel is the unit point spread function scaled by the signed radius, so that near content is the
point reflection of far content, and laid onto the pixel grid with linear (tent) weights. That keeps
the sum and the centroid exact at every radius: kernels change smoothly with the radius, radius zero
is a delta, and the views' disparity is exactly proportional to the circle of confusion.

Kernels are true point spread functions, to be convolved. Deep-learning `conv2d` correlates: flip
both axes of a kernel first, or near and far change places.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ldp_core.errors import SettingsError
from ldp_core.optics.apertures import KernelFamily, KernelSpec, unit_psf

__all__ = [
    "DEFAULT_KERNEL",
    "KernelFamily",
    "KernelSpec",
    "disparity_per_coc",
    "kernel_bank",
    "kernel_pair",
    "kernel_size",
]

DEFAULT_KERNEL = KernelSpec()


def kernel_pair(spec: KernelSpec, coc_px: float) -> tuple[Tensor, Tensor]:
    """Left and right kernel for one signed circle of confusion.

    Args:
        coc_px: signed diameter in pixels, positive behind the focal plane.

    Returns:
        Two (k, k) float32 tensors, k odd, each summing to 1; in the right one content behind the
        focal plane lies at larger x than in the left one.

    Raises:
        SettingsError: `coc_px` is not finite, or measured kernels cannot be used.
    """
    left, right = kernel_bank(spec, torch.tensor([coc_px], dtype=torch.float32))[0]
    return left, right


def kernel_bank(spec: KernelSpec, coc_px: Tensor) -> Tensor:
    """Kernels for many circles of confusion, on one grid; differentiable in `coc_px`.

    Args:
        coc_px: (n,) signed diameters in pixels.

    Returns:
        (n, 2, k, k) float32 on the device of `coc_px`: left and right, k odd and large enough for
        the largest diameter.

    Raises:
        SettingsError: a diameter is not finite, or measured kernels cannot be used.
    """
    _require_finite(coc_px)
    psf = unit_psf(spec)
    size = kernel_size(spec, float(coc_px.detach().abs().max()) if len(coc_px) else 0.0)
    radius = coc_px.to(torch.float32) / 2
    rows = _tents(psf.y.to(radius), radius=radius, size=size)
    columns = _tents(psf.x.to(radius), radius=radius, size=size)
    values = psf.values.to(radius)
    return torch.einsum("nim,vmk,njk->nvij", rows, values, columns)


def kernel_size(spec: KernelSpec, coc_px: float) -> int:
    """Odd side of the smallest grid that holds the kernels up to this diameter."""
    return 2 * math.ceil(unit_psf(spec).extent * abs(coc_px) / 2) + 1


def disparity_per_coc(spec: KernelSpec) -> float:
    """Centroid x of the right kernel minus the left one, per pixel of signed diameter."""
    return unit_psf(spec).disparity / 2


def _tents(samples: Tensor, *, radius: Tensor, size: int) -> Tensor:
    """Linear weights (n, size, m) with which m samples in radii fall onto `size` pixels."""
    pixels = torch.arange(size, device=radius.device, dtype=radius.dtype) - (size - 1) / 2
    places = radius[:, None] * samples
    return (1 - (pixels[None, :, None] - places[:, None, :]).abs()).clamp_min(0)


def _require_finite(coc_px: Tensor) -> None:
    if not bool(torch.isfinite(coc_px).all()):
        raise SettingsError(
            "a circle of confusion is not a finite number",
            where="coc_px",
            expected="finite signed diameters in pixels",
            got=f"{int((~torch.isfinite(coc_px)).sum())} values that are NaN or infinite",
        )
