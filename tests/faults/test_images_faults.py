"""Damaged pictures: a typed error or right pixels, never a foreign exception, never a black image."""

from __future__ import annotations

import io
import struct
import sys
import time
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile

from ldp_core import storage
from ldp_core.errors import ImageError, ImageFormatError, ImageTooLargeError, StorageError
from ldp_core.images import decode_image, encode_image, probe_image, read_image
from ldp_core.types import Pixels

RNG_SEED = 7


def picture(channels: int, bit_depth: int) -> Pixels:
    y, x = np.mgrid[:40, :56]
    wave = (0.5 + 0.4 * np.sin(x / 5) * np.cos(y / 7))[..., None] * (2**bit_depth - 1)
    return np.repeat(wave, channels, axis=2).astype(np.uint8 if bit_depth == 8 else np.uint16)


def plain_tiff(pixels: Pixels, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", metadata=None, **options)
    return file.getvalue()


SOUND = {
    "png 8": encode_image(picture(3, 8)),
    "png 16": encode_image(picture(1, 16)),
    "tiff deflate": encode_image(picture(3, 16), "tiff"),
    "tiff plain": plain_tiff(picture(3, 8)),
    "tiff strips lzw": plain_tiff(picture(3, 8), rowsperstrip=7, compression="lzw"),
    "tiff tiles": plain_tiff(picture(3, 8), tile=(16, 16), compression="zlib"),
    "jpeg": encode_image(picture(3, 8), "jpeg"),
}


def attempt(content: bytes, url: str) -> Pixels | None:
    """The pixels, or None after one of our errors; anything else fails the test."""
    storage.write_bytes(url, content)
    with suppress(ImageError):
        probe_image(url)
    try:
        pixels = read_image(url)
    except ImageError as error:
        faults = [name for name in ("where", "got") if not getattr(error, name)]
        return pytest.fail(f"{error} does not say {faults}") if faults else None
    assert pixels.ndim == 3
    assert pixels.dtype in (np.uint8, np.uint16)
    return pixels


@pytest.mark.parametrize("name", SOUND)
def test_truncation_is_always_noticed(name: str) -> None:
    content = SOUND[name]
    lengths = {*range(200), *range(200, len(content), 29), *range(len(content) - 20, len(content))}
    for length in sorted(lengths):
        assert attempt(content[:length], "memory://faults/cut") is None, length


@pytest.mark.parametrize("name", SOUND)
def test_flipped_bits_never_leak_a_foreign_exception(name: str) -> None:
    content, rng = SOUND[name], np.random.default_rng(RNG_SEED)
    head = min(len(content), 400)
    places = [*range(head), *rng.integers(0, len(content), 200)]
    started = time.monotonic()
    for place in places:
        altered = bytearray(content)
        altered[place] ^= 1 << int(rng.integers(8))
        pixels = attempt(bytes(altered), "memory://faults/flipped")
        if name.startswith("png") and pixels is not None:
            np.testing.assert_array_equal(pixels, decode_image(content))
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("name", SOUND)
def test_overwritten_blocks_never_leak_a_foreign_exception(name: str) -> None:
    content, rng = SOUND[name], np.random.default_rng(RNG_SEED)
    for _ in range(150):
        altered = bytearray(content)
        start, length = int(rng.integers(len(content))), int(rng.integers(1, 64))
        filler = rng.choice([rng.bytes(length), b"\xff" * length, b"\0" * length])
        altered[start : start + length] = bytes(filler)
        attempt(bytes(altered), "memory://faults/overwritten")


def png_bomb(side: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    ihdr = struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0)
    body = zlib.compress(bytes(1_000_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def tiff_bomb(side: int) -> bytes:
    content = bytearray(plain_tiff(picture(3, 8), compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        places = [
            tiff.pages[0].tags[name].valueoffset for name in ("ImageWidth", "ImageLength", "RowsPerStrip")
        ]
    for place in places:
        content[place : place + 4] = struct.pack("<I", side)
    return bytes(content)


def jpeg_bomb(side: int) -> bytes:
    content = bytearray(SOUND["jpeg"])
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return bytes(content)


@pytest.mark.parametrize(
    "bomb", [png_bomb(60_000), jpeg_bomb(60_000), tiff_bomb(60_000)], ids=["png", "jpeg", "tiff"]
)
def test_a_decompression_bomb_takes_no_memory(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLargeError, match="60000"):
            decode_image(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_jpeg_too_short_for_its_size_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ImageFormatError, match="announces"):
            decode_image(jpeg_bomb(15_000))
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_a_bomb_within_the_limits_of_a_header_that_lies_small() -> None:
    """A deflate strip that unpacks to far more than its picture is refused or cut, not unpacked."""
    strip = zlib.compress(bytes(50_000_000), 9)
    tags = {256: 8, 257: 8, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: 8, 279: len(strip)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"
    content = b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory
    del strip
    tracemalloc.start()
    try:
        with pytest.raises(ImageFormatError):
            decode_image(content)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_sparse_strips_are_not_read_as_black() -> None:
    content = bytearray(SOUND["tiff strips lzw"])
    with tifffile.TiffFile(io.BytesIO(content)) as tiff:
        counts = tiff.pages[0].tags["StripByteCounts"]
        size = counts.valuebytecount // counts.count
        content[counts.valueoffset + size : counts.valueoffset + 2 * size] = bytes(size)
    with pytest.raises(ImageFormatError, match="cut short"):
        decode_image(bytes(content))


def test_a_folder_is_not_a_picture(tmp_path: Path) -> None:
    for attempt_on in (probe_image, read_image):
        with pytest.raises((StorageError, ImageError)):
            attempt_on(str(tmp_path))


def test_damaged_pngs_cost_the_process_nothing() -> None:
    """The PNG decoder loses a reference to None at each failure; damage must not reach it."""
    content = SOUND["png 8"]
    altered = content[:60] + bytes([content[60] ^ 1]) + content[61:]
    before = sys.getrefcount(None)
    for damaged in [altered, content[:-40]] * 200:
        with suppress(ImageFormatError):
            decode_image(damaged)
    assert sys.getrefcount(None) > before - 100
