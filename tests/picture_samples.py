"""Pictures of every kind that is read, written by other packages than ours."""

from __future__ import annotations

import io
from collections.abc import Sequence
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


def dng_bytes(
    values: NDArray[Any],
    *,
    black: int | tuple[int, ...] | None = DNG_BLACK,
    white: int | tuple[int, ...] | None = DNG_WHITE,
    neutral: tuple[int, ...] | None = (1, 1, 1, 1, 1, 1),
    tags: Sequence[tuple[int, str, int, Any, bool]] = (),
    **options: Any,
) -> bytes:
    """A minimal DNG of a mosaic ``(h, w)`` (RGGB) or of linear values ``(h, w, 3)``.

    ``tags`` replace its own of the same number; ``options`` are those of `tifffile.imwrite`.
    """
    samples = 1 if values.ndim == 2 else 3
    own = [*_dng_tags(samples), *_level(50714, "H", black, samples), *_level(50717, "I", white, samples)]
    if neutral is not None:
        own.append((50728, "2I", 3, neutral, True))
    named = {tag[0] for tag in tags}
    file = io.BytesIO()
    options = ({} if samples == 1 else {"planarconfig": "contig"}) | options
    tifffile.imwrite(
        file,
        values,
        photometric=_MOSAIC if samples == 1 else _LINEAR,
        extratags=[*tags, *(tag for tag in own if tag[0] not in named)],
        metadata=None,
        **options,
    )
    return file.getvalue()


def _dng_tags(samples: int) -> list[tuple[int, str, int, Any, bool]]:
    identity = [number for cell in np.eye(3, dtype=int).ravel().tolist() for number in (cell, 1)]
    tags: list[tuple[int, str, int, Any, bool]] = [
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50707, "B", 4, (1, 1, 0, 0), True),
        (50708, "s", 0, "Test Camera", True),
        (50721, "2i", 9, identity, True),
        (50778, "H", 1, 21, True),
    ]
    if samples == 1:
        tags += [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)]
        tags.append((50710, "B", 3, (0, 1, 2), True))
    return tags


def _level(
    tag: int, kind: str, level: int | tuple[int, ...] | None, samples: int
) -> list[tuple[int, str, int, Any, bool]]:
    if level is None:
        return []
    levels = level if isinstance(level, tuple) else (level,) * samples
    return [(tag, kind, len(levels), levels if len(levels) > 1 else levels[0], True)]


def set_tag(content: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF whose first directory holds this value, of two bytes, in this tag."""
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        place = tiff.pages[0].tags[tag].offset + 8
    return content[:place] + value.to_bytes(2, "little") + content[place + 2 :]
