"""BMP (uncompressed: palette or 24 bit) and binary PPM and PGM (Netpbm: 8 or 16 bit). They are only read.

None has checksums: altered pixels may pass. Palettes of BMP become their colours, or grey where all are.
"""

from __future__ import annotations

import io
import re
import struct
from typing import Any, BinaryIO, Final

import imageio.v3
import numpy as np
from numpy.typing import NDArray

from ldp_core.images.codec import Codec, PictureHeader, refuse_kind, report_damage
from ldp_core.images.traits import PictureTraits

_BMP_HEADER_BYTES: Final = 54
_INFO_HEADER_BYTES: Final = 40  # the shortest since Windows 3; that of OS/2 has 12
_PALETTE_BITS: Final = (1, 4, 8)
_COLOUR_BYTES: Final = 4  # blue, green, red, unused

_NETPBM_HEADER_BYTES: Final = 4096  # a real header has about 15 bytes, and a line or two of comments
_GAP: Final = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NETPBM: Final = re.compile(rb"P([56])" + (_GAP + rb"(\d{1,9})") * 3 + rb"\s")
_KINDS: Final = {"5": 1, "6": 3}
_FULL_SCALES: Final = (255, 65535)


def _read_bmp_header(file: BinaryIO) -> PictureHeader:
    head = file.read(_BMP_HEADER_BYTES)
    if len(head) < _BMP_HEADER_BYTES:
        raise report_damage("a BMP that is cut short")
    info_bytes, width, height, _planes, bits, compression = struct.unpack_from("<IiiHHI", head, 14)
    if info_bytes < _INFO_HEADER_BYTES:
        raise refuse_kind("BMP of OS/2")
    if compression or bits not in (*_PALETTE_BITS, 24):
        raise refuse_kind(f"BMP of {bits} bit, compression {compression}", remedy="convert it to PNG")
    if width <= 0 or height == 0:
        raise report_damage(f"a size of {width} x {height}")
    grey = bits in _PALETTE_BITS and _is_grey(file, 14 + info_bytes, head, bits)
    return PictureHeader(height=abs(height), width=width, channels=1 if grey else 3, bit_depth=8)


def _require_colours(indices: NDArray[np.uint8], *, named: int) -> None:
    """The decoder paints pixels whose colour the palette lacks black."""
    if 0 < named <= indices.max():
        raise report_damage(f"colour {indices.max()} in a BMP of {named} colours")


def _count_colours(head: bytes) -> int:
    """As the header says; 0 stands for all that the bits can tell apart."""
    return int(struct.unpack_from("<I", head, 46)[0])


def _is_grey(file: BinaryIO, position: int, head: bytes, bits: int) -> bool:
    count = min(_count_colours(head) or 2**bits, 2**bits)
    file.seek(position)
    palette = file.read(count * _COLOUR_BYTES)
    if len(palette) < count * _COLOUR_BYTES:
        raise report_damage("a BMP that is cut short")
    blue, green, red = (palette[n::_COLOUR_BYTES] for n in range(3))
    return blue == green == red


def _decode_bmp(content: bytes) -> Any:
    header = _read_bmp_header(io.BytesIO(content))
    (start,), (bits,) = struct.unpack_from("<I", content, 10), struct.unpack_from("<H", content, 28)
    row_bytes = (header.width * bits + 31) // 32 * 4
    if len(content) < start + row_bytes * header.height:
        raise report_damage("a BMP that is cut short")
    if bits in _PALETTE_BITS:
        rows = np.frombuffer(content, np.uint8, row_bytes * header.height, start).reshape(header.height, -1)
        places = [rows >> shift & (2**bits - 1) for shift in range(8 - bits, -1, -bits)]
        indices = np.stack(places, axis=-1).reshape(header.height, -1)[:, : header.width]
        _require_colours(indices, named=_count_colours(content))
    pixels = imageio.v3.imread(content, extension=".bmp", plugin="pillow", mode="RGB")
    return pixels[..., 0] if header.channels == 1 else pixels


def _read_netpbm_header(file: BinaryIO) -> PictureHeader:
    return _parse_netpbm(file.read(_NETPBM_HEADER_BYTES))[0]


def _parse_netpbm(start: bytes) -> tuple[PictureHeader, int]:
    """The header, and where the pixels begin."""
    if start[1:2] not in (b"5", b"6"):
        raise refuse_kind(f"Netpbm of kind {start[:2].decode('latin-1')}", remedy="convert it to PNG")
    match = _NETPBM.match(start)
    if match is None:
        raise report_damage("a PPM or PGM without a whole header")
    width, height, peak = (int(field) for field in match.groups()[1:])
    if not (width and height):
        raise report_damage(f"a size of {width} x {height}")
    if not 0 < peak <= _FULL_SCALES[1]:
        raise report_damage(f"a PPM or PGM whose largest value is {peak}")
    header = PictureHeader(
        height=height,
        width=width,
        channels=_KINDS[match[1].decode()],
        bit_depth=8 if peak <= _FULL_SCALES[0] else 16,
        traits=PictureTraits(peak=None if peak in _FULL_SCALES else peak),
    )
    return header, match.end()


def _decode_netpbm(content: bytes) -> Any:
    """Taken from the bytes, values as they are: Pillow, and so imageio, cut PPM of 16 bit to 8."""
    header, start = _parse_netpbm(content[:_NETPBM_HEADER_BYTES])
    shape = header.height, header.width, header.channels
    end = start + int(np.prod(shape, dtype=np.int64)) * header.bit_depth // 8
    if len(content) < end:
        raise report_damage("a PPM or PGM that is cut short")
    if content[end:].strip():
        raise refuse_kind("several pictures in one PPM or PGM", remedy="store one picture per file")
    return np.frombuffer(content[start:end], "u1" if header.bit_depth == 8 else ">u2").reshape(shape)


BMP: Final = Codec((b"BM",), _read_bmp_header, _decode_bmp)
NETPBM: Final = Codec(
    tuple(f"P{kind}{gap}".encode() for kind in range(1, 8) for gap in "\n\r\t #"),
    _read_netpbm_header,
    _decode_netpbm,
)
