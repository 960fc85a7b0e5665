"""What a defocused point looks like in each view, for a circle of confusion of radius one.

Coordinates are in radii of the circle of confusion, x to the right, y down. The right view is given
for content behind the focal plane; there it leans to +x. The left view is its mirror image about
the vertical axis, except where both were measured; off the lens's axis it mirrors the right view at
the opposite place in the frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import torch
from pydantic import Field
from torch import Tensor

from ldp_core.optics.calibration import measure_unit_grid, read_calibrated_pair
from ldp_core.optics.off_axis import off_axis_extent, off_axis_view
from ldp_core.optics.shapes import centre_on_moments, cover_disc, smooth, soft_edge, spacing_of
from ldp_core.settings import Settings

SAMPLES = 128
_GAUSSIAN_EXTENT = 1.75


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
    match spec.family:
        case KernelFamily.GAUSSIAN:
            return _GAUSSIAN_EXTENT
        case KernelFamily.BUTTERWORTH:
            return 1 + 1 / spec.smoothing
        case KernelFamily.OFF_AXIS:
            return off_axis_extent(spec.field_x, spec.field_y, stretch=spec.stretch, rim=spec.rim)
    return 1.0


def _right_view(spec: KernelSpec, *, x: Tensor, y: Tensor) -> Tensor:
    match spec.family:
        case KernelFamily.HALF_DISC:
            return _disc(x, y) * soft_edge(x, softness=spec.softness)
        case KernelFamily.BUTTERWORTH:
            return _butterworth(spec, x=x, y=y)
        case KernelFamily.TRANSLATING_DISC:
            return _disc(x, y) * (x + (1 - y**2).clamp_min(0).sqrt()).clamp_min(0)
        case KernelFamily.GAUSSIAN:
            return torch.exp(-2 * (x**2 + y**2))
        case KernelFamily.OFF_AXIS:
            shape = spec.model_dump(
                include={"field_x", "field_y", "softness", "rim", "ring", "coma", "stretch"}
            )
            return off_axis_view(x, y, **shape)
    return _disc(x, y)


def _disc(x: Tensor, y: Tensor) -> Tensor:
    return cover_disc(torch.hypot(x, y), spacing=spacing_of(x))


def _butterworth(spec: KernelSpec, *, x: Tensor, y: Tensor) -> Tensor:
    """RDPD: disc x high-pass rescaled to [beta, 1], Gaussian-smoothed, times a ramp along x."""
    squared_cutoff = (2 / spec.cutoff) ** 2
    corner = (2 / squared_cutoff) ** spec.order
    power = ((x**2 + y**2) / squared_cutoff) ** spec.order
    high_pass = power / (1 + power) * (1 + corner) / corner
    lifted = _disc(x, y) * (spec.beta + (1 - spec.beta) * high_pass)
    edge = float(-x.min())
    return smooth(lifted, axis=x.flatten(), sigma=0.3 / spec.smoothing) * (x + edge)
