"""Pictures of every kind that is read, written by other packages than ours."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import OpenEXR
import tifffile
from numpy.typing import NDArray
from PIL import Image

DNG_BLACK, DNG_WHITE = 512, 16383
_MOSAIC, _LINEAR = 32803, 34892


def pil_bytes(pixels: NDArray[Any] | Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels.squeeze())
    image.save(file, kind, **options)
    return file.getvalue()


def extended_webp(content: bytes, width: int, height: int) -> bytes:
    """A simple WebP in the extended form, its canvas announced as given."""
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + (10).to_bytes(4, "little") + bytes(4) + canvas + content[12:]
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def npy_bytes(array: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def exr_bytes(channels: dict[str, NDArray[Any]], *, compression: str = "ZIP_COMPRESSION") -> bytes:
    """An EXR of planes ``(h, w)`` float16 or float32."""
    header = {"compression": getattr(OpenEXR, compression), "type": OpenEXR.scanlineimage}
    file = io.BytesIO()
    OpenEXR.File(header, dict(channels)).write(file)
    return file.getvalue()


def dng_bytes(values: NDArray[np.uint16]) -> bytes:
    """A minimal DNG of a mosaic ``(h, w)`` (RGGB) or of linear values ``(h, w, 3)``."""
    mosaic = values.ndim == 2
    samples = 1 if mosaic else 3
    identity = [number for cell in np.eye(3, dtype=int).ravel().tolist() for number in (cell, 1)]
    tags: list[tuple[int, str, int, Any, bool]] = [
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50707, "B", 4, (1, 1, 0, 0), True),
        (50708, "s", 0, "Test Camera", True),
        (50714, "H", samples, (DNG_BLACK,) * samples if samples > 1 else DNG_BLACK, True),
        (50717, "I", samples, (DNG_WHITE,) * samples if samples > 1 else DNG_WHITE, True),
        (50721, "2i", 9, identity, True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),
        (50778, "H", 1, 21, True),
    ]
    if mosaic:
        pattern = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)]
        tags += [*pattern, (50710, "B", 3, (0, 1, 2), True)]
    file = io.BytesIO()
    photometric = _MOSAIC if mosaic else _LINEAR
    options = {} if mosaic else {"planarconfig": "contig"}
    tifffile.imwrite(file, values, photometric=photometric, extratags=tags, metadata=None, **options)
    return file.getvalue()
