"""Which camera took a picture, as far as the picture tells (EXIF)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

from PIL import ExifTags, Image

from ldp_core import storage
from ldp_core.errors import LdpError
from ldp_core.images.files import RangeReader

__all__ = ["TakenBy", "read_camera"]

_BLOCK_BYTES: Final = 65_536  # the EXIF segment of a JPEG is no longer


@dataclass(frozen=True, slots=True)
class TakenBy:
    """Make and model of a camera and its lens; empty where the picture does not tell."""

    make: str = ""
    model: str = ""
    lens: str = ""


def read_camera(uri: str, *, size_bytes: int | None = None) -> TakenBy:
    """What the EXIF of a picture says; empty where there is none, or the picture cannot be read.

    ``size_bytes`` is the encoded size where it is known already; it saves a request.
    """
    try:
        size = storage.size_of(uri) if size_bytes is None else size_bytes
        file = io.BufferedReader(RangeReader(uri, size), buffer_size=_BLOCK_BYTES)
        with Image.open(file) as picture:
            exif = picture.getexif()
            details: dict[int, Any] = dict(exif.get_ifd(ExifTags.IFD.Exif))
        tags = (exif.get(ExifTags.Base.Make), exif.get(ExifTags.Base.Model))
        return TakenBy(*map(_text, (*tags, details.get(ExifTags.Base.LensModel))))
    except LdpError:
        raise
    except Exception:  # Pillow raises many kinds of errors for damaged and unknown files
        return TakenBy()


def _text(value: object) -> str:
    return value.replace("\0", " ").strip() if isinstance(value, str) else ""
