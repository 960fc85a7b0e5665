"""Blur maps: where, how much and on which side of the focal plane a dual-pixel pair is out of focus."""

from ldp_core.blur.registry import ESTIMATORS, BlurEstimator, make_estimator

__all__ = ["ESTIMATORS", "BlurEstimator", "make_estimator"]
