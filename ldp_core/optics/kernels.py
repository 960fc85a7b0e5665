"""Dual-pixel kernels: what a defocused point looks like in each view, at any signed circle of confusion.

A unit point spread function is given in radii of the circle of confusion, x to the right, y down, for
content behind the focal plane; there the right view leans to +x. The left view is its mirror image about
the vertical axis, except where both were measured; off the lens's axis it mirrors the right view at the
opposite place in the frame.

A kernel is that function scaled by the signed radius, so that near content is the point reflection of far
content, and laid onto the pixel grid with linear (tent) weights. That keeps the sum and the centroid exact
at every radius: kernels change smoothly with the radius, radius zero is a delta, and the views' disparity
is exactly proportional to the circle of confusion.

Kernels are to be convolved. Deep-learning `conv2d` correlates: flip both axes of a kernel first, or near
and far change places.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import torch
from pydantic import Field
from torch import Tensor

from ldp_core.errors import SettingsError
from ldp_core.optics.calibration import centre_on_moments, measure_unit_grid, read_calibrated_pair
from ldp_core.settings import Settings

# Samples of a unit point spread function along each axis. Kernels of 26 px then differ from those of 512
# samples by at most 1.4 % of their peak; 64 samples leave ripples of 6 %.
SAMPLES = 128
# Half sides in radii: .2 % of a Gaussian kernel's light, .3 % of the rim's blur lie farther out.
_GAUSSIAN_EXTENT = 1.75
_RIM_SIGMAS = 3.0
# The half disc has .23, with a crosstalk of .45 it has .02. Below .01 an error of .1 px is one of 10 px.
_LEAST_DISPARITY_PER_COC = 0.01


class KernelFamily(StrEnum):
    """Published forms of the dual-pixel point spread function."""

    HALF_DISC = "half_disc"
    """Disc cut by a soft vertical edge: the ideal lens; the two views add up to the full disc."""
    BUTTERWORTH = "butterworth"
    """Disc times a high-pass Butterworth, smoothed, times a ramp (RDPD, ICCV 2021)."""
    TRANSLATING_DISC = "translating_disc"
    """Overlap of a disc with its own shifts (Punnappurath et al., ICCP 2020)."""
    DISC = "disc"
    """Full disc in both views: no dual-pixel split."""
    GAUSSIAN = "gaussian"
    """Gaussian of the disc's second moment in both views: no dual-pixel split."""
    OFF_AXIS = "off_axis"
    """Half disc of a real lens at one place in the frame: blurred rim, coma, elongation (our own)."""
    MEASURED = "measured"
    """Calibrated kernels of a real camera, read from `measured_path`."""


class KernelSpec(Settings):
    """A kernel family and its parameters; those of other families are ignored.

    Lengths are in radii of the circle of confusion. Defaults of `order`, `cutoff`, `beta` and
    `smoothing` lie within the ranges of RDPD; `softness`, `crosstalk` and those of the off-axis lens are
    our own parameters, the latter's defaults between what photographs and calibration of a Pixel 4 ask
    for. Places in the frame are in half widths from its centre.
    """

    family: KernelFamily = KernelFamily.HALF_DISC
    softness: float = Field(default=1.1, ge=0.0, le=8.0)
    """Half width of the cut edge's linear ramp; 0 = a knife edge, 1 = a ramp over the whole disc.

    The default is what fits real photographs of a Canon 5D IV and a Pixel 4 best.
    """
    crosstalk: float = Field(default=0.0, ge=0.0, le=0.5)
    """Share of its light that each half of a pixel records in the other half; 0.5 = no split left."""
    order: int = Field(default=3, ge=1, le=12)
    cutoff: float = Field(default=2.5, ge=1.0, le=8.0)
    """Cut-off of the Butterworth as a divisor of the diameter: (k - 1) / cutoff in RDPD."""
    beta: float = Field(default=0.2, ge=0.0, le=1.0)
    """Value the Butterworth is lifted to at the centre; 1 = a flat disc."""
    smoothing: float = Field(default=7.0, ge=2.0, le=64.0)
    """Gaussian window as a divisor of the diameter: k / smoothing in RDPD."""
    field_x: float = Field(default=0.0, ge=-1.5, le=1.5)
    field_y: float = Field(default=0.0, ge=-1.5, le=1.5)
    """Where in the frame the off-axis lens is looked through; y down."""
    rim: float = Field(default=0.1, ge=0.0, le=0.5)
    """Gaussian blur of the off-axis lens's kernel, rim and edge alike."""
    ring: float = Field(default=0.5, ge=-1.0, le=1.0)
    """Light moved from the centre of the off-axis lens's kernel to its rim, per squared radius."""
    coma: float = Field(default=1.2, ge=-2.0, le=2.0)
    """Slope of its light towards the frame's centre, per half width off the axis."""
    stretch: float = Field(default=0.5, ge=0.0, le=1.0)
    """Its elongation away from the frame's centre, per squared half width off the axis."""
    measured_path: str = ""
    """Folder or URL with `blur_kernels_left.npy` and `blur_kernels_right.npy`, each (n, k, k)."""
    measured_cell: int = Field(default=27, ge=0)
    """Which of the n kernels; the Pixel 4 grid has 6 rows of 8, so 27 is near the centre."""


DEFAULT_KERNEL = KernelSpec()
FITTED_KERNELS: Mapping[str, KernelSpec] = {
    "canon_r6m2": KernelSpec(softness=1.1, crosstalk=0.3),
    "pixel4": KernelSpec(
        family=KernelFamily.OFF_AXIS, softness=1.3, rim=0.03, ring=0.5, coma=1.5, stretch=0.7
    ),
}
"""By camera, with the parameters that fit best, as `ldp evaluate optics` finds them.

Canon EOS R6 II with RF 50 mm at f/4: no kernel that depends on the place in the frame fits better.
Pixel 4: set `field_x` and `field_y` to the place; valid within about 0.6 half widths, where the
photographs lie.
"""


@dataclass(frozen=True, slots=True)
class UnitPsf:
    """Both views' point spread function at radius one.

    `values` (2, m, n) float64, left and right, each summing to 1; `y` (m,) and `x` (n,) are the
    coordinates of its samples in radii.
    """

    values: Tensor
    y: Tensor
    x: Tensor

    @property
    def extent(self) -> float:
        """Largest coordinate of a sample, in radii."""
        return float(torch.maximum(self.x.abs().max(), self.y.abs().max()))

    @property
    def disparity(self) -> float:
        """Centroid x of right minus left, in radii."""
        left, right = (self.values.sum(1) @ self.x).tolist()
        return round(float(right - left), 12)


Kernel = KernelSpec | UnitPsf
"""A kernel by family and parameters, or by what it looks like."""


def kernel_pair(spec: Kernel, coc_px: float) -> tuple[Tensor, Tensor]:
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


def kernel_bank(spec: Kernel, coc_px: Tensor) -> Tensor:
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
    psf = _psf_of(spec)
    size = kernel_size(spec, float(coc_px.detach().abs().max()) if len(coc_px) else 0.0)
    radius = coc_px.to(torch.float32) / 2
    rows = _tents(psf.y.to(radius), radius=radius, size=size)
    columns = _tents(psf.x.to(radius), radius=radius, size=size)
    values = psf.values.to(radius)
    return torch.einsum("nim,vmk,njk->nvij", rows, values, columns)


def kernel_size(spec: Kernel, coc_px: float) -> int:
    """Odd side of the smallest grid that holds the kernels up to this diameter."""
    return 2 * math.ceil(_psf_of(spec).extent * abs(coc_px) / 2) + 1


def disparity_per_coc(spec: Kernel) -> float:
    """Centroid x of the right kernel minus the left one, per pixel of signed diameter."""
    return _psf_of(spec).disparity / 2


def require_apart(factor: float, *, where: str, place: str = "") -> float:
    """Disparity per circle of confusion, if views are so far apart that one can be told from the other.

    Raises:
        SettingsError: they are not, or are exchanged.
    """
    if factor < _LEAST_DISPARITY_PER_COC:
        raise SettingsError(
            "the views of this kernel are not apart, so that no circle of confusion can be told from them",
            where=where,
            expected=f"{_LEAST_DISPARITY_PER_COC} px of disparity or more per px of circle of confusion",
            got=f"{factor:.3f} {place}".strip(),
            remedy="choose another kernel; if the views are exchanged, a profile says so (`views_exchanged`)",
        )
    return factor


def _psf_of(kernel: Kernel) -> UnitPsf:
    return kernel if isinstance(kernel, UnitPsf) else unit_psf(kernel)


# 64 functions of two 128 x 128 planes in float64 take 16 MiB; a mix for training has fewer.
@lru_cache(maxsize=64)
def unit_psf(spec: KernelSpec) -> UnitPsf:
    """The two views' point spread function of a kernel specification.

    Raises:
        SettingsError: measured kernels are asked for without a usable `measured_path`.
        ObjectMissingError: there are no calibrated kernels at `measured_path`.
    """
    if spec.family is KernelFamily.MEASURED:
        pair = read_calibrated_pair(spec.measured_path, cell=spec.measured_cell)
        values, y, x = measure_unit_grid(pair)
    else:
        values, y, x = _model_unit_grid(spec)
    return UnitPsf((1 - spec.crosstalk) * values + spec.crosstalk * values.flip(0), y=y, x=x)


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


def _model_unit_grid(spec: KernelSpec) -> tuple[Tensor, Tensor, Tensor]:
    extent = _extent(spec)
    axis = extent * ((2 * torch.arange(SAMPLES, dtype=torch.float64) + 1) / SAMPLES - 1)
    opposite = spec.model_copy(update={"field_x": -spec.field_x})
    left, right = (_right_view(side, x=axis[None, :], y=axis[:, None]) for side in (opposite, spec))
    values = torch.stack([left.flip(1), right])
    values = values / values.sum((1, 2), keepdim=True)
    if spec.family is KernelFamily.OFF_AXIS:
        return values, *centre_on_moments(values, axis, axis)
    return values, axis, axis


def _extent(spec: KernelSpec) -> float:
    """Half side in radii of the square that holds the function."""
    match spec.family:
        case KernelFamily.GAUSSIAN:
            return _GAUSSIAN_EXTENT
        case KernelFamily.BUTTERWORTH:
            return 1 + 1 / spec.smoothing
        case KernelFamily.OFF_AXIS:
            return 1 + spec.stretch * (spec.field_x**2 + spec.field_y**2) + _RIM_SIGMAS * spec.rim
    return 1.0


def _right_view(spec: KernelSpec, *, x: Tensor, y: Tensor) -> Tensor:
    """The right view (m, m), not normalised, at coordinates x (1, m) and y (m, 1) in radii."""
    match spec.family:
        case KernelFamily.HALF_DISC:
            return _disc(x, y) * _soft_edge(x, softness=spec.softness)
        case KernelFamily.BUTTERWORTH:
            return _butterworth(spec, x=x, y=y)
        case KernelFamily.TRANSLATING_DISC:
            return _disc(x, y) * (x + (1 - y**2).clamp_min(0).sqrt()).clamp_min(0)
        case KernelFamily.GAUSSIAN:
            return torch.exp(-2 * (x**2 + y**2))
        case KernelFamily.OFF_AXIS:
            return _off_axis(spec, x=x, y=y)
    return _disc(x, y)


def _disc(x: Tensor, y: Tensor) -> Tensor:
    return cover_disc(torch.hypot(x, y), spacing=_spacing_of(x))


def _butterworth(spec: KernelSpec, *, x: Tensor, y: Tensor) -> Tensor:
    """RDPD: disc x high-pass rescaled to [beta, 1], Gaussian-smoothed, times a ramp along x."""
    squared_cutoff = (2 / spec.cutoff) ** 2
    corner = (2 / squared_cutoff) ** spec.order
    power = ((x**2 + y**2) / squared_cutoff) ** spec.order
    high_pass = power / (1 + power) * (1 + corner) / corner
    lifted = _disc(x, y) * (spec.beta + (1 - spec.beta) * high_pass)
    edge = float(-x.min())
    # A Gaussian window of w samples has a deviation of about .15 w by OpenCV's rule; w = 2 / smoothing radii.
    return smooth_plane(lifted, axis=x.flatten(), sigma=0.3 / spec.smoothing) * (x + edge)


def _off_axis(spec: KernelSpec, *, x: Tensor, y: Tensor) -> Tensor:
    """The half disc of a real lens away from its axis; our own form.

    A Pixel 4 calibration (Xin et al., ICCV 2021) departs from the ideal half disc in four ways, each with
    a parameter here: the rim is blurred; the disc is elongated along the line to the frame's centre, with
    the square of the distance; its light leans towards the frame's centre, in proportion to the distance
    (coma); and light gathers at the rim or in the middle (spherical aberration).
    """
    field = math.hypot(spec.field_x, spec.field_y)
    outwards = x * spec.field_x + y * spec.field_y
    along, across = x + 0 * y, y + 0 * x
    if field:
        along, across = outwards / field, (x * spec.field_y - y * spec.field_x) / field
    radius = torch.hypot(along / (1 + spec.stretch * field**2), across)
    light = (1 + spec.ring * (radius**2 - 0.5) - spec.coma * outwards).clamp_min(0)
    disc = cover_disc(radius, spacing=_spacing_of(x))
    edge = _soft_edge(x, softness=spec.softness)
    return smooth_plane(disc * light * edge, axis=x.flatten(), sigma=spec.rim)


def cover_disc(radius: Tensor, *, spacing: float) -> Tensor:
    """Coverage 0..1 of each sample cell by the unit disc; `radius` is the distance from its centre."""
    return ((1 - radius) / spacing + 0.5).clamp(0, 1)


def _soft_edge(x: Tensor, *, softness: float) -> Tensor:
    """Ramp from 0 at -softness to 1 at +softness; its mirror image adds up to 1 with it."""
    half_width = max(softness, _spacing_of(x) / 2)
    return (0.5 + x / (2 * half_width)).clamp(0, 1)


def smooth_plane(values: Tensor, *, axis: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of samples (m, m) whose coordinates both ways are `axis` (m,); 0 leaves them."""
    if sigma == 0:
        return values
    weights = torch.exp(-((axis[:, None] - axis[None, :]) ** 2) / (2 * sigma**2))
    weights = weights / (sigma * math.sqrt(2 * math.pi)) * float(axis[1] - axis[0])
    return weights @ values @ weights.T


def _spacing_of(x: Tensor) -> float:
    """Distance of neighbouring samples of coordinates (1, m)."""
    return float(x[0, 1] - x[0, 0])
