"""Reading pictures: header by range reads, limits, then pixels."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from ldp_core import storage
from ldp_core.errors import (
    ImageFormatError,
    ImageMissingError,
    ImageTooLargeError,
    LdpError,
    ObjectMissingError,
)
from ldp_core.images import exr, jpeg, npy, png, tiff, webp
from ldp_core.images.header import READABLE, PictureHeader, report_damage
from ldp_core.images.limits import DEFAULT_LIMITS, ImageLimits, check_bytes, check_header
from ldp_core.images.ranges import open_ranges
from ldp_core.types import ImageRef, Pixels


@dataclass(frozen=True, slots=True)
class _Codec:
    read_header: Callable[[BinaryIO], PictureHeader]
    decode: Callable[[bytes], Any]


_CODECS = {
    png.MAGIC: _Codec(png.read_header, png.decode),
    jpeg.MAGIC: _Codec(jpeg.read_header, jpeg.decode),
    webp.MAGIC: _Codec(webp.read_header, webp.decode),
    npy.MAGIC: _Codec(npy.read_header, npy.decode),
    exr.MAGIC: _Codec(exr.read_header, exr.decode),
    **{magic: _Codec(tiff.read_header, tiff.decode) for magic in tiff.MAGICS},
}


def probe_image(uri: str, *, size_bytes: int | None = None) -> ImageRef:
    """What the header of a picture says, read by small range reads; no pixel is decoded.

    ``size_bytes`` is the encoded size where a listing has told it already; it saves a request.

    Raises:
        ImageMissingError: there is no such object.
        ImageFormatError: it is damaged, or of a kind that is not read.
        ImageSupportError: the package that decodes its kind is not installed.
        StorageError: the store refused or could not be reached.
    """
    with _image_errors(uri):
        size = storage.size_of(uri) if size_bytes is None else size_bytes
        header = _read_header(open_ranges(uri, size_bytes=size))
    return ImageRef(
        uri=uri,
        height=header.height,
        width=header.width,
        channels=header.channels,
        bit_depth=header.bit_depth,
        size_bytes=size,
    )


def read_image(uri: str, *, limits: ImageLimits = DEFAULT_LIMITS, size_bytes: int | None = None) -> Pixels:
    """The pixels of a picture, ``(h, w, c)`` uint8 or uint16, full range, as stored.

    ``size_bytes`` is the encoded size where it is known already; it saves a request.

    An EXIF orientation is not applied: the views of a pair share it, and rotating them would turn the
    dual-pixel axis. Colour profiles and gamma chunks are not applied either. Floating point in 0..1
    becomes 16 bit (`ldp_core.images.floats`), sensor values of a DNG are developed (`ldp_core.images.dng`).

    Raises:
        ImageMissingError: there is no such object.
        ImageTooLargeError: its size or its header exceeds the limits; nothing was decoded.
        ImageFormatError: it is damaged, or of a kind that is not read.
        StorageError: the store refused or could not be reached.
    """
    with _image_errors(uri):
        check_bytes(storage.size_of(uri) if size_bytes is None else size_bytes, limits=limits)
        content = storage.read_bytes(uri)
    return decode_image(content, name=uri, limits=limits)


def decode_image(content: bytes, *, name: str = "", limits: ImageLimits = DEFAULT_LIMITS) -> Pixels:
    """As `read_image`, from bytes in memory; ``name`` is what errors call the picture."""
    with _image_errors(name):
        check_bytes(len(content), limits=limits)
        header = _read_header(io.BytesIO(content))
        check_header(header, limits=limits)
        return _shape_pixels(_find_codec(content).decode(content), header)


def _read_header(file: BinaryIO) -> PictureHeader:
    codec = _find_codec(file.read(len(png.MAGIC)))
    file.seek(0)
    return codec.read_header(file)


def _find_codec(content: bytes) -> _Codec:
    for magic, codec in _CODECS.items():
        if content.startswith(magic):
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


@contextmanager
def _image_errors(uri: str) -> Iterator[None]:
    """Names the picture in our errors, and turns whatever a decoder raises into one of them."""
    try:
        yield
    except ObjectMissingError as error:
        raise ImageMissingError("there is no such picture", where=uri, remedy="check its address") from error
    except LdpError as error:
        error.where = error.where or uri
        raise
    except MemoryError as error:
        raise ImageTooLargeError("the picture does not fit in memory", where=uri) from error
    except Exception as error:
        damage = report_damage(f"{type(error).__name__}: {error}")
        damage.where = uri
        raise damage from error
