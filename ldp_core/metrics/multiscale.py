"""SSIM with a Gaussian window, and MS-SSIM.

SSIM: Wang et al. 2004, doi:10.1109/TIP.2003.819861, with its own window, Gaussian, sigma 1.5, 11x11, and
population covariance. MS-SSIM: Wang, Simoncelli and Bovik 2003, doi:10.1109/ACSSC.2003.1292216.
Pictures are as in `ldp_core.metrics.fidelity`; windows lie wholly inside; the mean is over channels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from ldp_core.metrics.fidelity import (
    Picture,
    UnitPicture,
    band_mean,
    checked_crops,
    crop_mask,
    require_least,
    to_unit,
)
from ldp_core.types import Mask, Region

SCALE_WEIGHTS: Final = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""As published, from the finest scale on."""
GAUSSIAN_WINDOW: Final = 11
LEAST_PX: Final = (GAUSSIAN_WINDOW - 1) * 2 ** (len(SCALE_WEIGHTS) - 1) + 1
"""Shorter side of a picture that has a whole window at the coarsest scale."""
_SIGMA: Final = 1.5
_C1, _C2 = 0.01**2, 0.03**2
_FULL = Region()


def ssim_gaussian(
    image: Picture, reference: Picture, *, region: Region = _FULL, mask: Mask | None = None
) -> float:
    """Structural similarity, -1..1.

    Raises:
        MetricError: as for `ldp_core.metrics.fidelity.ssim`, with a window of 11x11.
    """
    image, reference = checked_crops(image, reference, region)
    require_least(image, GAUSSIAN_WINDOW, metric="SSIM with a Gaussian window")
    return band_mean(image, reference, _similarity, halo=GAUSSIAN_WINDOW - 1, mask=crop_mask(mask, region))


def ms_ssim(image: Picture, reference: Picture, *, region: Region = _FULL) -> float:
    """Multi-scale structural similarity, 0..1: the mean over channels.

    Raises:
        MetricError: the pictures cannot be compared, or are smaller than ``LEAST_PX``.
    """
    image, reference = checked_crops(image, reference, region)
    require_least(image, LEAST_PX, metric="MS-SSIM")
    planes = range(image.shape[2])
    return float(np.mean([_ms_ssim_plane(image[..., [c]], reference[..., [c]]) for c in planes]))


def _ms_ssim_plane(image: Picture, reference: Picture) -> float:
    x, y, product = to_unit(image), to_unit(reference), 1.0
    for weight in SCALE_WEIGHTS[:-1]:
        product *= max(band_mean(x, y, _contrast, halo=GAUSSIAN_WINDOW - 1), 0) ** weight
        x, y = _halve(x), _halve(y)
    coarsest = max(band_mean(x, y, _similarity, halo=GAUSSIAN_WINDOW - 1), 0)
    return float(product * coarsest ** SCALE_WEIGHTS[-1])


def _similarity(x: UnitPicture, y: UnitPicture) -> UnitPicture:
    """SSIM of every window wholly inside, (h - 10, w - 10, c)."""
    mean_x, mean_y = _blur(x), _blur(y)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance, variances = _blur(x * y) - product, _blur(x * x + y * y) - squares
    similarity = (2 * product + _C1) * (2 * covariance + _C2)
    return similarity / ((squares + _C1) * (variances + _C2))


def _contrast(x: UnitPicture, y: UnitPicture) -> UnitPicture:
    """Contrast and structure of every window wholly inside, without luminance."""
    mean_x, mean_y = _blur(x), _blur(y)
    covariance = _blur(x * y) - mean_x * mean_y
    return (2 * covariance + _C2) / (_blur(x * x + y * y) - mean_x**2 - mean_y**2 + _C2)


def _blur(x: UnitPicture) -> UnitPicture:
    """Gaussian mean of every window wholly inside."""
    for axis in (0, 1):
        x = correlate1d(x, _gaussian(), axis=axis)
    edge = GAUSSIAN_WINDOW // 2
    return x[edge:-edge, edge:-edge]


def _gaussian() -> NDArray[np.float64]:
    offsets = np.arange(GAUSSIAN_WINDOW) - GAUSSIAN_WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised


def _halve(x: UnitPicture) -> UnitPicture:
    """Means of 2x2 pixels; an odd side begins with zeros, as where the published code pads it."""
    height, width = x.shape[:2]
    x = np.pad(x, ((height % 2, 0), (width % 2, 0), (0, 0)))
    halved: UnitPicture = (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4
    return halved
