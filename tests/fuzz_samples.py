"""Sound files of every format in several kinds, and changes to their bytes, drawn from a number."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import imagecodecs
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
from numpy.typing import NDArray
from picture_samples import DNG_BLACK, DNG_WHITE, dng_bytes, exr_bytes, npy_bytes, pil_bytes
from PIL import Image

_ROWS, _COLUMNS = 24, 32
_EXTREMES: Final = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1)
_MOST_CHANGES: Final = 3


def _picture(bits: int, channels: int) -> NDArray[Any]:
    y, x = np.mgrid[:_ROWS, :_COLUMNS]
    planes = [0.5 + 0.45 * np.sin(x / (5 + c)) * np.cos(y / 7) for c in range(channels)]
    noise = np.random.default_rng(bits + channels).normal(0, 0.01, (_ROWS, _COLUMNS, channels))
    scaled = np.clip(np.stack(planes, -1) + noise, 0, 1) * (2**bits - 1)
    return np.rint(scaled).astype(np.uint8 if bits <= 8 else np.uint16)


GREY, RGB, DEEP_GREY, DEEP = _picture(8, 1), _picture(8, 3), _picture(16, 1), _picture(16, 3)
_REAL: Final = (DEEP / 65535).astype(np.float32)
_PALETTE: Final = Image.fromarray(RGB).quantize(16)
_OPAQUE: Final = np.dstack([RGB, np.full_like(GREY, 255)])


def _tiff(pixels: NDArray[Any], **options: Any) -> bytes:
    file = io.BytesIO()
    photometric = "rgb" if pixels.shape[-1] == 3 else "minisblack"
    planes = (
        np.ascontiguousarray(np.moveaxis(pixels, -1, 0)) if "planarconfig" in options else pixels.squeeze()
    )
    tifffile.imwrite(file, planes, photometric=photometric, metadata=None, **options)
    return file.getvalue()


def _tiff_pyramid() -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(RGB[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
        writer.write(RGB, photometric="rgb", metadata=None)
    return file.getvalue()


def _png() -> list[bytes]:
    options = [(RGB, {}), (GREY, {}), (_PALETTE, {}), (GREY[..., 0] > 127, {}), (_OPAQUE, {})]
    deep = [bytes(imagecodecs.png_encode(pixels.squeeze())) for pixels in (DEEP, DEEP_GREY)]
    return [pil_bytes(pixels, "PNG", **kinds) for pixels, kinds in options] + deep


def _tiffs() -> list[bytes]:
    kinds: list[tuple[NDArray[Any], dict[str, Any]]] = [
        (RGB, {}),
        (DEEP, {"compression": "zlib", "predictor": True}),
        (GREY, {"compression": "lzw", "rowsperstrip": 7}),
        (DEEP_GREY, {"byteorder": ">"}),
        (RGB, {"tile": (16, 16), "compression": "lzw"}),
        (RGB, {"planarconfig": "separate"}),
        (GREY, {"compression": "packbits"}),
        (GREY, {"compression": "jpeg"}),
        (_REAL, {"compression": "zlib", "predictor": 3}),
        (RGB, {"bigtiff": True}),
    ]
    return [*(_tiff(pixels, **options) for pixels, options in kinds), _tiff_pyramid()]


def _jpegs() -> list[bytes]:
    options: list[dict[str, Any]] = [
        {},
        {"subsampling": 0},
        {"progressive": True},
        {"restart_marker_blocks": 2},
    ]
    plain = [pil_bytes(RGB, "JPEG", quality=90, **each) for each in options]
    two = io.BytesIO()
    small = Image.fromarray(RGB[::2, ::2])
    Image.fromarray(RGB).save(two, "MPO", save_all=True, append_images=[small])
    return [*plain, pil_bytes(GREY, "JPEG", quality=90), two.getvalue()]


def _webps() -> list[bytes]:
    return [
        pil_bytes(RGB, "WEBP", lossless=True),
        pil_bytes(RGB, "WEBP"),
        pil_bytes(_OPAQUE, "WEBP", exif=b"Exif\0\0"),
    ]


def _bmps() -> list[bytes]:
    return [pil_bytes(RGB, "BMP"), pil_bytes(GREY, "BMP"), pil_bytes(_PALETTE, "BMP")]


def _netpbms() -> list[bytes]:
    deep = b"P6 # deep\n32 24\n65535\n" + DEEP.astype(">u2").tobytes()
    grey = b"P5 32 24 65535\n" + DEEP_GREY.astype(">u2").tobytes()
    return [pil_bytes(RGB, "PPM"), pil_bytes(GREY, "PPM"), deep, grey]


def _npys() -> list[bytes]:
    return [
        npy_bytes(each)
        for each in (RGB, GREY[..., 0], DEEP, np.asfortranarray(DEEP), _REAL, DEEP.astype(">u2"))
    ]


def _exrs() -> list[bytes]:
    planes = {name: np.ascontiguousarray(_REAL[..., n]) for n, name in enumerate("RGB")}
    half = {name: plane.astype(np.float16) for name, plane in planes.items()}
    kinds = [(planes, "NO"), (planes, "ZIP"), (half, "PIZ"), ({"Y": planes["G"]}, "RLE"), (half, "ZIPS")]
    return [exr_bytes(each, compression=f"{name}_COMPRESSION") for each, name in kinds]


def _dngs() -> list[bytes]:
    mosaic = (DNG_BLACK + DEEP_GREY[..., 0] // 5).clip(DNG_BLACK, DNG_WHITE).astype(np.uint16)
    linear = (DNG_BLACK + DEEP // 5).clip(DNG_BLACK, DNG_WHITE).astype(np.uint16)
    lossless = {"compression": 7, "compressionargs": {"lossless": True, "bitspersample": 16}}
    return [dng_bytes(mosaic), dng_bytes(linear, neutral=None), dng_bytes(mosaic, tile=(16, 16), **lossless)]


def _jpeg2000s() -> list[bytes]:
    twelve = bytes(imagecodecs.jpeg2k_encode(DEEP >> 4, level=0, bitspersample=12, reversible=True))
    return [
        pil_bytes(RGB, "JPEG2000"),
        pil_bytes(GREY, "JPEG2000", tile_size=(16, 16)),
        pil_bytes(RGB, "JPEG2000", no_jp2=True),
        pil_bytes(RGB, "JPEG2000", irreversible=True, quality_layers=[20]),
        bytes(imagecodecs.jpeg2k_encode(DEEP, level=0, codecformat="jp2", reversible=True)),
        twelve,
    ]


def _jpegxls() -> list[bytes]:
    deep = bytes(imagecodecs.jpegxl_encode(DEEP, lossless=True))
    kinds: list[tuple[NDArray[Any], dict[str, Any]]] = [
        (RGB, {"lossless": True}),
        (RGB, {"distance": 1.0}),
        (GREY[..., 0], {"lossless": True, "usecontainer": True}),
        (_REAL, {"lossless": True}),
    ]
    return [deep, *(bytes(imagecodecs.jpegxl_encode(pixels, **options)) for pixels, options in kinds)]


def _avifs() -> list[bytes]:
    ten = bytes(imagecodecs.avif_encode(DEEP >> 6, level=100, bitspersample=10, speed=10))
    return [
        ten,
        pil_bytes(RGB, "AVIF", quality=90, speed=10),
        pil_bytes(GREY, "AVIF", quality=90, speed=10),
        pil_bytes(_OPAQUE, "AVIF", quality=80, speed=10),
    ]


_ROW_TEXTS: Final = [
    ("a/1.png", "b/1.png", "one"),
    ("a/2.png", "b/2.png", "zwei, \u00e4"),
    ("a/3.png", "b/3.png", ""),
]


def _csvs() -> list[bytes]:
    rows = "".join(f'{left},{right},"{name}"\r\n' for left, right, name in _ROW_TEXTS)
    return [("left,right,id\r\n" + rows).encode(), ("\ufeffleft,right,id\n" + rows + ",,\n").encode()]


def _jsonls() -> list[bytes]:
    line = '{{"left": "{}", "right": "{}", "id": "{}"}}\n'
    return ["".join(line.format(*row) for row in _ROW_TEXTS).encode()]


def _parquets() -> list[bytes]:
    columns = dict(zip(("left", "right", "id"), map(list, zip(*_ROW_TEXTS, strict=True)), strict=True))
    written = []
    for compression in ("none", "zstd"):
        file = io.BytesIO()
        pq.write_table(pa.table(columns), file, compression=compression)
        written.append(file.getvalue())
    return written


_WRITERS: Final[dict[str, Callable[[], list[bytes]]]] = {
    "png": _png,
    "tiff": _tiffs,
    "jpeg": _jpegs,
    "webp": _webps,
    "bmp": _bmps,
    "netpbm": _netpbms,
    "npy": _npys,
    "exr": _exrs,
    "dng": _dngs,
    "jpeg 2000": _jpeg2000s,
    "jpeg xl": _jpegxls,
    "avif": _avifs,
    "csv": _csvs,
    "jsonl": _jsonls,
    "parquet": _parquets,
}
PICTURES: Final = tuple(name for name in _WRITERS if name not in ("csv", "jsonl", "parquet"))
TABLES: Final = ("csv", "jsonl", "parquet")


@cache
def sound_files(format_name: str) -> tuple[bytes, ...]:
    return tuple(_WRITERS[format_name]())


def changed_file(format_name: str, number: int) -> tuple[bytes, bytes]:
    """A sound file and what becomes of it: one to three changes, the same for the same number."""
    rng = np.random.default_rng([zlib.crc32(format_name.encode()), number])
    files = sound_files(format_name)
    sound = files[int(rng.integers(len(files)))]
    content = sound
    for _ in range(int(rng.integers(1, _MOST_CHANGES + 1))):
        change = _CHANGES[int(rng.integers(len(_CHANGES)))]
        content = change(content, rng, files[int(rng.integers(len(files)))])
    # With right checksums the change reaches what lies behind them.
    return sound, _mend_png(content) if format_name == "png" and rng.random() < 0.7 else content


def _place(content: bytes, rng: np.random.Generator) -> int:
    """Headers are short and decide most: half of the changes are there."""
    reach = min(len(content), 300) if rng.random() < 0.5 else len(content)
    return int(rng.integers(max(1, reach)))


def _flip(content: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    altered = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if altered:
            altered[_place(content, rng)] ^= 1 << int(rng.integers(8))
    return bytes(altered)


def _overwrite(content: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    start, length = _place(content, rng), int(rng.integers(1, 40))
    filler = (rng.bytes(length), bytes(length), b"\xff" * length)[int(rng.integers(3))]
    return content[:start] + filler + content[start + length :]


def _set_number(content: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    start, length = _place(content, rng), int(rng.choice([1, 2, 4]))
    value = int(rng.choice(_EXTREMES)) % 256**length
    packed = value.to_bytes(length, "little" if rng.random() < 0.5 else "big")
    return content[:start] + packed + content[start + length :]


def _cut(content: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def _zero_tail(content: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    keep = int(rng.integers(len(content) + 1))
    return content[:keep] + bytes(len(content) - keep)


def _remove(content: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    start = _place(content, rng)
    return content[:start] + content[start + int(rng.integers(1, 60)) :]


def _repeat(content: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    start, length = _place(content, rng), int(rng.integers(1, 60))
    return content[: start + length] + content[start:]


def _splice(content: bytes, rng: np.random.Generator, other: bytes) -> bytes:
    """The start of one file, the rest of another."""
    place = _place(content, rng)
    return content[:place] + other[place:]


_CHANGES: Final = (_flip, _overwrite, _set_number, _set_number, _cut, _zero_tail, _remove, _repeat, _splice)


def _mend_png(content: bytes) -> bytes:
    """The same chunks with right checksums, as far as chunks can be told."""
    mended, position = content[:8], 8
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        body = content[position + 4 : position + 8 + length]
        if len(body) < 4 + length:
            break
        mended += struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body))
        position += 12 + length
    return mended + content[position:]
