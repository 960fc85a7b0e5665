"""Alpha channels: an opaque one says nothing and is dropped; any other has no place in a photograph."""

from __future__ import annotations

from typing import Any

import numpy as np

from ldp_core.images.header import refuse_kind


def drop_opaque(pixels: Any, *, opaque: float) -> Any:
    """``(h, w, 2 or 4)`` to ``(h, w, 1 or 3)``; ``opaque`` is the largest value of alpha.

    Raises:
        ImageFormatError: a pixel is not opaque.
    """
    if not np.all(pixels[..., -1] == opaque):
        raise refuse_kind("a picture with transparent pixels (alpha)")
    return pixels[..., :-1]
