"""Whether two pictures show the same scene: correlation of their thumbnails.

Cells are at least 16 px wide, so that defocus, noise and a displacement of a few pixels hardly matter,
and a gain does not matter at all. Views and truths of 35 real pairs lie above .96, of 48 small simulated
ones above .79; different scenes of the same cameras below .34.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.types import Pixels

SAME_SCENE: Final = 0.6
_CELL_PX: Final = 16
_MOST_CELLS: Final = 24
_FEWEST_CELLS: Final = 16
_CONTRAST: Final = 0.01

Thumbnail = NDArray[np.float64]


def thumbnail(picture: Pixels) -> Thumbnail:
    """``(h, w, c)`` pixels to cell means ``(rows, columns)`` in 0..1, at most 24 x 24."""
    rows, columns = (_cell_edges(side) for side in picture.shape[:2])
    bands = np.add.reduceat(picture, rows[:-1], axis=0, dtype=np.uint32).sum(axis=2)
    sums = np.add.reduceat(bands, columns[:-1], axis=1, dtype=np.float64)
    full = float(np.iinfo(picture.dtype).max) * picture.shape[2]
    means: Thumbnail = sums / np.outer(np.diff(rows), np.diff(columns)) / full
    return means


def likeness(first: Thumbnail, second: Thumbnail) -> float | None:
    """Correlation, -1 .. 1; None where a picture is too small or too even to tell, or shapes differ."""
    flat = min(first.std(), second.std()) < _CONTRAST
    if first.shape != second.shape or first.size < _FEWEST_CELLS or flat:
        return None
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def _cell_edges(side: int) -> NDArray[np.intp]:
    cells = min(_MOST_CELLS, max(1, side // _CELL_PX))
    return np.linspace(0, side, cells + 1).astype(np.intp)
