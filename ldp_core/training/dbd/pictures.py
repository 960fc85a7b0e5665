"""Contact sheets of blur detection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ldp_core.masked import Masked
from ldp_core.storage import write_bytes
from ldp_core.training.pictures import encode_png


def draw_sheet(path: Path, photographs: Sequence[Masked], found: Sequence[NDArray[np.float32]]) -> None:
    """Write a PNG, a row per photograph: the picture, what was found, the truth; white = in focus."""
    rows = [_draw_row(*pair) for pair in zip(photographs, found, strict=True)]
    half = (len(rows) + 1) // 2
    columns = [np.concatenate(part) for part in (rows[:half], rows[half:]) if part]
    height = max(column.shape[0] for column in columns)
    padded = [np.pad(c, ((0, height - c.shape[0]), (0, 0), (0, 0))) for c in columns]
    write_bytes(str(path), encode_png(np.concatenate(padded, axis=1)))


def _draw_row(photograph: Masked, found: NDArray[np.float32]) -> NDArray[np.uint8]:
    planes = ((found * 255 + 0.5).astype(np.uint8), photograph.in_focus.astype(np.uint8) * 255)
    maps = [np.repeat(plane[..., None], 3, axis=2) for plane in planes]
    return np.concatenate([photograph.image, *maps], axis=1)[::2, ::2]
