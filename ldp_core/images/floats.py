"""Pixels that are numbers of 0..1: kept as 16 bit, and refused where that would lose more than rounding."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import ImageFormatError

_BAND_ROWS: Final = 256


def quantise(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Floating-point values in 0..1 to ``round(65535 * value)``, half to even; off by at most 1/131070.

    Nothing is clipped, stretched or gamma-encoded: values mean what the same values of a PNG mean.

    Raises:
        ImageFormatError: a value is not finite, below 0 or above 1.
    """
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (low >= 0 and high <= 1):
        lost = int(np.count_nonzero(~((values >= 0) & (values <= 1))))
        raise ImageFormatError(
            "values of this picture do not fit into 0..1",
            expected="finite values from 0 (black) to 1 (white)",
            got=f"{lost} of {values.size} values outside, from {low:g} to {high:g}",
            remedy="scale the whole dataset by one factor, the same for both views, and store it again",
        )
    stored = np.empty(values.shape, np.uint16)
    for start in range(0, len(values), _BAND_ROWS):
        band = np.s_[start : start + _BAND_ROWS]
        stored[band] = np.rint(values[band].astype(np.float64) * 65535)
    return stored
