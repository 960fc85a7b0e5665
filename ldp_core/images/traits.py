"""What a picture file says of its own values besides size and depth: full scale, colours, orientation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

UPRIGHT: Final = 1
_ORIENTATION, _EXIF_IFD, _INTEROP_IFD, _INTEROP_INDEX = 0x0112, 0x8769, 0xA005, 1
_ADOBE_RGB_INDEX: Final = "R03"  # Exif 2.3, DCF: cameras set to Adobe RGB write it, and no profile
_HALF_BITS: Final = range(8, 16)
_MAKE, _MODEL, _TAKEN, _F_NUMBER, _ISO, _FOCAL_LENGTH = 0x010F, 0x0110, 0x9003, 0x829D, 0x8827, 0x920A
SHOT_NAMES: Final = frozenset({"make", "model", "iso", "aperture", "focal_length_mm", "taken"})
"""What EXIF may tell of how a photograph was taken; ``aperture`` is the f-number, ``taken`` a local time."""


@dataclass(frozen=True, slots=True)
class PictureTraits:
    """What a header says of the values of a picture.

    ``peak`` is the value of full scale where the format defines it (the largest value of a PGM, the 12 bit of
    a packed TIFF; 65535 of floating point and of developed raw values), else None. ``ceiling`` is a value
    that none should exceed, by a field that some writers fill in otherwise: PNG sBIT, whose values the
    standard has scaled to full range, and TIFF MaxSampleValue, which may be the maximum of this very picture.
    ``profile`` is an ICC profile, or what else names the colours (`ldp_core.images.colour`); empty: sRGB.
    ``orientation`` is that of EXIF, 1 (as stored) to 8; ``shot`` is what EXIF tells by `SHOT_NAMES`.
    """

    peak: int | None = None
    ceiling: int | None = None
    profile: bytes = b""
    orientation: int = UPRIGHT
    shot: Mapping[str, str | int | float] = field(default_factory=dict, compare=False)


NO_TRAITS: Final = PictureTraits()
"""Of a picture whose file says nothing particular."""


@dataclass(frozen=True, slots=True)
class Exif:
    """Orientation, whether the camera says that its colours are those of Adobe RGB, and `SHOT_NAMES`."""

    orientation: int = UPRIGHT
    adobe_rgb: bool = False
    shot: Mapping[str, str | int | float] = field(default_factory=dict)


def read_exif(content: bytes) -> Exif:
    """What an EXIF block, with or without its first six letters, tells; nothing where it cannot be read."""
    if not content:  # of most pictures, where asking Pillow takes as long as reading the rest of the header
        return Exif()
    from PIL.Image import Exif as PillowExif  # as long to import as all other readers together

    try:
        found = PillowExif()
        found.load(content)
        index = found.get_ifd(_EXIF_IFD).get(_INTEROP_IFD)
        interop = index if isinstance(index, dict) else found.get_ifd(_INTEROP_IFD)
        adobe = str(interop.get(_INTEROP_INDEX, "")).strip("\0 ") == _ADOBE_RGB_INDEX
        shot = _read_shot(found, found.get_ifd(_EXIF_IFD))
        return Exif(to_orientation(found.get(_ORIENTATION)), adobe, shot)
    except Exception:  # a block of notes about a picture says nothing of its pixels
        return Exif()


def _read_shot(picture: Mapping[int, Any], exposure: Mapping[int, Any]) -> dict[str, str | int | float]:
    iso = exposure.get(_ISO)
    told = {
        "make": _to_text(picture.get(_MAKE)),
        "model": _to_text(picture.get(_MODEL)),
        "iso": _to_number(iso[0] if isinstance(iso, tuple) and iso else iso),
        "aperture": _to_number(exposure.get(_F_NUMBER)),
        "focal_length_mm": _to_number(exposure.get(_FOCAL_LENGTH)),
        "taken": _to_moment(_to_text(exposure.get(_TAKEN))),
    }
    return {name: value for name, value in told.items() if value}


def _to_text(value: object) -> str:
    return value.replace("\0", " ").strip() if isinstance(value, str) else ""


def _to_number(value: object) -> int | float:
    """A positive number, a whole one as int; 0 of anything else."""
    try:
        number = round(float(value), 4)  # type: ignore[arg-type]
    except (TypeError, ValueError, ArithmeticError):
        return 0
    if not (math.isfinite(number) and number > 0):
        return 0
    return int(number) if number == int(number) else number


def _to_moment(text: str) -> str:
    """EXIF's ``2026:05:04 10:11:12`` as ISO 8601, so that moments sort and compare as text."""
    day, _, time = text.partition(" ")
    return f"{day.replace(':', '-')}T{time}" if len(day) == 10 and len(time) == 8 and day > "0001" else ""


def to_orientation(value: object) -> int:
    """1 to 8; anything else says nothing, and is 1."""
    return value if isinstance(value, int) and 1 <= value <= 8 else UPRIGHT


def to_ceiling(value: object) -> int | None:
    """A value of 2^k - 1 that 16 bit hold and do not reach; None for any other."""
    return value if isinstance(value, int) and value in {2**bits - 1 for bits in _HALF_BITS} else None
