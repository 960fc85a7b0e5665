"""Kernels with the parameters that fit real cameras best."""

from __future__ import annotations

from collections.abc import Mapping

from ldp_core.optics.apertures import KernelFamily, KernelSpec

FITTED_KERNELS: Mapping[str, KernelSpec] = {
    "canon_r6m2": KernelSpec(softness=1.1, crosstalk=0.3),
    "pixel4": KernelSpec(
        family=KernelFamily.OFF_AXIS, softness=1.3, rim=0.03, ring=0.5, coma=1.5, stretch=0.7
    ),
}
"""By camera, as `ldp evaluate optics` finds them.

Canon EOS R6 II with RF 50 mm at f/4: no kernel that depends on the place in the frame fits better.
Pixel 4: to be put at its place by `field_x` and `field_y`, within about 0.6 half widths, where the
photographs lie.
"""
