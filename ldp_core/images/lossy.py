"""JPEG (ITU-T T.81: 8 bit, baseline and progressive) and WebP (RFC 9649: 8 bit RGB, lossy or lossless).

Neither has checksums: altered pixels may pass. A JPEG that ends early does not: its segments are walked to
the end of the image, every coefficient must have arrived, and any warning of the decoder counts as damage.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO, Final

import imagecodecs
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from ldp_core.images import multi_picture
from ldp_core.images.codec import Codec, PictureHeader, drop_opaque, refuse_kind, report_damage, require_tail
from ldp_core.images.colour import MAX_PROFILE_BYTES, adobe_rgb
from ldp_core.images.traits import PictureTraits, read_exif

_READ_FRAMES: Final = {0xC0, 0xC1, 0xC2}
_FRAMES: Final = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE: Final = 0xC2
_STANDALONE: Final = {0x01, *range(0xD0, 0xD8)}
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_END_OF_SCAN: Final = re.compile(
    rb"\xff[^\x00\xff\xd0-\xd7]"
)  # neither a stuffed FF, a fill byte nor a restart
_EXIF_SEGMENT, _PROFILE_SEGMENT = 0xE1, 0xE2
_EXIF_MARK, _PROFILE_MARK = b"Exif\0\0", b"ICC_PROFILE\0"
_UNSENT: Final = 14  # above 13, the largest bit position that a scan can name (T.81, table B.3)
_UNUSUAL_SAMPLING: Final = "determine subsampling"  # as 4:1:0; only the decoder without warnings takes it
# A block of 8 x 8 pixels takes one bit at least; a fourth of that allows for every way of sampling.
_MOST_PIXELS_PER_BYTE: Final = 2048
_QUALITY: Final = 95  # 40 dB on a photograph; 90 gives 37 dB, 100 takes 2.3 times the bytes

_WEBP_HEADER_BYTES: Final = 30
_ANIMATED, _WITH_EXIF, _WITH_PROFILE = 0x02, 0x08, 0x20
_MAX_WEBP_CHUNKS: Final = 100  # half a dozen are usual
_LOSSY, _LOSSLESS, _EXTENDED = b"VP8 ", b"VP8L", b"VP8X"
_KEY_FRAME: Final = b"\x9d\x01\x2a"
_LOSSLESS_MARK: Final = 0x2F


def _read_jpeg_header(file: BinaryIO) -> PictureHeader:
    """The frame header. Previews and notes before it are stepped over, whatever their size.

    Raises:
        ImageFormatError: damaged, of a kind that is not read, or a file of several views.
    """
    exif, parts = b"", dict[int, bytes]()
    indexes: list[int] = []
    for marker, position in _walk_segments(file):
        if marker == multi_picture.SEGMENT:
            indexes.append(position)
        if marker in _FRAMES:
            header = _read_frame(file, marker, position)
            size = header.height, header.width, header.channels
            for index in indexes:
                multi_picture.refuse_views(file, index, size, _read_size)
            return replace(header, traits=_read_traits(exif, parts))
        if marker == _EXIF_SEGMENT and not exif:
            exif = _read_segment(file, position, mark=_EXIF_MARK)
        elif marker == _PROFILE_SEGMENT and (part := _read_segment(file, position, mark=_PROFILE_MARK)):
            parts[part[0]] = part[2:]  # its number from 1, and how many there are
    raise report_damage("a JPEG without a frame header")


def _read_segment(file: BinaryIO, position: int, *, mark: bytes) -> bytes:
    """What follows the mark in an application segment; empty where it begins with another."""
    file.seek(position - 2)
    length = int.from_bytes(file.read(2), "big") - 2
    if file.read(len(mark)) != mark:
        return b""
    return file.read(max(0, length - len(mark)))


def _read_traits(exif: bytes, parts: Mapping[int, bytes]) -> PictureTraits:
    notes, profile = read_exif(exif), b"".join(parts[number] for number in sorted(parts))
    if not profile and notes.adobe_rgb:
        profile = adobe_rgb()
    profile = profile[:MAX_PROFILE_BYTES]
    return PictureTraits(profile=profile, orientation=notes.orientation, shot=notes.shot)


def _read_size(file: BinaryIO, start: int) -> multi_picture.Size | None:
    """Height, width and channels of the JPEG that begins at a place of a file; None where none does."""
    for marker, position in _walk_segments(file, start + 2):
        if marker in _FRAMES:
            file.seek(position + 1)
            frame = file.read(5)
            return struct.unpack(">HHB", frame) if len(frame) == 5 else None
    return None


def _decode_jpeg(content: bytes) -> Any:
    """The pixels; strict, because libjpeg otherwise paints what is missing grey and only warns."""
    _check_scans(content)
    channels = _read_jpeg_header(io.BytesIO(content)).channels
    try:
        return simplejpeg.decode_jpeg(content, "GRAY" if channels == 1 else "RGB", strict=True)
    except ValueError as error:
        if _UNUSUAL_SAMPLING in str(error):
            return imagecodecs.jpeg8_decode(content)
        raise report_damage(f"a JPEG with faulty data ({error})") from error


def _check_scans(content: bytes) -> None:
    """Every coefficient of every component must have arrived by the end of the image.

    Raises:
        ImageFormatError: the file ends before its image, or the image before its last scan.
    """
    unsent: dict[int, NDArray[np.int8]] = {}
    progressive = False
    for marker, payload, end in walk_image(content):
        if marker in _FRAMES:
            progressive, unsent = marker == _PROGRESSIVE, _list_components(content, payload)
        elif marker == _START_OF_SCAN:
            _note_scan(unsent, content[payload:end], progressive=progressive)
    if not unsent or any(bits.any() for bits in unsent.values()):
        raise report_damage("a JPEG without all of its scans")


def walk_image(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of its payload, of the segments and scans up to the end of the image.

    A thumbnail lies inside a segment and is stepped over with it. The end of a scan is that of its data.

    Raises:
        ImageFormatError: the content ends before the image.
    """
    file, position, marker = io.BytesIO(content), 2, 0
    while marker != _END_OF_IMAGE:
        marker = 0
        for marker, payload in _walk_segments(file, position):
            if marker not in (_START_OF_SCAN, _END_OF_IMAGE):
                yield marker, payload, payload - 2 + int.from_bytes(content[payload - 2 : payload], "big")
        if marker == _START_OF_SCAN:
            end = _END_OF_SCAN.search(content, payload)
            marker, position = (marker, end.start()) if end else (0, 0)
        if marker not in (_START_OF_SCAN, _END_OF_IMAGE):
            raise report_damage("a JPEG that is cut short")
        if marker == _START_OF_SCAN:
            yield marker, payload, position


def _list_components(content: bytes, payload: int) -> dict[int, NDArray[np.int8]]:
    """For each component of a frame: of its 64 coefficients, the lowest bit that has come."""
    first = payload + 6
    components = content[first : first + 3 * content[payload + 5] : 3]
    return {component: np.full(64, _UNSENT, np.int8) for component in components}


def _note_scan(unsent: dict[int, NDArray[np.int8]], scan: bytes, *, progressive: bool) -> None:
    """Note the bits that a scan brings (T.81, B.2.3). A scan of a sequential frame brings all of them."""
    parameters = 1 + 2 * scan[0]
    start, end, bits = scan[parameters : parameters + 3]
    for component in scan[1:parameters:2]:
        if component in unsent and progressive:
            unsent[component][start : end + 1] = bits & 0x0F
        elif component in unsent:
            unsent[component][:] = 0


def _encode_jpeg(plane: NDArray[Any]) -> bytes:
    """Quality 95 without chroma subsampling, with loss."""
    subsampling = None if plane.ndim == 2 else "444"
    return bytes(imagecodecs.jpeg8_encode(plane, level=_QUALITY, subsampling=subsampling))


def _walk_segments(file: BinaryIO, position: int = 2) -> Iterator[tuple[int, int]]:
    """Marker and position of its payload, for the segments to the first scan or end of image, inclusive."""
    while True:
        file.seek(position)
        head = file.read(4)
        if len(head) < 2 or head[0] != 0xFF or head[1] == _START_OF_IMAGE:
            return
        marker = head[1]
        if marker == 0xFF or marker in _STANDALONE:
            position += 1 if marker == 0xFF else 2
            continue
        yield marker, position + 4
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        position += 2 + max(2, int.from_bytes(head[2:], "big"))


def _read_frame(file: BinaryIO, marker: int, position: int) -> PictureHeader:
    file.seek(position)
    precision, height, width, channels = struct.unpack(">BHHB", file.read(6))
    if not (height and width and channels):
        raise report_damage(f"a size of {width} x {height}, {channels} channels")
    if marker not in _READ_FRAMES:
        raise refuse_kind(f"JPEG of frame type 0x{marker:02X} (lossless or arithmetic)")
    if precision != 8:
        raise refuse_kind(f"{precision} bit JPEG")
    if channels not in (1, 3):
        raise refuse_kind(f"JPEG with {channels} channels (CMYK has 4)")
    return PictureHeader(
        height=height,
        width=width,
        channels=channels,
        bit_depth=precision,
        least_bytes=height * width // _MOST_PIXELS_PER_BYTE,
    )


def _read_webp_header(file: BinaryIO) -> PictureHeader:
    """The header, of any of the three kinds of WebP."""
    head = file.read(_WEBP_HEADER_BYTES)
    if head[8:12] != b"WEBP":
        raise refuse_kind(f"RIFF file of kind {head[8:12]!r}")
    if len(head) < _WEBP_HEADER_BYTES:
        raise report_damage("a WebP that is cut short")
    width, height = _read_webp_size(head)
    if not (width and height):
        raise report_damage(f"a size of {width} x {height}")
    traits = _read_webp_traits(file, head)
    return PictureHeader(height=height, width=width, channels=3, bit_depth=8, traits=traits)


def _read_webp_traits(file: BinaryIO, head: bytes) -> PictureTraits:
    """Of the chunks that the extended form announces: the profile, and EXIF behind the pixels."""
    if head[12:16] != _EXTENDED or not head[20] & (_WITH_PROFILE | _WITH_EXIF):
        return PictureTraits()
    told: dict[bytes, bytes] = {}
    position, end = 12, 8 + int.from_bytes(head[4:8], "little")
    for _ in range(_MAX_WEBP_CHUNKS):
        file.seek(position)
        start = file.read(8)
        if len(start) < 8 or position >= end:
            break
        name, length = start[:4], int.from_bytes(start[4:], "little")
        if name in (b"ICCP", b"EXIF"):
            told[name] = file.read(min(length, MAX_PROFILE_BYTES))
        position += 8 + length + length % 2
    return _read_traits(told.get(b"EXIF", b""), {0: told[b"ICCP"]} if b"ICCP" in told else {})


def _decode_webp(content: bytes) -> Any:
    if len(content) < 8 + int.from_bytes(content[4:8], "little"):
        raise report_damage("a WebP that is cut short")
    require_tail(_find_webp_data(content), kind="WebP")
    pixels = imagecodecs.webp_decode(content)
    return drop_opaque(pixels, opaque=255) if pixels.shape[-1] == 4 else pixels


def _find_webp_data(content: bytes) -> bytes:
    """The chunk of pixels; behind it there may be metadata."""
    position = 12
    while (name := content[position : position + 4]) not in (_LOSSY, _LOSSLESS):
        if len(name) < 4:
            raise report_damage("a WebP without pixels")
        size = int.from_bytes(content[position + 4 : position + 8], "little")
        position += 8 + size + size % 2
    size = int.from_bytes(content[position + 4 : position + 8], "little")
    return content[position + 8 : position + 8 + size]


def _read_webp_size(head: bytes) -> tuple[int, int]:
    kind, payload = head[12:16], head[20:]
    if kind == _LOSSY and payload[3:6] == _KEY_FRAME:
        return _bits(payload[6:8], 0), _bits(payload[8:10], 0)
    if kind == _LOSSLESS and payload[0] == _LOSSLESS_MARK:
        return _bits(payload[1:5], 0) + 1, _bits(payload[1:5], 14) + 1
    if kind == _EXTENDED:
        if payload[0] & _ANIMATED:
            raise refuse_kind("animated WebP", remedy="store one picture per file")
        return int.from_bytes(payload[4:7], "little") + 1, int.from_bytes(payload[7:10], "little") + 1
    raise report_damage(f"a WebP whose first chunk is {kind!r}")


def _bits(field: bytes, start: int) -> int:
    return int.from_bytes(field, "little") >> start & 0x3FFF


JPEG: Final = Codec((b"\xff\xd8\xff",), _read_jpeg_header, _decode_jpeg, _encode_jpeg)
WEBP: Final = Codec((b"RIFF",), _read_webp_header, _decode_webp)
