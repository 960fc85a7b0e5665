"""What a picture file says of its own values besides size and depth: full scale, colours, orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

UPRIGHT: Final = 1
_ORIENTATION, _EXIF_IFD, _INTEROP_IFD, _INTEROP_INDEX = 0x0112, 0x8769, 0xA005, 1
_ADOBE_RGB_INDEX: Final = "R03"  # Exif 2.3, DCF: cameras set to Adobe RGB write it, and no profile
_HALF_BITS: Final = range(8, 16)


@dataclass(frozen=True, slots=True)
class PictureTraits:
    """What a header says of the values of a picture.

    ``peak`` is the value of full scale where the format defines it (the largest value of a PGM, the 12 bit of
    a packed TIFF; 65535 of floating point and of developed raw values), else None. ``ceiling`` is a value
    that none should exceed, by a field that some writers fill in otherwise: PNG sBIT, whose values the
    standard has scaled to full range, and TIFF MaxSampleValue, which may be the maximum of this very picture.
    ``profile`` is an ICC profile, or what else names the colours (`ldp_core.images.colour`); empty: sRGB.
    ``orientation`` is that of EXIF, 1 (as stored) to 8.
    """

    peak: int | None = None
    ceiling: int | None = None
    profile: bytes = b""
    orientation: int = UPRIGHT


NO_TRAITS: Final = PictureTraits()
"""Of a picture whose file says nothing particular."""


@dataclass(frozen=True, slots=True)
class Exif:
    """Orientation, and whether the camera says that its colours are those of Adobe RGB."""

    orientation: int = UPRIGHT
    adobe_rgb: bool = False


def read_exif(content: bytes) -> Exif:
    """What an EXIF block, with or without its first six letters, tells; nothing where it cannot be read."""
    from PIL.Image import Exif as PillowExif  # as long to import as all other readers together

    try:
        found = PillowExif()
        found.load(content)
        index = found.get_ifd(_EXIF_IFD).get(_INTEROP_IFD)
        interop = index if isinstance(index, dict) else found.get_ifd(_INTEROP_IFD)
        adobe = str(interop.get(_INTEROP_INDEX, "")).strip("\0 ") == _ADOBE_RGB_INDEX
        return Exif(to_orientation(found.get(_ORIENTATION)), adobe)
    except Exception:  # a block of notes about a picture says nothing of its pixels
        return Exif()


def to_orientation(value: object) -> int:
    """1 to 8; anything else says nothing, and is 1."""
    return value if isinstance(value, int) and 1 <= value <= 8 else UPRIGHT


def to_ceiling(value: object) -> int | None:
    """A value of 2^k - 1 that 16 bit hold and do not reach; None for any other."""
    return value if isinstance(value, int) and value in {2**bits - 1 for bits in _HALF_BITS} else None
