"""What a picture file says besides its pixels (ICC profile, EXIF), carried over to another file.

By default EXIF keeps what tells how a photograph was taken, by the list below. Position, serial numbers,
names of people, comments and notes of makers, which may hold any of these, are left out.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import tifffile
from PIL import ExifTags, Image, TiffImagePlugin

from ldp_core import storage
from ldp_core.errors import ImageError, ImageFormatError, StorageError
from ldp_core.images.files import RangeReader, encode_image, probe_picture
from ldp_core.types import FloatMap, Pixels

__all__ = ["NO_METADATA", "Metadata", "encode_with_metadata", "read_metadata", "write_float_tiff"]

_BLOCK_BYTES: Final = 65_536
_ICC_MARK: Final = slice(36, 40)
_AFTER_HEADER: Final = 33  # of a PNG: its signature and IHDR
_JPEG_QUALITY: Final = 95
_LONG: Final = 4  # of TIFF: an unsigned number of 32 bit
_GPS, _EXIF, _INTEROP = ExifTags.IFD.GPSInfo, ExifTags.IFD.Exif, ExifTags.IFD.Interop

_KEPT: Final = frozenset(
    tag.value
    for name in (
        *("Make", "Model", "Orientation", "XResolution", "YResolution", "ResolutionUnit", "DateTime"),
        *("ExposureTime", "FNumber", "ExposureProgram", "ISOSpeedRatings", "SensitivityType", "ISOSpeed"),
        *("RecommendedExposureIndex", "ExifVersion", "DateTimeOriginal", "DateTimeDigitized", "OffsetTime"),
        *("OffsetTimeOriginal", "OffsetTimeDigitized", "SubsecTime", "SubsecTimeOriginal", "Gamma"),
        *("SubsecTimeDigitized", "ShutterSpeedValue", "ApertureValue", "BrightnessValue", "ColorSpace"),
        *("ExposureBiasValue", "MaxApertureValue", "SubjectDistance", "MeteringMode", "LightSource"),
        *("Flash", "FocalLength", "FocalLengthIn35mmFilm", "FocalPlaneXResolution", "ExposureMode"),
        *("FocalPlaneYResolution", "FocalPlaneResolutionUnit", "SensingMethod", "WhiteBalance"),
        *("DigitalZoomRatio", "SceneCaptureType", "GainControl", "Contrast", "Saturation", "Sharpness"),
        *("SubjectDistanceRange", "LensSpecification", "LensMake", "LensModel"),
    )
    if (tag := getattr(ExifTags.Base, name, None)) is not None
)
"""Tags that are carried over unless all are."""
_STRUCTURE: Final = frozenset(
    {*range(254, 260), 262, 266, 273, 277, 278, 279, 284, 317, 320, *range(322, 326), 330, 338, 339, 347}
    | {_EXIF, _GPS, _INTEROP, 0x8773, 0xA002, 0xA003, *range(512, 521), 529, 530, 531, 532, 700, 33723, 34377}
)
"""Tags of the file that they come from: sizes, offsets, and blocks of other programs."""

Tags = Mapping[int, Any]


@dataclass(frozen=True, slots=True)
class Metadata:
    """An ICC profile, empty for none, and EXIF by its directories: picture, exposure, position."""

    icc: bytes = b""
    picture: Tags = field(default_factory=dict)
    exposure: Tags = field(default_factory=dict)
    position: Tags = field(default_factory=dict)

    @property
    def has_exif(self) -> bool:
        return bool(self.picture or self.exposure or self.position)


NO_METADATA: Final = Metadata()


def read_metadata(uri: str, *, size_bytes: int | None = None, keep_all: bool = False) -> Metadata:
    """What a picture file says besides its pixels; nothing where it cannot be read or is gone.

    ``keep_all``: every tag that makes sense in another file, position and serial numbers too.
    """
    try:
        size = storage.size_of(uri) if size_bytes is None else size_bytes
        profile = probe_picture(uri, size_bytes=size)[1].profile
        exif = _read_exif(uri, size)
    except (ImageError, StorageError):
        return NO_METADATA
    icc = profile if profile[_ICC_MARK] == b"acsp" else b""
    if exif is None:
        return Metadata(icc)
    kept = _keep_all if keep_all else _keep_known
    position = dict(exif.get_ifd(_GPS)) if keep_all else {}
    return Metadata(icc, kept(exif), kept(exif.get_ifd(_EXIF)), position)


def encode_with_metadata(pixels: Pixels, format: str, metadata: Metadata) -> bytes:  # noqa: A002
    """Pixels ``(h, w, 1 or 3)`` uint8 or uint16 as ``png``, ``tiff`` or ``jpeg`` with their metadata.

    PNG and TIFF lose nothing. JPEG holds 8 bit, quality 95 without chroma subsampling.

    Raises:
        ImageFormatError: the format is unknown, or cannot hold these pixels.
    """
    if format == "jpeg" and pixels.dtype == np.uint8:
        return _encode_jpeg(pixels, metadata)
    if format not in ("png", "tiff"):
        encode_image(pixels, format)
        raise ImageFormatError("this format takes no metadata", expected="png, tiff or jpeg", got=format)
    if format == "tiff":
        return _encode_tiff(pixels, metadata)
    content, exif = encode_image(pixels, "png"), _exif_block(metadata)
    chunks = _chunk(b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc)) if metadata.icc else b""
    chunks += _chunk(b"eXIf", exif) if exif else b""
    return content[:_AFTER_HEADER] + chunks + content[_AFTER_HEADER:]


def write_float_tiff(values: FloatMap, description: str) -> bytes:
    """Values ``(h, w)`` float32 as a TIFF of 32 bit floating point, unscaled, with a description in ASCII."""
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        values,
        photometric="minisblack",
        compression="zlib",
        predictor=True,
        description=description.encode("ascii", "replace").decode(),
        metadata=None,
    )
    return file.getvalue()


def _read_exif(uri: str, size: int) -> Image.Exif | None:
    """The EXIF of a file; of a TIFF its own directory, for Pillow opens not every kind of TIFF."""
    try:
        file = io.BufferedReader(RangeReader(uri, size), buffer_size=_BLOCK_BYTES)
        if file.peek(4)[:4] in (b"II*\0", b"MM\0*"):
            exif = Image.Exif()
            exif.load(b"Exif\0\0" + storage.read_bytes(uri))
        else:
            with Image.open(file) as picture:
                exif = picture.getexif()
        exif.get_ifd(_EXIF)
        return exif
    except (ImageError, StorageError):
        raise
    except Exception:  # Pillow raises many kinds of errors for damaged and unknown files
        return None


def _keep_known(tags: Tags) -> dict[int, Any]:
    return {tag: value for tag, value in tags.items() if tag in _KEPT}


def _keep_all(tags: Tags) -> dict[int, Any]:
    return {tag: value for tag, value in tags.items() if tag not in _STRUCTURE and tag != 34675}


def _exif_block(metadata: Metadata) -> bytes:
    """EXIF as PNG and JPEG hold it, without its first six letters; empty where it cannot be written."""
    exif = Image.Exif()
    exif.update(metadata.picture)
    for directory, tags in ((_EXIF, metadata.exposure), (_GPS, metadata.position)):
        if tags:
            exif.get_ifd(directory).update(tags)
    try:
        return exif.tobytes().removeprefix(b"Exif\0\0") if metadata.has_exif else b""
    except Exception:  # values of a kind that their tag does not have
        return b""


def _encode_jpeg(pixels: Pixels, metadata: Metadata) -> bytes:
    file, exif = io.BytesIO(), _exif_block(metadata)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(
        file,
        "JPEG",
        quality=_JPEG_QUALITY,
        subsampling=0,
        icc_profile=metadata.icc or None,
        **({"exif": b"Exif\0\0" + exif} if exif else {}),
    )
    return file.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _encode_tiff(pixels: Pixels, metadata: Metadata) -> bytes:
    """With deflate and a predictor, lossless. Directories of EXIF stand behind the picture."""
    pointers = {_EXIF: metadata.exposure, _GPS: metadata.position}
    extra: list[tuple[int, str, int, Any, bool]] = [
        _texts(tag, value) for tag, value in metadata.picture.items() if isinstance(value, str)
    ]
    extra += [(274, "H", 1, metadata.picture[274], True)] if 274 in metadata.picture else []
    # tifffile writes no pointers to EXIF; a tag of the number below holds the place of each.
    extra += [(int(tag) - 1, "I", 1, 0, True) for tag, tags in pointers.items() if tags]
    file = io.BytesIO()
    tifffile.imwrite(
        file,
        pixels[..., 0] if pixels.shape[2] == 1 else pixels,
        photometric="minisblack" if pixels.shape[2] == 1 else "rgb",
        compression="zlib",
        predictor=True,
        metadata=None,
        byteorder="<",
        software="",
        iccprofile=metadata.icc or None,
        extratags=extra,
    )
    for tag, tags in pointers.items():
        if tags:
            _append_directory(file, int(tag), tags)
    return file.getvalue()


def _texts(tag: int, value: str) -> tuple[int, str, int, str, bool]:
    return tag, "s", 0, value.encode("ascii", "replace").decode(), True


def _append_directory(file: io.BytesIO, tag: int, tags: Tags) -> None:
    """Put a directory at the end of a TIFF and point to it; left out where it cannot be written."""
    offset = file.seek(0, io.SEEK_END)
    offset += offset % 2
    try:
        content = _list_tags(tags).tobytes(offset)
    except Exception:  # values of a kind that their tag does not have
        content = _list_tags({}).tobytes(offset)
    file.write(b"\0" * (offset - file.tell()) + content)
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        place = tiff.pages.first.tags[tag - 1].offset
    file.seek(place)
    file.write(struct.pack("<HHII", tag, _LONG, 1, offset))


def _list_tags(tags: Tags) -> TiffImagePlugin.ImageFileDirectory_v2:
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    for name, value in tags.items():
        directory[name] = value
    return directory
