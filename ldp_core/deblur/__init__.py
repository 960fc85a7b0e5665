"""Restoration: a dual-pixel pair and its blur map in, one all-in-focus picture out."""

from __future__ import annotations

from typing import Final

from ldp_core.axis_adapter import Deblurrer, DeblurrerAlongX
from ldp_core.methods import MemoryModel, MethodDef, Registry

__all__ = ["DEBLURRERS", "Deblurrer", "make_deblurrer"]

_TILED_NETWORK = MemoryModel(200, 1500, 640**2)

DEBLURRERS: Final[Registry[Deblurrer]] = Registry(
    "deblurrer",
    "ldp.deblurrers",
    {
        "bdir": MethodDef(
            "ldp_core.deblur.bdir",
            "BdirDeblurrer",
            "BdirDeblurSettings",
            views=1,
            takes_map=False,
            memory=_TILED_NETWORK,
            seconds=1.3,
        ),
        "gated": MethodDef("ldp_core.deblur.gated", "GatedDeblurrer", "GatedSettings", takes_camera=True),
        "ldp": MethodDef(
            "ldp_core.deblur.ldp",
            "LdpDeblurrer",
            "LdpSettings",
            takes_camera=True,
            memory=_TILED_NETWORK,
            seconds=3.5,
        ),
        "wiener": MethodDef(
            "ldp_core.deblur.wiener",
            "WienerDeblurrer",
            "WienerSettings",
            takes_camera=True,
            memory=MemoryModel(60, 1500, 640**2),
            seconds=2.3,
        ),
    },
    lambda method, definition: DeblurrerAlongX(method, needs_both_views=definition.views == 2),
)
"""By name; what each needs is declared here, and its module imported when it is first made."""

make_deblurrer: Final = DEBLURRERS.make
"""`Registry.make` of these."""
