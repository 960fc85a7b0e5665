"""Restoration: a dual-pixel pair and its blur map in, one all-in-focus picture out."""

from __future__ import annotations

from typing import Final

from ldp_core.axis_adapter import Deblurrer, DeblurrerAlongX
from ldp_core.methods import MemoryModel, MethodDef, Registry

__all__ = ["DEBLURRERS", "Deblurrer", "make_deblurrer"]

_TILED_NETWORK = MemoryModel(200, 1500, 640**2)
# Measured at .47 and 1.9 megapixels, circles of confusion from -7 to 16 px: 74 and 286 bytes, 86 and 285 with
# the network. A tile holds 12 bytes a pixel and level: with circles from -62 to 62 px twice as much.
_WIENER = MemoryModel(85, 450, 640**2)
_WIENER_AND_NETWORK = MemoryModel(100, 450, 640**2)

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
            memory=_WIENER_AND_NETWORK,
            seconds=3.1,
        ),
        "wiener": MethodDef(
            "ldp_core.deblur.wiener",
            "WienerDeblurrer",
            "WienerSettings",
            takes_camera=True,
            memory=_WIENER,
            seconds=1.6,
        ),
    },
    lambda method, definition: DeblurrerAlongX(method, needs_both_views=definition.views == 2),
)
"""By name; what each needs is declared here, and its module imported when it is first made."""

make_deblurrer: Final = DEBLURRERS.make
"""`Registry.make` of these."""
