"""Picture formats that are known and not read, told by first bytes or extension; and what converts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ldp_core.errors import ImageFormatError
from ldp_core.images.avif import is_avif
from ldp_core.images.boxes import list_brands
from ldp_core.images.codec import READABLE

SIGNATURE_BYTES: Final = 64
"""Of the start of a file, enough to tell its format. Real `ftyp` boxes of pictures have 20 to 48 bytes."""

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


def _is_heic(start: bytes) -> bool:
    return bool(list_brands(start) & _HEIC_BRANDS) and not is_avif(start)  # which may name mif1 as well


def _is_cr2(start: bytes) -> bool:
    return start.startswith(_TIFF_MAGICS) and start[8:10] == b"CR"


def _is_cr3(start: bytes) -> bool:
    return b"crx " in list_brands(start)


_RAW_REMEDY: Final = "convert it to DNG, with Adobe DNG Converter for example"

UNREAD_FORMATS: Final = (
    UnreadFormat(
        "HEIC", (".heic", ".heif", ".hif"), "convert it to PNG: heif-convert IN.heic OUT.png", _is_heic
    ),
    UnreadFormat("Canon CR2", (".cr2",), _RAW_REMEDY, _is_cr2),
    UnreadFormat("Canon CR3", (".cr3",), _RAW_REMEDY, _is_cr3),
)
"""In the order in which they are told apart."""
