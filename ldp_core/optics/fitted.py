"""Kernels with the parameters that fit real cameras best."""

from __future__ import annotations

from collections.abc import Mapping

from ldp_core.optics.apertures import KernelFamily, KernelSpec

FITTED_KERNELS: Mapping[str, KernelSpec] = {
    "canon_r6m2": KernelSpec(softness=2.0, crosstalk=0.15),
    "pixel4": KernelSpec(
        family=KernelFamily.OFF_AXIS, softness=1.3, rim=0.09, ring=0.5, coma=1.2, stretch=0.5
    ),
}
"""By camera, as `ldp evaluate optics` finds them: RF 50 mm at f/4; the Pixel 4's at any place of the
frame, to be set as `field_x` and `field_y`."""
