"""Scores of pictures that lie a few pixels beside their reference.

One whole-picture integer shift per comparison, the one of maximal PSNR, searched exhaustively. Every
shift is judged on the same pixels of the reference: those at least ``REACH_PX`` from the edges.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ldp_core.errors import MetricError
from ldp_core.metrics.fidelity import Picture, checked_crops, to_unit
from ldp_core.types import Region

REACH_PX = 4
ALIGNMENT = f"best shift {REACH_PX} px"

Plane = NDArray[np.float64]

_FULL = Region()


class Shift(NamedTuple):
    """Where the picture shows what the reference shows at 0, 0: ``dy`` rows below, ``dx`` to the right."""

    dy: int
    dx: int


def find_shift(image: Picture, reference: Picture, *, region: Region = _FULL) -> Shift:
    """The shift within ``REACH_PX`` of maximal PSNR; the smallest of equals.

    Raises:
        MetricError: the pictures cannot be compared, or no interior is left.
    """
    image, reference = checked_crops(image, reference, region)
    _check_interior(reference)
    errors = _squared_errors(to_unit(image), to_unit(reference))
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
    padded = [fft.next_fast_len(length, real=True) for length in image.shape[:2]]
    spectra = (fft.rfft2(planes, padded, axes=(0, 1)) for planes in (image, interior))
    cross = np.vecdot(*reversed(list(spectra)))
    lags = 2 * REACH_PX + 1
    correlation: Plane = fft.irfft2(cross, padded)[:lags, :lags]
    return correlation
