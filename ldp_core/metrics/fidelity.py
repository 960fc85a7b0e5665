"""How close a picture is to its reference: PSNR, SSIM, MAE, and the shift between the two.

Pictures are ``(height, width, channels)`` uint8 (0..255), uint16 (0..65535) or float (0..1); the two
may differ in depth, never in shape. Everything is measured on the 0..1 scale, in float64. Where a ``mask``
(h, w) of whole pictures is given, pixels count where it is True, and windows whose centre lies there.

SSIM: Wang et al. 2004, doi:10.1109/TIP.2003.819861, with the choices of ``skimage.metrics``:
7x7 uniform window, sample covariance, data range 1, windows wholly inside, mean over channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf, isfinite
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ldp_core.errors import MetricError
from ldp_core.signals import fast_size
from ldp_core.types import Mask, Region

Picture = NDArray[Any]
UnitPicture = NDArray[np.float64]
Plane = NDArray[np.float64]

REACH_PX = 4
"""Largest shift that is searched, each way. The Pixel 4 pictures lie up to 2 px beside their references."""
ALIGNMENT = f"best shift {REACH_PX} px"

PSNR_CEILING_DB = 100.0
"""Score of a picture that equals its reference, so that means and intervals stay finite."""

SSIM_WINDOW = 7
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2
# Errors are summed over bands of rows, so that memory does not grow with the height of the picture: SSIM of
# 4500 px wide RGB takes 150 MiB more with bands of 128 rows, 600 MiB more with 512, and no more time.
_BAND_ROWS = 128
_FULL = Region()


class Fidelity(Protocol):
    """A metric of a picture against its reference, over a region of both."""

    def __call__(self, image: Picture, reference: Picture, *, region: Region = _FULL) -> float: ...


class Shift(NamedTuple):
    """Where the picture shows what the reference shows at 0, 0: ``dy`` rows below, ``dx`` to the right."""

    dy: int
    dx: int


def psnr_db(image: Picture, reference: Picture, *, region: Region = _FULL, mask: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB, peak 1; ``inf`` for identical pictures.

    Raises:
        MetricError: the shapes differ, or a picture is of a kind that has no 0..1 scale.
    """
    image, reference = checked_crops(image, reference, region)
    return psnr_of_mse(
        band_mean(image, reference, lambda a, b: np.square(a - b), mask=crop_mask(mask, region))
    )


def psnr_of_mse(mse: float, *, ceiling_db: float = inf) -> float:
    """PSNR in dB, peak 1, of a mean squared error; at most ``ceiling_db``, which an error of 0 gets."""
    return min(float(-10 * np.log10(mse)), ceiling_db) if mse > 0 else ceiling_db


def mae(image: Picture, reference: Picture, *, region: Region = _FULL, mask: Mask | None = None) -> float:
    """Mean absolute error over pixels and channels, 0..1.

    Raises:
        MetricError: as for ``psnr_db``.
    """
    image, reference = checked_crops(image, reference, region)
    return band_mean(image, reference, lambda a, b: np.abs(a - b), mask=crop_mask(mask, region))


def ssim(image: Picture, reference: Picture, *, region: Region = _FULL, mask: Mask | None = None) -> float:
    """Structural similarity, -1..1.

    Raises:
        MetricError: as for ``psnr_db``; or the region is smaller than the 7x7 window, or no window that lies
            wholly inside has its centre in the mask.
    """
    image, reference = checked_crops(image, reference, region)
    require_least(image, SSIM_WINDOW, metric="SSIM")
    return band_mean(image, reference, _ssim_map, halo=SSIM_WINDOW - 1, mask=crop_mask(mask, region))


def require_least(picture: Picture, least_px: int, *, metric: str) -> None:
    """Refuse a region with a side of fewer pixels than a metric needs.

    Raises:
        MetricError: it has.
    """
    if min(picture.shape[:2]) < least_px:
        raise MetricError(
            f"the region is too small for {metric}",
            expected=f"at least {least_px}x{least_px} pixels",
            got=f"{picture.shape[0]}x{picture.shape[1]}",
            remedy="score a larger region",
        )


def require_finite(value: float, *, where: str, what: str, remedy: str = "") -> float:
    """A value of a metric, which must be a finite number.

    Raises:
        MetricError: it is none.
    """
    if not isfinite(value):
        raise MetricError(
            "a metric gave no finite value",
            where=where,
            expected="a finite number",
            got=f"{value} for {what}",
            remedy=remedy,
        )
    return value


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


def crop_mask(mask: Mask | None, region: Region) -> Mask | None:
    """The part of a mask that lies in a region."""
    return None if mask is None else mask[region.slices]


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


def find_shift(image: Picture, reference: Picture, *, region: Region = _FULL) -> Shift:
    """The whole-picture integer shift within ``REACH_PX`` of maximal PSNR; the smallest of equals.

    All shifts are tried, each on the same pixels of the reference: those ``REACH_PX`` or more from its edges.

    Raises:
        MetricError: the pictures cannot be compared, or no interior is left.
    """
    image, reference = checked_crops(image, reference, region)
    _check_interior(reference)
    errors = _squared_errors(to_unit(image), to_unit(reference))
    # Errors of equal shifts differ by the rounding of the transforms.
    best = errors.min() + 1e-12 * reference.size
    candidates = [Shift(int(y) - REACH_PX, int(x) - REACH_PX) for y, x in np.argwhere(errors <= best)]
    return min(candidates, key=lambda shift: (abs(shift.dy) + abs(shift.dx), shift))


def align(image: Picture, reference: Picture, *, region: Region = _FULL) -> tuple[Picture, Picture]:
    """The two pictures after the best shift, cut to the common interior.

    Raises:
        MetricError: as for ``find_shift``.
    """
    shift = find_shift(image, reference, region=region)
    image, reference = checked_crops(image, reference, region)
    return _window(image, shift), _window(reference, Shift(0, 0))


def crop_aligned(mask: Mask | None, *, region: Region = _FULL) -> Mask | None:
    """The part of a mask that belongs to the reference that ``align`` gives."""
    return None if mask is None else _window(mask[region.slices], Shift(0, 0))


def _describe_range(picture: Picture) -> str:
    return f"{picture.dtype}, {picture.min()} .. {picture.max()}" if picture.size else "no pixels"


def band_mean(
    image: Picture,
    reference: Picture,
    error_map: Callable[[UnitPicture, UnitPicture], UnitPicture],
    *,
    halo: int = 0,
    mask: Mask | None = None,
) -> float:
    """Mean of an error map that is ``halo`` rows and columns shorter than the bands it is made from.

    Of its values those count whose place in the picture is in the ``mask`` (h, w), if there is one.

    Raises:
        MetricError: none is.
    """
    total, count, edge = 0.0, 0, halo // 2
    inside = None if mask is None else mask[edge : mask.shape[0] - edge, edge : mask.shape[1] - edge]
    for rows in _bands(image.shape[0], halo):
        band = error_map(to_unit(image[rows]), to_unit(reference[rows]))
        if inside is not None:
            band = band[inside[rows.start : rows.start + band.shape[0]]]
        total += float(band.sum())
        count += band.size
    if not count:
        raise MetricError(
            "no window of the metric has its centre in the mask",
            expected=f"a white pixel at least {edge} pixels from the edges of what is compared",
            remedy="score a larger part of the picture",
        )
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
    """Mean of every window wholly inside; sums of 1, 2 and 4 rows, then columns, make those of 7."""
    for axis in (0, 1):
        length = x.shape[axis]
        two = _part(x, axis, 0, length - 1) + _part(x, axis, 1, length)
        four = _part(two, axis, 0, length - 3) + _part(two, axis, 2, length - 1)
        seven = _part(four, axis, 0, length - 6) + _part(two, axis, 4, length - 2)
        seven += _part(x, axis, 6, length)
        x = seven
    x /= SSIM_WINDOW**2
    return x


def _part(x: UnitPicture, axis: int, start: int, stop: int) -> UnitPicture:
    return x[start:stop] if axis == 0 else x[:, start:stop]


def _check_interior(picture: Picture) -> None:
    if min(picture.shape[:2]) <= 2 * REACH_PX:
        raise MetricError(
            "the region is too small for a shift search",
            expected=f"more than {2 * REACH_PX} pixels each way",
            got=f"{picture.shape[0]}x{picture.shape[1]}",
            remedy="score a larger region",
        )


def _window(picture: Picture, shift: Shift) -> Picture:
    height, width = picture.shape[:2]
    top, left = REACH_PX + shift.dy, REACH_PX + shift.dx
    return picture[top : top + height - 2 * REACH_PX, left : left + width - 2 * REACH_PX]


def _squared_errors(image: Plane, reference: Plane) -> Plane:
    """Sum of squared errors at every shift, ``(9, 9)``, as |a|^2 + |b|^2 - 2 a.b with a.b by FFT."""
    centre = reference.mean(axis=(0, 1))
    image, interior = image - centre, _window(reference - centre, Shift(0, 0))
    energy = _window_sums(np.square(image).sum(axis=2), interior.shape[:2])
    errors: Plane = np.maximum(
        energy + np.square(interior).sum() - 2 * _cross_correlation(image, interior), 0
    )
    return errors


def _window_sums(plane: Plane, size: tuple[int, ...]) -> Plane:
    """Sums of all windows of that size, by an integral image."""
    integral = np.pad(plane, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    height, width = size
    tall = integral[height:] - integral[:-height]
    sums: Plane = tall[:, width:] - tall[:, :-width]
    return sums


def _cross_correlation(image: Plane, interior: Plane) -> Plane:
    """Sum over pixels and channels of interior(p) * image(p + shift), ``(9, 9)``."""
    padded = fast_size(*image.shape[:2])
    spectra = (fft.rfft2(planes, padded, axes=(0, 1)) for planes in (image, interior))
    cross = np.vecdot(*reversed(list(spectra)))
    lags = 2 * REACH_PX + 1
    correlation: Plane = fft.irfft2(cross, padded)[:lags, :lags]
    return correlation
