"""How close a picture is to its reference: PSNR, SSIM, MAE.

Pictures are ``(height, width, channels)`` uint8 (0..255), uint16 (0..65535) or float (0..1); the two
may differ in depth, never in shape. Everything is measured on the 0..1 scale, in float64, over bands
of rows, so that memory does not grow with the picture.

SSIM: Wang et al. 2004, doi:10.1109/TIP.2003.819861, with the choices of ``skimage.metrics``:
7x7 uniform window, sample covariance, data range 1, windows wholly inside, mean over channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from ldp_core.errors import MetricError
from ldp_core.types import Region

Picture = NDArray[Any]
UnitPicture = NDArray[np.float64]

SSIM_WINDOW = 7
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2
_BAND_ROWS = 128
_FULL = Region()


class Fidelity(Protocol):
    """A metric of a picture against its reference, over a region of both."""

    def __call__(self, image: Picture, reference: Picture, *, region: Region = _FULL) -> float: ...


def psnr_db(image: Picture, reference: Picture, *, region: Region = _FULL) -> float:
    """Peak signal-to-noise ratio in dB, peak 1; ``inf`` for identical pictures.

    Raises:
        MetricError: the shapes differ, or a picture is of a kind that has no 0..1 scale.
    """
    image, reference = checked_crops(image, reference, region)
    squared_error = _band_mean(image, reference, lambda a, b: np.square(a - b))
    return float("inf") if squared_error == 0 else float(-10 * np.log10(squared_error))


def mae(image: Picture, reference: Picture, *, region: Region = _FULL) -> float:
    """Mean absolute error over pixels and channels, 0..1.

    Raises:
        MetricError: as for ``psnr_db``.
    """
    image, reference = checked_crops(image, reference, region)
    return _band_mean(image, reference, lambda a, b: np.abs(a - b))


def ssim(image: Picture, reference: Picture, *, region: Region = _FULL) -> float:
    """Structural similarity, -1..1.

    Raises:
        MetricError: as for ``psnr_db``; or the region is smaller than the 7x7 window.
    """
    image, reference = checked_crops(image, reference, region)
    if min(image.shape[:2]) < SSIM_WINDOW:
        raise MetricError(
            "the region is too small for SSIM",
            expected=f"at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels",
            got=f"{image.shape[0]}x{image.shape[1]}",
            remedy="score a larger region",
        )
    return _band_mean(image, reference, _ssim_map, halo=SSIM_WINDOW - 1)


def checked_crops(image: Picture, reference: Picture, region: Region) -> tuple[Picture, Picture]:
    """Both pictures cut to the region.

    Raises:
        MetricError: the pictures cannot be compared, or the region holds no pixel.
    """
    if image.shape != reference.shape or image.ndim != 3:
        raise MetricError(
            "the picture does not match its reference",
            expected=f"(height, width, channels), here {reference.shape}",
            got=str(image.shape),
            remedy="compare pictures of one size and one number of channels",
        )
    crops = image[region.slices], reference[region.slices]
    if crops[0].size == 0:
        raise MetricError("the region to score holds no pixel", where=region.name, got=str(image.shape))
    return crops


def to_unit(picture: Picture) -> UnitPicture:
    """The picture on the 0..1 scale, float64.

    Raises:
        MetricError: it is not uint8, uint16 or float, or its floats leave 0..1.
    """
    if picture.dtype in (np.uint8, np.uint16):
        return picture / float(np.iinfo(picture.dtype).max)
    if picture.dtype.kind == "f" and picture.size and picture.min() >= 0 and picture.max() <= 1:
        return picture.astype(np.float64)
    raise MetricError(
        "the picture has no 0..1 scale",
        expected="uint8, uint16, or finite floats in 0..1",
        got=_describe_range(picture),
        remedy="scale and clip it first",
    )


def _describe_range(picture: Picture) -> str:
    return f"{picture.dtype}, {picture.min()} .. {picture.max()}" if picture.size else "no pixels"


def _band_mean(
    image: Picture,
    reference: Picture,
    error_map: Callable[[UnitPicture, UnitPicture], UnitPicture],
    *,
    halo: int = 0,
) -> float:
    """Mean of an error map that is ``halo`` rows shorter than the bands it is made from."""
    total, count = 0.0, 0
    for rows in _bands(image.shape[0], halo):
        band = error_map(to_unit(image[rows]), to_unit(reference[rows]))
        total += float(band.sum())
        count += band.size
    return total / count


def _bands(height: int, halo: int) -> Iterator[slice]:
    for top in range(0, height - halo, _BAND_ROWS):
        yield slice(top, min(top + _BAND_ROWS + halo, height))


def _ssim_map(x: UnitPicture, y: UnitPicture) -> UnitPicture:
    """SSIM of every window wholly inside, ``(h - 6, w - 6, c)``."""
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    unbiased = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    covariance = unbiased * (_window_mean(x * y) - product)
    variances = unbiased * (_window_mean(x * x + y * y) - squares)
    similarity = (2 * product + _SSIM_C1) * (2 * covariance + _SSIM_C2)
    return similarity / ((squares + _SSIM_C1) * (variances + _SSIM_C2))


def _window_mean(x: UnitPicture) -> UnitPicture:
    margin = SSIM_WINDOW // 2
    mean: UnitPicture = uniform_filter(x, (SSIM_WINDOW, SSIM_WINDOW, 1))
    return mean[margin:-margin, margin:-margin]
