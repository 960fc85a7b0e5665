"""Values of another full scale than that of their type, such as 12 bit in 16: to full range, exactly."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import PeakMismatchError, SettingsError
from ldp_core.types import Pixels

FULL_SCALE: Final = 65535
_BAND_ROWS: Final = 256


def parse_peak(value: object) -> int | None:
    """A peak as texts, tables and numbers name it: an integer, or ``full``; None where nothing is named.

    Raises:
        SettingsError: it is neither, or out of range.
    """
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    peak = FULL_SCALE if text == "full" else int(text) if text.isdecimal() and len(text) < 6 else 0
    if not 0 < peak <= FULL_SCALE:
        raise SettingsError(
            "not a pixel value of full scale",
            where="peak",
            expected=f"a whole number from 1 to {FULL_SCALE}, such as 4095, or 'full'",
            got=text,
        )
    return peak


def peak_below_full_scale(peak: int | None) -> int | None:
    """The peak of values that are scaled when they are read; None where they fill their type."""
    return None if peak == FULL_SCALE else peak


def to_full_scale(pixels: Pixels, peak: int | None, *, where: str = "") -> Pixels:
    """``pixels * full / peak``, rounded to the nearest step (half up); ``full`` is 255 or 65535, of the type.

    A peak of None, or of full scale, leaves them as they are. `to_peak_scale` gives the values back.

    Raises:
        PeakMismatchError: a value is above the peak.
    """
    full = int(np.iinfo(pixels.dtype).max)
    if peak is None or peak == full:
        return pixels
    brightest = int(pixels.max(initial=0))
    if not 0 < peak < full or brightest > peak:
        raise PeakMismatchError(
            "values of this picture are above the peak",
            where=where,
            expected=f"values up to {peak}",
            got=f"{brightest}, in {int(np.count_nonzero(pixels > peak))} of {pixels.size} values above it",
            remedy="name the value of full scale of this dataset with --peak (full: that of the pixel type)",
        )
    return _look_up(pixels, _round_ratio(np.arange(peak + 1), full, peak))


def to_peak_scale(pixels: Pixels, peak: int) -> Pixels:
    """The values of full range back on the scale of a peak: the inverse of `to_full_scale`, exactly."""
    full = int(np.iinfo(pixels.dtype).max)
    return _look_up(pixels, _round_ratio(np.arange(full + 1), peak, full))


def _round_ratio(values: NDArray[np.int64], numerator: int, denominator: int) -> NDArray[np.int64]:
    """``values * numerator / denominator`` to the nearest integer, half up, in integers."""
    rounded: NDArray[np.int64] = (2 * values * numerator + denominator) // (2 * denominator)
    return rounded


def _look_up(pixels: Pixels, table: NDArray[np.int64]) -> Pixels:
    scaled: Any = np.empty_like(pixels)
    narrow = table.astype(pixels.dtype)
    for start in range(0, len(pixels), _BAND_ROWS):  # indices take eight bytes a value
        scaled[start : start + _BAND_ROWS] = narrow[pixels[start : start + _BAND_ROWS]]
    found: Pixels = scaled
    return found
