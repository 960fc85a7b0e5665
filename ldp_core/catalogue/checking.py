"""What decoded pixels tell against a pair. Sound pairs pass untouched."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.axis_adapter import align_axis
from ldp_core.errors import SameViewsError, SceneMismatchError, SwappedViewsError
from ldp_core.types import BlurTruthKind, FloatMap, Pair, Pixels

# Views and truths of 35 real pairs correlate by .96 and more, of 48 small simulated ones by .79 and more;
# different scenes of one camera by less than .34, one place photographed again by up to .87: that passes.
SAME_SCENE: Final = 0.6
_CELL_PX: Final = 16  # hides defocus and noise; 12 px of displacement cost .12 at most, .41 with 4 px
_MAX_CELLS: Final = 24  # a side; with 48 that displacement costs .22
_MIN_CELLS: Final = 16  # in all: fewer cells correlate by chance
_MIN_CONTRAST: Final = 0.01  # of full scale: below it is noise

_WINDOW_PX: Final = 31  # shifts are averaged over it; several times the largest shift
_TEXTURED_SHARE: Final = 0.5  # the half with more texture is measured
_MIN_SAMPLES: Final = 2000  # two windows: less is one piece of texture, which may repeat
# Sound simulated pairs have +.29 and more with their truth (48 of them), exchanged ones as much below zero.
_CONTRADICTION: Final = -0.25

Thumbnail = NDArray[np.float64]


def check_pair(pair: Pair) -> None:
    """Refuse a pair whose pictures cannot belong together.

    Raises:
        SameViewsError: left and right are equal in every pixel.
        SceneMismatchError: a picture shows another scene than the left view.
        SwappedViewsError: the shifts between the views run against the item's signed blur truth.
    """
    if pair.right is not None and np.array_equal(pair.left, pair.right):
        raise SameViewsError(
            "left and right are the same picture",
            where=pair.id,
            remedy="find the other view; one photograph was stored twice, or it is no dual-pixel one",
        )
    left = thumbnail(pair.left)
    for name, picture in {**pair.views, **pair.external}.items():
        found = thumbnail_correlation(left, thumbnail(picture))
        if found is not None and found < SAME_SCENE:
            raise SceneMismatchError(
                f"'{name}' does not show the scene of 'left'",
                where=pair.id,
                expected=f"a correlation of thumbnails of at least {SAME_SCENE}",
                got=f"{found:.2f}",
                remedy="find out which file was stored under a wrong name",
            )
    _check_sign(align_axis(pair))


def thumbnail(picture: Pixels) -> Thumbnail:
    """``(h, w, c)`` pixels to cell means ``(rows, columns)`` in 0..1, at most 24 x 24."""
    rows, columns = (_cell_edges(side) for side in picture.shape[:2])
    bands = np.add.reduceat(picture, rows[:-1], axis=0, dtype=np.uint32).sum(axis=2)
    sums = np.add.reduceat(bands, columns[:-1], axis=1, dtype=np.float64)
    full = float(np.iinfo(picture.dtype).max) * picture.shape[2]
    means: Thumbnail = sums / np.outer(np.diff(rows), np.diff(columns)) / full
    return means


def thumbnail_correlation(first: Thumbnail, second: Thumbnail) -> float | None:
    """Correlation, -1 .. 1; None where a picture is too small or too even to tell, or shapes differ.

    A gain between the pictures does not matter.
    """
    flat = min(first.std(), second.std()) < _MIN_CONTRAST
    if first.shape != second.shape or first.size < _MIN_CELLS or flat:
        return None
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def _cell_edges(side: int) -> NDArray[np.intp]:
    cells = min(_MAX_CELLS, max(1, side // _CELL_PX))
    return np.linspace(0, side, cells + 1).astype(np.intp)


def _check_sign(pair: Pair) -> None:
    """Only a signed truth that came with the item contradicts exchanged views.

    Views alone cannot: exchanged views of a scene behind the focal plane are sound views of one in front of
    it. Nor can a dataset: shading between the views had no constant sign over 35 real pairs.
    """
    if pair.right is None or pair.blur_truth is None:
        return
    if pair.blur_truth_kind is not BlurTruthKind.SIGNED_COC_PX:
        return
    agreement = correlate_with_sign(pair.left, pair.right, coc_px=pair.blur_truth)
    if agreement is not None and agreement < _CONTRADICTION:
        raise SwappedViewsError(
            "the views shift against the sign of the blur truth",
            where=pair.id,
            expected="behind the focal plane (positive) content of the right view lies to +x",
            got=f"a correlation of {agreement:.2f} between shift and truth",
            remedy="exchange the left and right pictures, or correct the sign of the truth",
        )


def correlate_with_sign(left: Pixels, right: Pixels, *, coc_px: FloatMap) -> float | None:
    """Correlation, through the origin, of measured shifts with the CoC where there is texture.

    None where too little can be measured. Shifts are first-order (Lucas and Kanade, 1981), right only
    in sign and order; that is all that is asked of them.
    """
    from scipy.ndimage import uniform_filter  # scipy is half the import time of a catalogue that only reads

    views = [_band_pass(view.mean(axis=2)) for view in (left, right)]
    slope = np.gradient((views[0] + views[1]) / 2, axis=1)
    against = uniform_filter((views[0] - views[1]) * slope, _WINDOW_PX)
    strength = uniform_filter(slope * slope, _WINDOW_PX)
    measured = (strength > np.quantile(strength, _TEXTURED_SHARE)) & (np.abs(coc_px) >= 1)
    if measured.sum() < _MIN_SAMPLES:
        return None
    shift = against[measured] / strength[measured]
    truth = coc_px[measured].astype(np.float64)
    norm = float(np.sqrt((shift * shift).sum() * (truth * truth).sum()))
    return float((shift * truth).sum()) / norm if norm else None


def _band_pass(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without noise, finer than 1.5 px, and without shading, coarser than 8 px: both differ between views."""
    from scipy.ndimage import gaussian_filter

    band: NDArray[np.float64] = gaussian_filter(plane, 1.5) - gaussian_filter(plane, 8)
    return band
