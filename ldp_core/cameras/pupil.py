"""What the two halves of a pixel see of the exit pupil, over the frame: a lens model with few numbers.

Light of a defocused point falls onto the sensor as an image of the exit pupil. Away from the axis a lens
elongates, shades and cuts that image; the micro lens before a pixel's two halves splits it by the angle of
incidence, and because the chief ray leans outwards the split moves across the pupil. The form is our own;
its parts follow what a Pixel 4 calibration shows (Xin et al., ICCV 2021) and what is known of vignetting.

Lengths within the pupil are in its radii, places in the frame in half widths from the centre, y down. The
right view at x is the mirror image of the left view at -x.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor

from ldp_core.optics.calibration import centre_on_moments
from ldp_core.optics.kernels import UnitPsf, cover_disc, smooth_plane
from ldp_core.settings import Settings

__all__ = ["PupilModel", "pupil_psf"]

# Kernels up to 44 px then differ from those of 384 samples by at most 1.6 % of their peak, of 60 px by
# 15 %. 96: 18 % at 44 px. 192: 8 % at 60 px, and `wiener` takes a tenth longer.
SAMPLES = 128
# Coma and ring may ask for less than no light at the rim; so little stays that a view never is empty.
_LEAST_LIGHT = 1e-6
_RIM_SIGMAS = 3.0
# At .5 no disparity is left, and no circle of confusion can be told from it.
_MOST_CROSSTALK = 0.45


class PupilModel(Settings):
    """Numbers of one lens and sensor. All zero but `softness`: the half disc of an ideal lens."""

    softness: float = Field(default=1.1, ge=0.05, le=8.0)
    """Half width of the ramp with which the view of a half fades across the pupil."""
    crosstalk: float = Field(default=0.0, ge=0.0, le=0.45)
    """Share of its light that each half records in the other half."""
    crosstalk_growth: float = Field(default=0.0, ge=0.0, le=0.49)
    """What is added to `crosstalk` per squared half width along the dual-pixel axis."""
    shift: float = Field(default=0.0, ge=-3.0, le=3.0)
    """How far the middle of the ramp moves outwards, per half width off the axis."""
    rim: float = Field(default=0.1, ge=0.0, le=0.5)
    """Gaussian blur of the kernel; alike in both views, so that views alone cannot tell it."""
    ring: float = Field(default=0.0, ge=-1.9, le=1.9)
    """Light at the rim less light in the middle (spherical aberration)."""
    ring_growth: float = Field(default=0.0, ge=-3.0, le=3.0)
    """What is added to `ring` per squared half width off the axis."""
    coma: float = Field(default=0.0, ge=-3.0, le=3.0)
    """Slope of the light towards the frame's centre, per half width off the axis."""
    stretch: float = Field(default=0.0, ge=-0.5, le=2.0)
    """Elongation along the line to the centre, per squared half width off the axis."""
    spread: float = Field(default=0.0, ge=-0.5, le=2.0)
    """Elongation across that line, per squared half width off the axis."""
    vignette: float = Field(default=0.0, ge=0.0, le=1.5)
    """How far the rim of a second, equal stop moves across the pupil, per half width off the axis."""


def pupil_psf(model: PupilModel, x: float, y: float, *, samples: int = SAMPLES) -> UnitPsf:
    """Both views' point spread function at a place of the frame, at radius one."""
    distance2 = x * x + y * y
    along, across = 1 + model.stretch * distance2, 1 + model.spread * distance2
    extent = max(along, across) + _RIM_SIGMAS * model.rim
    axis = extent * ((2 * torch.arange(samples, dtype=torch.float64) + 1) / samples - 1)
    left = _right_view(model, axis, -x, y, along, across).flip(1)
    values = torch.stack([left, _right_view(model, axis, x, y, along, across)])
    values = values / values.sum((1, 2), keepdim=True)
    return UnitPsf(values, *centre_on_moments(values, axis, axis))


def _right_view(model: PupilModel, axis: Tensor, x: float, y: float, along: float, across: float) -> Tensor:
    distance = math.hypot(x, y)
    cosine, sine = (x / distance, y / distance) if distance else (1.0, 0.0)
    outwards = (axis[None, :] * cosine + axis[:, None] * sine) / along
    sideways = (axis[:, None] * cosine - axis[None, :] * sine) / across
    u = outwards * cosine - sideways * sine
    spacing = float(axis[1] - axis[0])
    radius = torch.hypot(outwards, sideways)
    disc = cover_disc(radius, spacing=spacing)
    if model.vignette:
        second = torch.hypot(outwards + model.vignette * distance, sideways)
        disc = torch.minimum(disc, cover_disc(second, spacing=spacing))
    ring = model.ring + model.ring_growth * distance**2
    light = 1 + ring * (radius**2 - 0.5) - model.coma * distance * outwards
    ramp = (0.5 + (u + model.shift * x) / (2 * model.softness)).clamp(0, 1)
    crosstalk = min(model.crosstalk + model.crosstalk_growth * x * x, _MOST_CROSSTALK)
    response = crosstalk + (1 - 2 * crosstalk) * ramp
    return smooth_plane(disc * light.clamp_min(_LEAST_LIGHT) * response + 1e-12, axis=axis, sigma=model.rim)
