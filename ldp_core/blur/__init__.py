"""Blur maps: where, how much and on which side of the focal plane a dual-pixel pair is out of focus."""

from __future__ import annotations

from typing import Final

from ldp_core.axis_adapter import BlurEstimator, EstimatorAlongX
from ldp_core.methods import MemoryModel, MethodDef, Registry

__all__ = ["ESTIMATORS", "BlurEstimator", "make_estimator"]

ESTIMATORS: Final[Registry[BlurEstimator]] = Registry(
    "blur estimator",
    "ldp.estimators",
    {
        # 142 bytes measured at 4 megapixels with cells every 40 px, 60 without spreading.
        "clip": MethodDef("ldp_core.blur.clip", "ClipEstimator", "ClipSettings", memory=MemoryModel(200)),
        "depth-distilled": MethodDef(
            "ldp_core.blur.depth_distilled",
            "DepthDistilledEstimator",
            "DepthDistilledSettings",
            views=1,
            memory=MemoryModel(200, 1500, 640**2),
            measured_by="disparity",
            seconds=2.0,
        ),
        "disparity": MethodDef(
            "ldp_core.blur.disparity",
            "DisparityEstimator",
            "DisparitySettings",
            takes_camera=True,
            memory=MemoryModel(110),
            seconds=1.3,
        ),
        "random-clip": MethodDef("ldp_core.blur.clip", "RandomClipEstimator", "RandomClipSettings"),
        "zncc": MethodDef("ldp_core.blur.clip", "ZnccEstimator", "ZnccSettings"),
    },
    lambda method, definition: EstimatorAlongX(method, needs_both_views=definition.views == 2),
)
"""By name; what each needs is declared here, and its module imported when it is first made."""

make_estimator: Final = ESTIMATORS.make
"""`Registry.make` of these."""
