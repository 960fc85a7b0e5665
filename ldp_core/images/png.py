"""PNG (ISO/IEC 15948). Every chunk has a CRC, so altered bytes do not pass.

Converted exactly: palettes to the colours they stand for (one channel where all are grey), grey of 1, 2 and
4 bit to 8 bit, opaque alpha to none. Transparency and animation are refused.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, BinaryIO, Final

import imagecodecs
from numpy.typing import NDArray

from ldp_core.images.codec import Codec, PictureHeader, drop_opaque, refuse_kind, report_damage
from ldp_core.images.colour import MAX_PROFILE_BYTES, SRGB, from_cicp
from ldp_core.images.traits import PictureTraits, read_exif, to_ceiling

_MAGIC: Final = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 1, 6: 3}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MOST_DEFLATED = 1032  # bytes that one of deflate stands for: 258 of 2 bits
_GREY, _PALETTE, _WITH_ALPHA = 0, 3, (4, 6)
_BIT_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _PALETTE: (1, 2, 4, 8)}
_OTHER_CHUNKS = {b"tRNS": "PNG with a transparent colour", b"acTL": "animated PNG"}
_CHUNK_OVERHEAD_BYTES = 12
_COLOUR_AT = 25
_PALETTE_BYTES = 768
_MAX_PRELUDE_CHUNKS = 1000  # a dozen are usual; a file of endless empty chunks ends here
_TRAITS: Final = (b"sBIT", b"iCCP", b"cICP", b"eXIf")
_DEFLATE_LEVEL = 3  # level 6 takes 2 to 3 times as long for 0 to 8 % fewer bytes of a photograph


def _read_header(file: BinaryIO) -> PictureHeader:
    """The header: IHDR, and the chunks up to the first pixels, which may announce transparency."""
    file.seek(len(_MAGIC))
    length, name, ihdr = struct.unpack(">I4s13s", file.read(21))
    if (length, name) != (13, b"IHDR"):
        raise report_damage("a PNG that does not start with IHDR")
    header, told = _parse_ihdr(ihdr), dict[bytes, bytes]()
    for name, length, body in _walk_chunks(file):
        if name in _OTHER_CHUNKS:
            raise refuse_kind(_OTHER_CHUNKS[name])
        if name == b"PLTE" and ihdr[9] == _PALETTE and _is_grey(file, body, length):
            header = replace(header, channels=1)
        if name in _TRAITS:
            file.seek(body)
            told[name] = file.read(min(length, MAX_PROFILE_BYTES))
        if name == b"IDAT":
            return replace(header, traits=_read_traits(told, bits=ihdr[8])) if told else header
    raise report_damage("a PNG without pixels")


def _read_traits(told: Mapping[bytes, bytes], *, bits: int) -> PictureTraits:
    """Of the colours, cICP goes before iCCP (PNG, third edition, 4.3); gAMA and cHRM are not read."""
    if b"cICP" in told:
        profile = from_cicp(*told[b"cICP"][:2])
    else:
        profile = _inflate(told[b"iCCP"]) if b"iCCP" in told else SRGB
    significant = {2**count - 1 for count in told.get(b"sBIT", b"")} if bits == 16 else set()
    ceiling = to_ceiling(max(significant)) if significant else None
    notes = read_exif(told.get(b"eXIf", b""))
    return PictureTraits(None, ceiling, profile, notes.orientation, notes.shot)


def _inflate(iccp: bytes) -> bytes:
    """The profile in an iCCP chunk; where it cannot be unpacked, the chunk stands for it."""
    packed = iccp.partition(b"\0")[2][1:]
    try:
        return zlib.decompressobj().decompress(packed, MAX_PROFILE_BYTES) or iccp
    except zlib.error:
        return iccp


def _find_late_exif(content: bytes) -> bytes:
    """EXIF may stand behind the pixels, where reading a header does not come."""
    position = len(_MAGIC)
    while len(head := content[position : position + 8]) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"eXIf":
            return content[position + 8 : position + 8 + length]
        position += length + _CHUNK_OVERHEAD_BYTES
    return b""


def _decode(content: bytes) -> Any:
    _check_chunks(content)
    colour, header = content[_COLOUR_AT], _read_header(io.BytesIO(content))
    pixels = imagecodecs.png_decode(content)
    if colour in _WITH_ALPHA:
        return drop_opaque(pixels, opaque=2**header.bit_depth - 1)
    return pixels[..., 0] if colour == _PALETTE and header.channels == 1 else pixels


def _encode(plane: NDArray[Any]) -> bytes:
    return bytes(imagecodecs.png_encode(plane, level=_DEFLATE_LEVEL))


def _parse_ihdr(ihdr: bytes) -> PictureHeader:
    width, height, bit_depth, colour = struct.unpack(">IIBB", ihdr[:10])
    if colour not in _CHANNELS:
        raise report_damage(f"PNG colour type {colour}")
    if bit_depth not in _BIT_DEPTHS.get(colour, (8, 16)):
        raise report_damage(f"{bit_depth} bit PNG of colour type {colour}")
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise report_damage(f"a size of {width} x {height}")
    samples = width * height * _SAMPLES[colour]
    return PictureHeader(
        height=height,
        width=width,
        channels=_CHANNELS[colour],
        bit_depth=max(8, bit_depth),
        least_bytes=samples * bit_depth // 8 // _MOST_DEFLATED,
    )


def _is_grey(file: BinaryIO, body: int, length: int) -> bool:
    file.seek(body)
    palette = file.read(min(length, _PALETTE_BYTES))
    return palette[0::3] == palette[1::3] == palette[2::3]


def _walk_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, payload length and position of the payload of the chunks after IHDR."""
    position = len(_MAGIC) + 13 + _CHUNK_OVERHEAD_BYTES
    for _ in range(_MAX_PRELUDE_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        yield name, length, position + 8
        position += length + _CHUNK_OVERHEAD_BYTES
    raise report_damage(f"more than {_MAX_PRELUDE_CHUNKS} chunks before the pixels")


def _check_chunks(content: bytes) -> None:
    """Every chunk is whole and its CRC right, up to the last.

    The decoder would notice most of this itself, but each of its failures takes a reference to None it does
    not own (imagecodecs 2026.3.6), which in time ends a Python 3.11 process.
    """
    position = len(_MAGIC)
    while len(head := content[position : position + 8]) == 8:
        length, name = struct.unpack(">I4s", head)
        body_end = position + 8 + length
        if zlib.crc32(memoryview(content)[position + 4 : body_end]) != int.from_bytes(
            content[body_end : body_end + 4], "big"
        ):
            raise report_damage(f"a PNG whose {name!r} chunk at byte {position} is altered or cut short")
        if name == b"IEND":
            return
        position = body_end + 4
    raise report_damage("a PNG that is cut short")


PNG: Final = Codec((_MAGIC,), _read_header, _decode, _encode, _find_late_exif)
