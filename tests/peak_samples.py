"""Pictures whose files say something of their values: full scale, colour profile, orientation."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ldp_core.images import encode_image, to_peak_scale
from ldp_core.types import Pixels

_D50 = (0.9642, 1.0, 0.8249)
COLORANTS = {
    "sRGB": ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
    "P3": ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
}


def png_with(pixels: Pixels, **chunks: bytes) -> bytes:
    """A PNG with further chunks behind its header, by name."""
    content, cut = encode_image(pixels), 33
    more = b"".join(
        struct.pack(">I", len(body))
        + name.encode()
        + body
        + struct.pack(">I", zlib.crc32(name.encode() + body))
        for name, body in chunks.items()
    )
    return content[:cut] + more + content[cut:]


def sbit(pixels: Pixels, bits: int) -> bytes:
    return png_with(pixels, sBIT=bytes([bits]) * pixels.shape[2])


def pgm(pixels: Pixels, peak: int) -> bytes:
    kind = {1: b"P5", 3: b"P6"}[pixels.shape[2]]
    return b"%s %d %d %d\n" % (kind, pixels.shape[1], pixels.shape[0], peak) + pixels.astype(">u2").tobytes()


def tiff_with(pixels: Pixels, *tags: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    kind = "rgb" if pixels.shape[2] == 3 else "minisblack"
    tifffile.imwrite(file, pixels.squeeze(), photometric=kind, extratags=list(tags), metadata=None, **options)
    return file.getvalue()


def exif(orientation: int) -> bytes:
    found = Image.Exif()
    found[274] = orientation
    return found.tobytes().removeprefix(b"Exif\0\0")


def icc(
    colorants: str = "sRGB", *, gamma: float | None = None, name: str = "a profile", grey: bool = False
) -> bytes:
    """A profile of version 2 by matrix and curve; ``gamma`` None: the curve of sRGB, in 1024 steps."""
    tags: list[tuple[bytes, bytes]] = [(b"desc", _description(name)), (b"wtpt", _xyz(_D50))]
    if grey:
        tags += [(b"kTRC", _curve(gamma))]
    else:
        tags += [(b"%cXYZ" % c, _xyz(v)) for c, v in zip(b"rgb", COLORANTS[colorants], strict=True)]
        tags += [(b"%cTRC" % c, _curve(gamma)) for c in b"rgb"]
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for tag, body in tags:
        table += tag + struct.pack(">II", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    head = struct.pack(
        ">IIi4s4s4s", start + len(data), 0, 0x02400000, b"mntr", b"GRAY" if grey else b"RGB ", b"XYZ "
    )
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _numbers(_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def iccp(profile: bytes) -> bytes:
    """The body of a chunk iCCP."""
    return b"profile\0\0" + zlib.compress(profile)


def jpeg_with(pixels: Pixels, *, profile: bytes = b"", orientation: int = 1, part_bytes: int = 0) -> bytes:
    """A JPEG; ``part_bytes``: the profile in several parts of so many bytes."""
    file = io.BytesIO()
    options: dict[str, Any] = {"exif": b"Exif\0\0" + exif(orientation)} if orientation != 1 else {}
    Image.fromarray(pixels.squeeze()).save(file, "jpeg", quality=95, **options)
    content = file.getvalue()
    size = part_bytes or max(1, len(profile))
    parts = [profile[start : start + size] for start in range(0, len(profile), size)]
    segments = b"".join(
        b"\xff\xe2" + struct.pack(">H", 16 + len(part)) + b"ICC_PROFILE\0" + bytes([n, len(parts)]) + part
        for n, part in enumerate(parts, start=1)
    )
    return content[:2] + segments + content[2:]


def webp_with(pixels: Pixels, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "webp", lossless=True, **options)
    return file.getvalue()


def on_scale(pixels: Pixels, peak: int) -> Any:
    """Values of full range on the scale of a peak, as a sensor of fewer bits gives them."""
    return to_peak_scale(pixels, peak)


def _numbers(values: Any) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(values: Any) -> bytes:
    return b"XYZ \0\0\0\0" + _numbers(values)


def _description(name: str) -> bytes:
    text = name.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)


def _curve(gamma: float | None) -> bytes:
    if gamma is not None:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    encoded: NDArray[np.float64] = np.linspace(0, 1, 1024)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + np.rint(linear * 65535).astype(">u2").tobytes()
