"""Dual-pixel imaging: catalogue, archive, optics, blur maps, deblurring, metrics, report."""

__version__ = "0.1.0"
