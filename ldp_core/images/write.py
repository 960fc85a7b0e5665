"""Pixels to picture bytes."""

from __future__ import annotations

from ldp_core.errors import ImageFormatError
from ldp_core.images import jpeg, png, tiff
from ldp_core.types import Pixels

_ENCODERS = {"png": png.encode, "tiff": tiff.encode, "jpeg": jpeg.encode}

PICTURE_FORMATS = tuple(_ENCODERS)


def encode_image(pixels: Pixels, format: str = "png") -> bytes:  # noqa: A002
    """A picture of pixels ``(h, w, 1 or 3)`` uint8 or uint16, in one of `PICTURE_FORMATS`.

    PNG and TIFF lose nothing; JPEG holds 8 bit only and loses a little.

    Raises:
        ImageFormatError: the format is unknown, or cannot hold these pixels.
    """
    if format not in _ENCODERS:
        raise ImageFormatError(
            "no such picture format", expected=" or ".join(PICTURE_FORMATS), got=repr(format)
        )
    _require_pixels(pixels)
    if format == "jpeg" and pixels.dtype != "uint8":
        raise ImageFormatError(
            "JPEG cannot hold 16 bit", expected="uint8", got=str(pixels.dtype), remedy="write PNG or TIFF"
        )
    return _ENCODERS[format](pixels)


def _require_pixels(pixels: Pixels) -> None:
    sound = pixels.ndim == 3 and pixels.shape[2] in (1, 3) and pixels.size > 0
    if not sound or pixels.dtype not in ("uint8", "uint16"):
        raise ImageFormatError(
            "these are not pixels",
            expected="(height, width, 1 or 3) uint8 or uint16",
            got=f"{pixels.shape} {pixels.dtype}",
        )
