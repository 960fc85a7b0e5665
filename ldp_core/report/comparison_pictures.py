"""Pictures that show where two restorations of an item differ: the whole, and a cut-out at 1:1."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

from ldp_core.report.pictures import PHOTOGRAPH_QUALITY, to_eight_bit
from ldp_core.single_view import input_image
from ldp_core.types import Pair, Pixels

CUT_PX = 192
"""Height and width of the cut-out, or the picture's where it is smaller."""


def draw_difference(pair: Pair, first: Pixels, second: Pixels) -> dict[str, bytes]:
    """File name -> JPEG: ``input``, ``first``, ``second`` and ``target`` (if any), each also as ``-cut``."""
    named = {"input": input_image(pair), "first": first, "second": second, "target": pair.target}
    pictures = {name: pixels for name, pixels in named.items() if pixels is not None}
    rows, columns = find_difference(first, second)
    files = {f"{name}.jpg": _encode(pixels) for name, pixels in pictures.items()}
    return files | {f"{name}-cut.jpg": _encode(pixels[rows, columns]) for name, pixels in pictures.items()}


def find_difference(first: Pixels, second: Pixels) -> tuple[slice, slice]:
    """Rows and columns of the cut-out in which the two differ most, by mean absolute difference."""
    difference = np.abs(first.astype(np.float32) - second.astype(np.float32)).mean(axis=2)
    sides = tuple(min(CUT_PX, side) for side in difference.shape)
    means = uniform_filter(difference, size=sides, mode="constant")
    middles = tuple(
        slice(n // 2, side - (n - 1) // 2) for n, side in zip(sides, difference.shape, strict=True)
    )
    inner = means[middles]
    top, left = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return slice(int(top), int(top) + sides[0]), slice(int(left), int(left) + sides[1])


def difference_paths(item_id: str, files: Mapping[str, bytes]) -> dict[str, str]:
    """Where the pictures lie below the page, by picture name."""
    return {file.removesuffix(".jpg"): f"items/{item_id}/{file}" for file in files}


def _encode(pixels: Pixels) -> bytes:
    shown, buffer = to_eight_bit(pixels), io.BytesIO()
    image = Image.fromarray(shown[..., 0] if shown.shape[2] == 1 else shown)
    image.save(buffer, "JPEG", quality=PHOTOGRAPH_QUALITY, subsampling=0)
    return buffer.getvalue()
