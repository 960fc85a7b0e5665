"""What all picture formats share: codecs and headers, refusals, and two rules for pixel values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import ImageFormatError, ImageSupportError
from ldp_core.images.traits import NO_TRAITS, PictureTraits

READABLE: Final = (
    "grey or RGB of 8 or 16 bit, or of 0..1, as PNG, TIFF, JPEG, JPEG 2000, JPEG XL, AVIF, WebP, BMP, PPM, "
    "PGM, NPY, EXR or DNG"
)
_TAIL_BYTES: Final = 16  # sound JPEG XL was seen to end in up to 9 zeros; a transfer stops in thousands
_BAND_ROWS: Final = 256  # float64 takes 8 bytes a value: bands keep that far below the picture itself


@dataclass(frozen=True, slots=True)
class PictureHeader:
    """What a header announces: size in pixels, 1 (grey) or 3 (RGB) channels, 8 or 16 bit per channel."""

    height: int
    width: int
    channels: int
    bit_depth: int
    least_bytes: int = 0
    """A shorter file lacks pixels; 0 where the header does not tell."""
    traits: PictureTraits = NO_TRAITS


@dataclass(frozen=True, slots=True)
class Codec:
    """A picture format. ``magics`` are the bytes that its files begin with; ``matches`` tells them otherwise.

    ``decode`` gives ``(h, w)`` or ``(h, w, channels)`` unsigned integers of a file whose header was accepted.
    ``encode`` takes ``(h, w)`` or ``(h, w, 3)``, contiguous; None where the format is only read.
    ``find_late_exif`` finds the EXIF block in a file that may hold it behind its pixels; else None.
    Whatever any of them raises of its own accord is reported as damage.
    """

    magics: tuple[bytes, ...]
    read_header: Callable[[BinaryIO], PictureHeader]
    decode: Callable[[bytes], Any]
    encode: Callable[[NDArray[Any]], bytes] | None = None
    find_late_exif: Callable[[bytes], bytes] | None = None
    matches: Callable[[bytes], bool] | None = None


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


def drop_opaque(pixels: Any, *, opaque: float) -> Any:
    """``(h, w, 2 or 4)`` to ``(h, w, 1 or 3)`` where alpha says nothing; ``opaque`` is its largest value.

    Raises:
        ImageFormatError: a pixel is not opaque; what lies behind it is not in the file.
    """
    if not np.all(pixels[..., -1] == opaque):
        raise refuse_kind("a picture with transparent pixels (alpha)")
    return pixels[..., :-1]


def require_tail(data: bytes, *, kind: str) -> None:
    """Refuse compressed data that end in zeros: their decoders take what is missing for a quiet picture.

    Raises:
        ImageFormatError: the last 16 bytes are zero.
    """
    if data.endswith(bytes(_TAIL_BYTES)):
        raise report_damage(f"{kind} data that end in zeros, as a transfer that stopped leaves them")


def fill_range(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """Integers of ``bits`` bit to uint8 (up to 8 bit) or uint16: ``round(value * top / (2**bits - 1))``.

    Every value keeps a value of its own, black stays black, white becomes white; 8 and 16 bit do not change.

    Raises:
        ImageFormatError: a value has more bits.
    """
    if bits in (8, 16):
        return values
    largest, top = 2**bits - 1, 255 if bits < 8 else 65535
    if values.size and values.max() > largest:
        raise report_damage(f"a value of {values.max()} in a picture of {bits} bit")
    table = (np.arange(largest + 1) * top + largest // 2) // largest
    spread: NDArray[Any] = table.astype(np.uint8 if top == 255 else np.uint16)[values]
    return spread


def quantise(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Floating-point values in 0..1 to ``round(65535 * value)``, half to even; off by at most 1/131070.

    Nothing is clipped, stretched or gamma-encoded: values mean what the same values of a PNG mean.

    Raises:
        ImageFormatError: a value is not finite, below 0 or above 1.
    """
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    if not (low >= 0 and high <= 1):
        lost = int(np.count_nonzero(~((values >= 0) & (values <= 1))))
        raise ImageFormatError(
            "values of this picture do not fit into 0..1",
            expected="finite values from 0 (black) to 1 (white)",
            got=f"{lost} of {values.size} values outside, from {low:g} to {high:g}",
            remedy="scale the whole dataset by one factor, the same for both views, and store it again",
        )
    stored = np.empty(values.shape, np.uint16)
    for start in range(0, len(values), _BAND_ROWS):
        band = np.s_[start : start + _BAND_ROWS]
        stored[band] = np.rint(values[band].astype(np.float64) * 65535)
    return stored
