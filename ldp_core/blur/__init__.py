"""Blur maps: where, how much and on which side of the focal plane a dual-pixel pair is out of focus."""

from ldp_core.blur.registry import ESTIMATORS, ONE_VIEW, BlurEstimator, make_estimator

__all__ = ["ESTIMATORS", "ONE_VIEW", "BlurEstimator", "make_estimator"]
