"""How large a picture may be: checked before its pixels take any memory."""

from __future__ import annotations

from pydantic import Field

from ldp_core.errors import ImageTooLargeError
from ldp_core.images.header import PictureHeader
from ldp_core.settings import Settings


class ImageLimits(Settings):
    """Upper limits of one picture.

    The defaults hold a 16-bit RGB picture under 1.6 GB of memory; one of 32-bit floats takes three times
    that while it is read.
    """

    max_bytes: int = Field(default=2**30, gt=0)
    """Encoded bytes."""
    max_pixels: int = Field(default=2**28, gt=0)
    """Width times height."""
    max_side_px: int = Field(default=65_535, gt=0)


DEFAULT_LIMITS = ImageLimits()


def check_bytes(size_bytes: int, *, limits: ImageLimits) -> None:
    """Raises ImageTooLargeError when the encoded picture is larger than the limits allow."""
    if size_bytes > limits.max_bytes:
        raise _too_large(f"at most {limits.max_bytes} bytes", got=f"{size_bytes} bytes")


def check_header(header: PictureHeader, *, limits: ImageLimits) -> None:
    """Raises ImageTooLargeError when the header announces more than the limits allow."""
    got = f"{header.width} x {header.height} pixels"
    if max(header.height, header.width) > limits.max_side_px:
        raise _too_large(f"sides of at most {limits.max_side_px} pixels", got=got)
    if header.height * header.width > limits.max_pixels:
        raise _too_large(f"at most {limits.max_pixels} pixels", got=got)


def _too_large(expected: str, *, got: str) -> ImageTooLargeError:
    return ImageTooLargeError(
        "the picture is larger than allowed",
        expected=expected,
        got=got,
        remedy="raise the image limits if this picture is meant, or leave it out",
    )
