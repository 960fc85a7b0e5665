"""The half disc of a real lens away from its axis, fitted to what a calibration looks like.

A Pixel 4 calibration (Xin et al., ICCV 2021) departs from the ideal half disc in four ways, and the
form here, our own, has a parameter for each: the rim is blurred; the disc is elongated along the line
to the frame's centre, with the square of the distance; its light leans towards the frame's centre, in
proportion to the distance (coma); and light gathers at the rim or in the middle (spherical aberration).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ldp_core.optics.shapes import cover_disc, smooth, soft_edge, spacing_of

_RIM_SIGMAS = 3.0


def off_axis_view(
    x: Tensor,
    y: Tensor,
    *,
    field_x: float,
    field_y: float,
    softness: float,
    rim: float,
    ring: float,
    coma: float,
    stretch: float,
) -> Tensor:
    """The right view (m, m), not normalised, at coordinates x (1, m) and y (m, 1) in radii."""
    field = math.hypot(field_x, field_y)
    outwards = x * field_x + y * field_y
    along, across = (
        (outwards / field, (x * field_y - y * field_x) / field) if field else (x + 0 * y, y + 0 * x)
    )
    radius = torch.hypot(along / (1 + stretch * field**2), across)
    light = (1 + ring * (radius**2 - 0.5) - coma * outwards).clamp_min(0)
    disc = cover_disc(radius, spacing=spacing_of(x))
    return smooth(disc * light * soft_edge(x, softness=softness), axis=x.flatten(), sigma=rim)


def off_axis_extent(field_x: float, field_y: float, *, stretch: float, rim: float) -> float:
    """Half side in radii of the square that holds the kernel."""
    return 1 + stretch * (field_x**2 + field_y**2) + _RIM_SIGMAS * rim
