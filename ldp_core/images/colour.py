"""Colours of pictures: what an ICC profile means, whether two mean the same, and pixels to sRGB (Little CMS).

A profile is its bytes; none at all is sRGB (IEC 61966-2-1). Profiles are compared by the colours that they
give to some values, never by their bytes: of sRGB alone there are dozens. The chunk cICP of PNG, the Adobe
RGB mark of EXIF, and the chromaticities of EXR become profiles here.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import ImageFormatError
from ldp_core.types import Pixels

SRGB: Final = b""
MAX_PROFILE_BYTES: Final = 2**22
"""Of a profile that is read: those of printers take up to 3 MB, those of cameras and screens 60 kB."""

# In CIE Lab, the largest over all values compared. Writers of sRGB differ by .05; gamma 2.2 differs from the
# curve of sRGB by 2.9 next to black and is often meant to be it; gamma 2.0 and 2.4 differ by 4.9 and 6.0,
# Adobe RGB by 50, Display P3 by 35.
TOLERANCE_DELTA_E: Final = 3.0

_GREYS: Final = np.repeat(np.linspace(0, 1, 17)[:, None], 3, axis=1)
_COLOURS: Final = np.array(
    [*np.eye(3), *(1 - np.eye(3)), *(np.eye(3) / 2), (0.8, 0.5, 0.4), (0.2, 0.4, 0.7), (0.5, 0.7, 0.3)]
)
_SPACES: Final = {b"RGB ": "rgb", b"GRAY": "gray"}
_CLASSES: Final = {b"mntr", b"scnr", b"prtr", b"spac"}  # others are no profiles of pictures
_RELATIVE: Final = 1  # colorimetric: white stays white
_EXACT: Final = 256  # without the tables of Little CMS, which are off by up to 8 % in dark saturated colours
_BAND_ROWS: Final = 256
_D65: Final = (0.3127, 0.3290)
_P3: Final = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
_BT709: Final = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_NAME_LETTERS: Final = 60

Lab = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ColourMeaning:
    """The name of a profile, empty for sRGB, and the colours it gives; None where it cannot be read."""

    name: str
    lab: tuple[float, ...] | None


def same_colours(first: bytes, second: bytes, *, channels: int) -> bool:
    """Whether two profiles mean the same for pictures of 1 or 3 channels."""
    if first == second:
        return True
    one, other = (_measure(profile, channels) for profile in (first, second))
    return one is not None and other is not None and _distance(one, other) <= TOLERANCE_DELTA_E


def name_colours(profile: bytes, *, channels: int) -> str:
    """The name under which scores show the colours of a profile; empty where they are those of sRGB.

    ``Display P3`` and ``Adobe RGB`` where they are meant, whatever the profile calls itself; else its
    description with six digits of a checksum, as unlike profiles share descriptions.
    """
    return SRGB.decode() if profile == SRGB else _name(profile, channels)


@lru_cache(maxsize=256)
def _name(profile: bytes, channels: int) -> str:
    lab = _measure(profile, channels)
    if lab is None:
        return f"{_describe(profile) or 'unreadable profile'} {_checksum(profile)}"
    known = {"": SRGB} if channels == 1 else {"": SRGB, "Display P3": display_p3(), "Adobe RGB": adobe_rgb()}
    for name, other in known.items():
        reference = _measure(other, channels)
        if reference is not None and _distance(lab, reference) <= TOLERANCE_DELTA_E:
            return name
    return f"{_describe(profile) or 'unnamed profile'} {_checksum(np.round(lab).tobytes())}"


def convert_to_srgb(pixels: Pixels, profile: bytes, *, where: str = "") -> Pixels:
    """Pixels ``(h, w, 1 or 3)`` of a profile to sRGB, relative colorimetric, in the same type.

    Computed in floating point and rounded: off by at most half a step. Colours that sRGB cannot hold are
    clipped to it, channel by channel. Pixels of sRGB come back as they are.

    Raises:
        ImageFormatError: the profile cannot be read.
    """
    channels = pixels.shape[2]
    if not name_colours(profile, channels=channels):
        return pixels
    if _measure(profile, channels) is None:
        raise ImageFormatError(
            "the colour profile of this picture cannot be read",
            where=where,
            expected="an ICC profile for pictures of its kind (RGB, grey)",
            got=name_colours(profile, channels=channels),
            remedy="convert the picture to sRGB with the program that wrote it, or remove the profile",
        )
    peak, converted = np.iinfo(pixels.dtype).max, np.empty_like(pixels)
    for start in range(0, len(pixels), _BAND_ROWS):
        band = pixels[start : start + _BAND_ROWS].astype(np.float64) / peak
        values = _transform(np.repeat(band, 3 // channels, axis=2), profile, _srgb(), "rgb")
        values = values.mean(axis=2, keepdims=True) if channels == 1 else values
        converted[start : start + _BAND_ROWS] = np.rint(np.clip(values, 0, 1) * peak)
    return converted


@lru_cache(maxsize=1)
def display_p3() -> bytes:
    """The profile of Display P3: primaries of SMPTE RP 431-2, white D65, curve of sRGB."""
    return _make_profile(_P3, _D65)


@lru_cache(maxsize=1)
def adobe_rgb() -> bytes:
    """The profile of Adobe RGB (1998)."""
    return bytes(imagecodecs.cms_profile("adobergb"))


def from_cicp(primaries: int, transfer: int) -> bytes:
    """The profile of code points of ITU-T H.273; those of HDR and television are only named."""
    if (primaries, transfer) == (1, 13):
        return SRGB
    return display_p3() if (primaries, transfer) == (12, 13) else f"cICP {primaries}/{transfer}".encode()


def from_chromaticities(primaries: tuple[float, ...], white: tuple[float, float]) -> bytes:
    """A profile of six coordinates xy of red, green, blue, and two of white; its curve is that of sRGB."""
    if np.allclose((*primaries, *white), (*_BT709, *_D65), atol=1e-3):
        return SRGB
    try:
        return _make_profile(primaries, white)
    except (ValueError, RuntimeError):
        return f"chromaticities {primaries} {white}".encode()


@lru_cache(maxsize=1)
def _srgb() -> bytes:
    return bytes(imagecodecs.cms_profile("srgb"))


def _make_profile(primaries: tuple[float, ...], white: tuple[float, float]) -> bytes:
    encoded = np.linspace(0, 1, 4096)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    curve = np.rint(linear * 65535).astype(np.uint16)
    return bytes(
        imagecodecs.cms_profile("rgb", whitepoint=white, primaries=primaries, transferfunction=curve)
    )


def _measure(profile: bytes, channels: int) -> Lab | None:
    """CIE Lab of the values compared, ``(n, 3)``: greys, and colours of pictures that have them."""
    found = _measure_cached(profile or _srgb(), channels)
    return None if found is None else np.array(found).reshape(-1, 3)


@lru_cache(maxsize=256)
def _measure_cached(profile: bytes, channels: int) -> tuple[float, ...] | None:
    space, kind = profile[16:20], profile[12:16]
    announced = int.from_bytes(profile[:4], "big")
    if space not in _SPACES or kind not in _CLASSES or not 128 < announced <= len(profile):
        return None
    if space == b"GRAY" and channels == 3:
        return None
    values = _GREYS if channels == 1 else np.concatenate([_GREYS, _COLOURS])
    try:
        lab = _transform(values[None], profile, bytes(imagecodecs.cms_profile("lab4")), "lab")
    except (ValueError, RuntimeError, TypeError):
        return None
    return tuple(lab.ravel().tolist()) if np.all(np.isfinite(lab)) else None


def _transform(values: Any, profile: bytes, to: bytes, space: str) -> Any:
    """``(h, w, 3)`` float64 in 0..1 to float64; of a grey profile the first channel is taken."""
    own = _SPACES[profile[16:20]]
    found = imagecodecs.cms_transform(
        np.ascontiguousarray(values[..., :1] if own == "gray" else values),
        profile,
        to,
        colorspace=own,
        outcolorspace=space,
        planar=False,
        outplanar=False,
        outdtype="float64",
        intent=_RELATIVE,
        flags=_EXACT,
    )
    return found.reshape(values.shape)


def _distance(one: Lab, other: Lab) -> float:
    return float(np.linalg.norm(one - other, axis=1).max())


def _describe(profile: bytes) -> str:
    """Its own name for itself, in plain letters."""
    if profile[36:40] != b"acsp":
        return _plain(profile[:_NAME_LETTERS].decode("latin-1")) if profile[:4] in (b"cICP", b"chro") else ""
    from PIL import ImageCms

    try:
        found = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.profile_description
    except (OSError, ValueError, ImageCms.PyCMSError):  # letters beyond ASCII are a ValueError
        return ""
    return _plain(found or "")


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9 ._()/,-]+", " ", text).strip()[:_NAME_LETTERS]


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:6]
