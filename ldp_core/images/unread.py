"""Picture formats that are known and not read, told by first bytes or extension; and what converts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ldp_core.errors import ImageFormatError
from ldp_core.images.codec import READABLE

SIGNATURE_BYTES: Final = 64
"""Of the start of a file, enough to tell its format. Real `ftyp` boxes of pictures have 20 to 48 bytes."""

_BOX_START: Final = 8  # size and name of the box `ftyp`; then its brand, a version, compatible brands
_HEIC_BRANDS: Final = {
    b"heic",
    b"heix",
    b"heim",
    b"heis",
    b"hevc",
    b"hevx",
    b"hevm",
    b"hevs",
    b"mif1",
    b"msf1",
}
_AVIF_BRANDS: Final = {b"avif", b"avis"}
_TIFF_MAGICS: Final = (b"II*\0", b"MM\0*")


@dataclass(frozen=True, slots=True)
class UnreadFormat:
    """``extensions`` in lower case; ``matches`` takes the first `SIGNATURE_BYTES` of a file."""

    name: str
    extensions: tuple[str, ...]
    remedy: str
    matches: Callable[[bytes], bool]


def find_unread_extension(extension: str) -> UnreadFormat | None:
    """The format that is not read whose files end so, such as ``.heic``; None for any other."""
    found = (kind for kind in UNREAD_FORMATS if extension.lower() in kind.extensions)
    return next(found, None)


def refuse_unread(start: bytes) -> None:
    """Raises ImageFormatError where a file with these first bytes is of a format that is not read."""
    for kind in UNREAD_FORMATS:
        if kind.matches(start[:SIGNATURE_BYTES]):
            raise ImageFormatError(
                "this format is not read", expected=READABLE, got=kind.name, remedy=kind.remedy
            )


def _starts_with(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda start: start.startswith(magics)


def _brands(start: bytes) -> set[bytes]:
    """Main and compatible brands of an ISO base media file (ISO/IEC 14496-12, 4.3); empty for any other."""
    if start[4:_BOX_START] != b"ftyp":
        return set()
    end = min(len(start), int.from_bytes(start[:4], "big"))
    return {start[place : place + 4] for place in range(_BOX_START, end, 4) if place != _BOX_START + 4}


def _is_avif(start: bytes) -> bool:
    return bool(_brands(start) & _AVIF_BRANDS)


def _is_heic(start: bytes) -> bool:
    return bool(_brands(start) & _HEIC_BRANDS)


def _is_cr2(start: bytes) -> bool:
    return start.startswith(_TIFF_MAGICS) and start[8:10] == b"CR"


def _is_cr3(start: bytes) -> bool:
    return b"crx " in _brands(start)


_RAW_REMEDY: Final = "convert it to DNG, with Adobe DNG Converter for example"

# AVIF before HEIC: an AVIF may name the brand mif1, which both share.
UNREAD_FORMATS: Final = (
    UnreadFormat("AVIF", (".avif",), "convert it to PNG: avifdec IN.avif OUT.png", _is_avif),
    UnreadFormat(
        "HEIC", (".heic", ".heif", ".hif"), "convert it to PNG: heif-convert IN.heic OUT.png", _is_heic
    ),
    UnreadFormat("Canon CR2", (".cr2",), _RAW_REMEDY, _is_cr2),
    UnreadFormat("Canon CR3", (".cr3",), _RAW_REMEDY, _is_cr3),
    UnreadFormat(
        "JPEG XL",
        (".jxl",),
        "convert it to PNG: djxl IN.jxl OUT.png",
        _starts_with(b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    ),
    UnreadFormat(
        "JPEG 2000",
        (".jp2", ".j2k", ".j2c", ".jpf", ".jpx"),
        "convert it to TIFF: opj_decompress -i IN.jp2 -o OUT.tif",
        _starts_with(b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
    ),
)
"""In the order in which they are told apart."""
