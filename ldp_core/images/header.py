"""What a picture's header announces."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from ldp_core.errors import ImageFormatError, ImageSupportError

READABLE = "grey or RGB of 8 or 16 bit, or of 0..1, as PNG, TIFF, JPEG, WebP, NPY, EXR or DNG"


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """Size in pixels, 1 (grey) or 3 (RGB) channels, 8 or 16 bit per channel."""

    height: int
    width: int
    channels: int
    bit_depth: int


def refuse_kind(got: str, *, remedy: str = "convert the picture to plain grey or RGB") -> ImageFormatError:
    """The error for a sound picture of a kind that is not read."""
    return ImageFormatError("this kind of picture is not read", expected=READABLE, got=got, remedy=remedy)


def report_damage(got: str) -> ImageFormatError:
    """The error for a picture that is cut short or altered."""
    return ImageFormatError(
        "the picture is damaged", got=got, remedy="copy it again from its source, or leave it out"
    )


def require_package(name: str, *, kind: str) -> None:
    """Raises ImageSupportError where the package that decodes this kind of picture is not installed."""
    if find_spec(name) is None:
        raise ImageSupportError(
            f"{kind} pictures need a package that is not installed",
            expected=name,
            remedy="install it: pip install -c constraints.txt -e '.[formats]'",
        )
