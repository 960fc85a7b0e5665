"""What a picture's header announces."""

from __future__ import annotations

from dataclasses import dataclass

from ldp_core.errors import ImageFormatError

READABLE = "8 or 16 bit, grey or RGB, as PNG, TIFF or JPEG"


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
