"""Picture files: headers by range reads, limits, then pixels; and pixels to bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final

import numpy as np
from pydantic import Field

from ldp_core import storage
from ldp_core.errors import (
    ImageFormatError,
    ImageMissingError,
    ImageTooLargeError,
    LdpError,
    ObjectMissingError,
)
from ldp_core.images.avif import AVIF
from ldp_core.images.bitmap import BMP, NETPBM
from ldp_core.images.codec import READABLE, Codec, PictureHeader, report_damage
from ldp_core.images.jpeg2000 import JPEG2000
from ldp_core.images.jpegxl import JPEGXL
from ldp_core.images.lossy import JPEG, WEBP
from ldp_core.images.numeric import EXR, NPY
from ldp_core.images.png import PNG
from ldp_core.images.scale import to_full_scale
from ldp_core.images.tiff import TIFF
from ldp_core.images.traits import UPRIGHT, PictureTraits, read_exif
from ldp_core.images.unread import SIGNATURE_BYTES, refuse_unread
from ldp_core.settings import Settings
from ldp_core.types import ImageRef, Pixels

_CODECS: Final = {
    "png": PNG,
    "tiff": TIFF,
    "jpeg": JPEG,
    "jpeg 2000": JPEG2000,
    "jpeg xl": JPEGXL,
    "avif": AVIF,
    "webp": WEBP,
    "bmp": BMP,
    "ppm": NETPBM,
    "npy": NPY,
    "exr": EXR,
}

_OWN_READERS: Final = (PNG, JPEG)
"""Usual formats, told apart from all others by their first bytes, whose headers no other package reads."""

PICTURE_FORMATS: Final = tuple(name for name, codec in _CODECS.items() if codec.encode)
"""Names of the formats that are written."""

_ABSENT: Final = {
    r".*\\": "is this a Windows path? Write it with '/', as this machine sees it",
    r"(?!.*://)(.*/)?~[^/]*/": "'~' stands for no folder here: write the whole path",
    r"(file://|(?!.*://)).*%[0-9A-Fa-f]{2}": "file addresses are taken as they stand: write what %20 means",
}
"""What a missing picture is answered with, by what its address holds."""
_BLOCK_BYTES: Final = 4096  # holds the whole header of 500 in 501 pictures of public datasets


class ImageLimits(Settings):
    """Upper limits of one picture, checked before its pixels take any memory.

    The defaults hold a 16-bit RGB picture under 1.6 GB of memory; one of 32-bit floats takes three times
    that while it is read.
    """

    max_bytes: int = Field(default=2**30, gt=0)
    """Encoded bytes."""
    max_pixels: int = Field(default=2**28, gt=0)
    """Width times height."""
    max_side_px: int = Field(default=65_535, gt=0)
    """As in JPEG, whose sides have 16 bit."""


DEFAULT_LIMITS: Final = ImageLimits()


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels as the file holds them, whatever their full scale, and what the file says of them."""

    pixels: Pixels
    traits: PictureTraits


def probe_image(
    uri: str,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    size_bytes: int | None = None,
    revision: str = "",
) -> ImageRef:
    """As `probe_picture`, without the traits."""
    return probe_picture(uri, limits=limits, size_bytes=size_bytes, revision=revision)[0]


def probe_picture(
    uri: str,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    size_bytes: int | None = None,
    revision: str = "",
) -> tuple[ImageRef, PictureTraits]:
    """What the header of a picture says, read by small range reads; no pixel is decoded.

    ``size_bytes`` and ``revision`` are what a listing has told already; it saves a request.

    Raises:
        ImageMissingError: there is no such object.
        ImageTooLargeError: its size or its header exceeds the limits.
        ImageFormatError: it is damaged, or of a kind that is not read.
        ImageSupportError: the package that decodes its kind is not installed.
        StorageError: the store refused or could not be reached.
    """
    with _image_errors(uri):
        size = size_bytes
        if size is None:
            entry = storage.entry_of(uri)
            size, revision = entry.size_bytes, entry.revision
        _check_bytes(size, limits=limits)
        header = _probe_header(uri, size)
        _check_header(header, limits=limits)
        _check_length(size, header)
    ref = ImageRef(
        uri=uri,
        height=header.height,
        width=header.width,
        channels=header.channels,
        bit_depth=header.bit_depth,
        size_bytes=size,
        revision=revision,
    )
    return ref, header.traits


def read_image(uri: str, *, limits: ImageLimits = DEFAULT_LIMITS, size_bytes: int | None = None) -> Pixels:
    """The pixels of a picture, ``(h, w, c)`` uint8 or uint16, full range, as stored.

    ``size_bytes`` is the encoded size where it is known already; it saves a request.

    Where the format says that full scale is less than that of the type (a PGM up to 4095, a TIFF of 12
    bit), values are scaled to it exactly (`ldp_core.images.scale`). An EXIF orientation is not applied: the
    views of a pair share it, and rotating them would turn the dual-pixel axis. Colour profiles and gamma
    chunks are not applied either. Floating point in 0..1 becomes 16 bit (`ldp_core.images.codec.quantise`),
    10 and 12 bit of JPEG 2000, JPEG XL and AVIF are spread over 16 bit (`ldp_core.images.codec.fill_range`),
    sensor values of a DNG are developed (`ldp_core.images.dng`).

    Raises:
        ImageMissingError: there is no such object.
        ImageTooLargeError: its size or its header exceeds the limits; nothing was decoded.
        ImageFormatError: it is damaged, or of a kind that is not read.
        StorageError: the store refused or could not be reached.
    """
    found = read_picture(uri, limits=limits, size_bytes=size_bytes)
    return to_full_scale(found.pixels, found.traits.peak, where=uri)


def read_picture(uri: str, *, limits: ImageLimits = DEFAULT_LIMITS, size_bytes: int | None = None) -> Picture:
    """As `read_image`, with the values as the file holds them, and what it says of them."""
    with _image_errors(uri):
        _check_bytes(storage.size_of(uri) if size_bytes is None else size_bytes, limits=limits)
        content = storage.read_bytes(uri)
    return _decode_picture(content, name=uri, limits=limits)


def decode_image(content: bytes, *, name: str = "", limits: ImageLimits = DEFAULT_LIMITS) -> Pixels:
    """As `read_image`, from bytes in memory; ``name`` is what errors call the picture."""
    found = _decode_picture(content, name=name, limits=limits)
    return to_full_scale(found.pixels, found.traits.peak, where=name)


def _decode_picture(content: bytes, *, name: str, limits: ImageLimits) -> Picture:
    with _image_errors(name):
        _check_bytes(len(content), limits=limits)
        header, codec = _read_header(io.BytesIO(content)), _find_codec(content)
        _check_header(header, limits=limits)
        _check_length(len(content), header)
        pixels, traits = _shape_pixels(codec.decode(content), header), header.traits
        if codec.find_late_exif and traits.orientation == UPRIGHT:
            exif = codec.find_late_exif(content)
            traits = replace(traits, orientation=read_exif(exif).orientation if exif else UPRIGHT)
    return Picture(pixels, traits)


def encode_image(pixels: Pixels, format: str = "png") -> bytes:  # noqa: A002
    """A picture of pixels ``(h, w, 1 or 3)`` uint8 or uint16, in one of `PICTURE_FORMATS`.

    PNG and TIFF lose nothing; JPEG holds 8 bit only and loses a little.

    Raises:
        ImageFormatError: the format is unknown, or cannot hold these pixels.
    """
    encode = _CODECS[format].encode if format in _CODECS else None
    if encode is None:
        raise ImageFormatError(
            "no such picture format", expected=" or ".join(PICTURE_FORMATS), got=repr(format)
        )
    _require_pixels(pixels)
    if format == "jpeg" and pixels.dtype != "uint8":
        raise ImageFormatError(
            "JPEG cannot hold 16 bit", expected="uint8", got=str(pixels.dtype), remedy="write PNG or TIFF"
        )
    return encode(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


class _BeyondError(Exception):
    """More is read than the first block of a file holds."""


class _FirstBlock(io.BytesIO):
    """The first block of a longer file. A raw file behind a buffer takes twice as long to make and read."""

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        if size is None or not 0 <= size <= len(found):
            raise _BeyondError
        return found


def _probe_header(uri: str, size_bytes: int) -> PictureHeader:
    """The header of a stored picture; most lie in its first block, which is one request."""
    start = storage.read_bytes(uri, start=0, end=min(size_bytes, _BLOCK_BYTES)) if size_bytes else b""
    codec = _find_codec(start)
    if len(start) == size_bytes:
        return codec.read_header(io.BytesIO(start))
    if codec in _OWN_READERS:
        with suppress(_BeyondError):
            return codec.read_header(_FirstBlock(start))
    return codec.read_header(io.BufferedReader(RangeReader(uri, size_bytes, start), buffer_size=_BLOCK_BYTES))


def _read_header(file: BinaryIO) -> PictureHeader:
    codec = _find_codec(file.read(SIGNATURE_BYTES))
    file.seek(0)
    return codec.read_header(file)


def _check_bytes(size_bytes: int, *, limits: ImageLimits) -> None:
    """Raises ImageTooLargeError when the encoded picture is larger than the limits allow."""
    if size_bytes > limits.max_bytes:
        raise _too_large(f"at most {limits.max_bytes} bytes", got=f"{size_bytes} bytes")


def _check_header(header: PictureHeader, *, limits: ImageLimits) -> None:
    """Raises ImageTooLargeError when the header announces more than the limits allow."""
    got = f"{header.width} x {header.height} pixels"
    if min(header.height, header.width) < 1:
        raise report_damage(f"a size of {got}")
    if max(header.height, header.width) > limits.max_side_px:
        raise _too_large(f"sides of at most {limits.max_side_px} pixels", got=got)
    if header.height * header.width > limits.max_pixels:
        raise _too_large(f"at most {limits.max_pixels} pixels", got=got)


def _check_length(size_bytes: int, header: PictureHeader) -> None:
    if size_bytes < header.least_bytes:
        raise report_damage(f"{size_bytes} bytes where the header announces {header.least_bytes}")


def _too_large(expected: str, *, got: str) -> ImageTooLargeError:
    return ImageTooLargeError(
        "the picture is larger than allowed",
        expected=expected,
        got=got,
        remedy="leave it out, or cut it into parts if it is meant",
    )


def _find_codec(content: bytes) -> Codec:
    for codec in _OWN_READERS:
        if content.startswith(codec.magics):
            return codec
    refuse_unread(content)  # first: a CR2 begins as a TIFF does
    for codec in _CODECS.values():
        if content.startswith(codec.magics) or (codec.matches and codec.matches(content[:SIGNATURE_BYTES])):
            return codec
    raise ImageFormatError(
        "this is not a picture",
        expected=READABLE,
        got=f"a file that starts with {content[:8]!r}" if content else "an empty file",
        remedy="convert it, or leave it out",
    )


def _shape_pixels(decoded: Any, header: PictureHeader) -> Pixels:
    """``decoded`` as ``(h, w, c)`` in native byte order, if it is what the header announced."""
    shape = (header.height, header.width, header.channels)
    pixels = decoded[..., np.newaxis] if decoded.ndim == 2 else decoded
    if pixels.shape != shape or pixels.dtype.kind != "u" or pixels.dtype.itemsize * 8 != header.bit_depth:
        raise report_damage(f"pixels {pixels.shape} {pixels.dtype}, header {shape} {header.bit_depth} bit")
    if header.bit_depth == 8:
        return np.ascontiguousarray(pixels, dtype=np.uint8)
    return np.ascontiguousarray(pixels, dtype=np.uint16)


def _require_pixels(pixels: Pixels) -> None:
    sound = pixels.ndim == 3 and pixels.shape[2] in (1, 3) and pixels.size > 0
    if not sound or pixels.dtype not in ("uint8", "uint16"):
        raise ImageFormatError(
            "these are not pixels",
            expected="(height, width, 1 or 3) uint8 or uint16",
            got=f"{pixels.shape} {pixels.dtype}",
        )


@contextmanager
def _image_errors(uri: str) -> Iterator[None]:
    """Names the picture in our errors, and turns whatever a decoder raises into one of them."""
    try:
        yield
    except ObjectMissingError as error:
        remedy = error.remedy if error.got else _explain_absent(uri)
        raise ImageMissingError(
            "there is no such picture", where=uri, got=error.got, remedy=remedy
        ) from error
    except LdpError as error:
        error.where = error.where or uri
        raise
    except MemoryError as error:
        raise ImageTooLargeError("the picture does not fit in memory", where=uri) from error
    except Exception as error:
        damage = report_damage(f"{type(error).__name__}: {error}")
        damage.where = uri
        raise damage from error


def _explain_absent(uri: str) -> str:
    """What to do about a picture that is not there."""
    return next((remedy for mark, remedy in _ABSENT.items() if re.match(mark, uri)), "check its address")


class RangeReader(io.RawIOBase):
    """A stored object as a seekable file; each read is one range request, but for what ``start`` holds.

    Reads raise ObjectMissingError or StorageError, as `ldp_core.storage.read_bytes` does.
    """

    def __init__(self, url: str, size_bytes: int, start: bytes = b"") -> None:
        self._url = url
        self._size = size_bytes
        self._start = start
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise ValueError(f"negative position {origin + offset}")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        if self._position < len(self._start):
            content = self._start[self._position : end]
        else:
            content = storage.read_bytes(self._url, start=self._position, end=end)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)
