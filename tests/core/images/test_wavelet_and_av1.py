"""JPEG 2000, JPEG XL and AVIF: exact where nothing was lost, headers without pixels, damage noticed."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from picture_samples import pil_bytes
from PIL import Image

from ldp_core.errors import ImageFormatError, ImageTooLargeError
from ldp_core.images import ImageLimits, av1, avif, decode_image, jpegxl, probe_image
from ldp_core.images.codec import fill_range, quantise

Write = Callable[[NDArray[Any], int], bytes]


def picture(bits: int, channels: int, *, size: tuple[int, int] = (45, 70)) -> NDArray[Any]:
    y, x = np.mgrid[: size[0], : size[1]]
    planes = [0.5 + 0.5 * np.sin(x / (9 + c)) * np.cos(y / 13) for c in range(channels)]
    scaled = np.rint(np.stack(planes, -1) * (2**bits - 1))
    scaled[0, -1], scaled[0, 0] = 2**bits - 1, 0
    return scaled.astype(np.uint8 if bits <= 8 else np.uint16)


def flat(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def jp2(pixels: NDArray[Any], bits: int, *, kind: str = "jp2") -> bytes:
    options = {"codecformat": kind, "bitspersample": bits, "reversible": True}
    return bytes(imagecodecs.jpeg2k_encode(flat(pixels), level=0, **options))


def j2k(pixels: NDArray[Any], bits: int) -> bytes:
    return jp2(pixels, bits, kind="j2k")


def jxl(pixels: NDArray[Any], bits: int, *, container: bool = False) -> bytes:
    options = {"lossless": True, "bitspersample": bits, "usecontainer": container}
    return bytes(imagecodecs.jpegxl_encode(flat(pixels), **options))


def boxed_jxl(pixels: NDArray[Any], bits: int) -> bytes:
    return jxl(pixels, bits, container=True)


def avif_bytes(pixels: NDArray[Any], bits: int) -> bytes:
    return bytes(imagecodecs.avif_encode(flat(pixels), level=100, bitspersample=bits, speed=8))


WRITERS: dict[str, tuple[Write, tuple[int, ...]]] = {
    "jp2": (jp2, (8, 10, 12, 14, 16)),
    "j2k": (j2k, (8, 12, 16)),
    "jxl": (jxl, (8, 10, 12, 14, 16)),
    "jxl in boxes": (boxed_jxl, (8, 12, 16)),
    "avif": (avif_bytes, (8, 10, 12)),
}
KINDS = [(name, bits) for name, (_, depths) in WRITERS.items() for bits in depths]


@pytest.mark.parametrize(("name", "bits"), KINDS)
@pytest.mark.parametrize("channels", [1, 3])
class TestEveryDepth:
    def test_every_value_comes_back_over_the_full_range(self, name: str, bits: int, channels: int) -> None:
        pixels = picture(bits, channels)
        found = decode_image(WRITERS[name][0](pixels, bits))
        assert found.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert (found.min(), found.max()) == (0, np.iinfo(found.dtype).max)
        top = np.iinfo(found.dtype).max
        np.testing.assert_array_equal(found, np.rint(pixels * (top / (2**bits - 1))))

    def test_a_probe_tells_it_and_limits_hold(
        self, name: str, bits: int, channels: int, tmp_path: Path
    ) -> None:
        content = WRITERS[name][0](picture(bits, channels), bits)
        (tmp_path / "a").write_bytes(content)
        ref = probe_image(str(tmp_path / "a"))
        assert (ref.height, ref.width, ref.channels) == (45, 70, channels)
        assert ref.bit_depth == (8 if bits == 8 else 16)
        with pytest.raises(ImageTooLargeError, match="70 x 45"):
            decode_image(content, limits=ImageLimits(max_pixels=45 * 70 - 1))


@pytest.mark.parametrize("name", WRITERS)
def test_opaque_alpha_is_dropped_and_any_other_refused(name: str) -> None:
    def write(pixels: NDArray[Any]) -> bytes:
        return pil_bytes(pixels, "JPEG2000") if name == "jp2" else WRITERS[name][0](pixels, 8)

    for channels in (1, 3):
        pixels = picture(8, channels)
        opaque = np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], -1)
        if name == "j2k":  # names no alpha: its last component may be anything
            with pytest.raises(ImageFormatError, match=f"{channels + 1} components"):
                decode_image(write(opaque))
            continue
        np.testing.assert_array_equal(decode_image(write(opaque)), pixels)
        with pytest.raises(ImageFormatError, match="alpha"):
            decode_image(write(np.concatenate([pixels, pixels[..., :1]], -1)))


class TestSizes:
    @pytest.mark.parametrize(
        "size",
        [(1, 1), (8, 8), (16, 8), (256, 256), (100, 120), (90, 160), (3, 700), (600, 2), (64, 80), (513, 1)],
    )
    def test_jpeg_xl_sizes_are_read_in_every_coding(self, size: tuple[int, int]) -> None:
        header = jpegxl.read_stream_header(io.BytesIO(jxl(picture(8, 3, size=size), 8)))
        assert (header.height, header.width) == size

    def test_a_large_header_costs_no_memory(self) -> None:
        stream = bytearray(j2k(picture(8, 3), 8))
        stream[8:16] = struct.pack(">II", 60_000, 60_000)
        still = avif_bytes(picture(8, 3), 8)
        place = still.index(b"ispe") + 8
        large = still[:place] + struct.pack(">II", 60_000, 60_000) + still[place + 8 :]
        # All at their largest: a side of 30 bits in each of two coded ways.
        side = 0b11 | (2**30 - 1) << 2  # the widest coding, and the largest side that it holds
        vast = b"\xff\x0a" + (side << 1 | side << 36 | 1 << 68).to_bytes(12, "little")
        tracemalloc.start()
        try:
            for content in (bytes(stream), large, vast):
                with pytest.raises((ImageTooLargeError, ImageFormatError), match=r"60000|1073741824"):
                    decode_image(content)
            assert tracemalloc.get_traced_memory()[1] < 4_000_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("lossy", [False, True])
@pytest.mark.parametrize("name", WRITERS)
def test_a_picture_that_ends_early_is_damaged(name: str, lossy: bool) -> None:
    pixels = picture(8, 3, size=(90, 140))
    noisy = pixels // 2 + np.random.default_rng(1).integers(0, 99, pixels.shape, dtype=np.uint8)
    lossy_options: dict[str, Callable[[], bytes]] = {
        "jp2": lambda: imagecodecs.jpeg2k_encode(noisy, level=40, codecformat="jp2"),
        "j2k": lambda: imagecodecs.jpeg2k_encode(noisy, level=40, codecformat="j2k"),
        "jxl": lambda: imagecodecs.jpegxl_encode(noisy, distance=1.0),
        "jxl in boxes": lambda: imagecodecs.jpegxl_encode(noisy, distance=1.0, usecontainer=True),
        "avif": lambda: imagecodecs.avif_encode(noisy, level=80, speed=8),
    }
    content = bytes(lossy_options[name]()) if lossy else WRITERS[name][0](noisy, 8)
    assert decode_image(content).shape == noisy.shape
    for share in range(1, 21):
        keep = (len(content) - 20) * share // 20
        for tail in (b"", bytes(len(content) - keep)):
            with pytest.raises(ImageFormatError, match=r"damaged|not a picture"):
                decode_image(content[:keep] + tail)
    for lost in (1, 2, 5):
        with pytest.raises(ImageFormatError, match="damaged"):
            decode_image(content[:-lost])


class TestJpeg2000:
    @pytest.mark.parametrize(
        "options",
        [{}, {"tile_size": (16, 16)}, {"tile_size": (32, 20), "progression": "RPCL"}, {"no_jp2": True}],
        ids=str,
    )
    def test_another_writer(self, options: dict[str, Any]) -> None:
        pixels = picture(8, 3)
        np.testing.assert_array_equal(decode_image(pil_bytes(pixels, "JPEG2000", **options)), pixels)

    def test_a_tile_that_did_not_come_is_missed(self) -> None:
        content = pil_bytes(picture(8, 3), "JPEG2000", no_jp2=True, tile_size=(32, 32))
        last = content.rindex(b"\xff\x90\0\x0a")
        with pytest.raises(ImageFormatError, match="tiles"):
            decode_image(content[:last] + b"\xff\xd9")

    def test_other_colours_are_refused_by_name(self) -> None:
        pixels = Image.fromarray(picture(8, 3))
        with pytest.raises(ImageFormatError, match="YCbCr"):
            decode_image(pil_bytes(pixels.convert("YCbCr"), "JPEG2000"))
        content = jp2(picture(8, 3), 8)
        for number, name in ((12, "CMYK"), (14, "CIELab"), (99, "colour space 99")):
            place = content.index(b"colr") + 7
            with pytest.raises(ImageFormatError, match=name):
                decode_image(content[:place] + number.to_bytes(4, "big") + content[place + 4 :])

    def test_signed_subsampled_and_unequal_components_are_refused(self) -> None:
        content, place = j2k(picture(8, 3), 8), 42
        for offset, value, name in ((0, 0x87, "signed"), (1, 2, "subsampled"), (3, 11, "8, 12, 8 bit")):
            altered = bytearray(content)
            altered[place + offset] = value
            with pytest.raises(ImageFormatError, match=name):
                decode_image(bytes(altered))


class TestJpegXl:
    def test_floating_point_of_0_to_1(self) -> None:
        values = np.random.default_rng(2).random((30, 40, 3), dtype=np.float32)
        content = bytes(imagecodecs.jpegxl_encode(values, lossless=True))
        np.testing.assert_array_equal(decode_image(content), quantise(values))

    def test_animation_is_refused(self) -> None:
        frames = np.stack([picture(8, 3), picture(8, 3)[::-1]])
        with pytest.raises(ImageFormatError, match="animated"):
            decode_image(bytes(imagecodecs.jpegxl_encode(frames, lossless=True)))

    @pytest.mark.parametrize("bits", [1, 2, 4, 7])
    def test_few_bits_become_8(self, bits: int) -> None:
        pixels = picture(bits, 1)
        found = decode_image(jxl(pixels, bits))
        np.testing.assert_array_equal(found, np.rint(pixels * (255 / (2**bits - 1))))


class TestAvif:
    def test_another_writer(self) -> None:
        content = pil_bytes(picture(8, 3), "AVIF", quality=90)
        np.testing.assert_array_equal(decode_image(content), np.asarray(Image.open(io.BytesIO(content))))

    @pytest.mark.parametrize("size", [(90, 140), (45, 35), (12_000, 12_000), (45, 71)])
    def test_a_header_of_another_size_is_damage(self, size: tuple[int, int]) -> None:
        """The decoder would scale the picture to it."""
        for content in (avif_bytes(picture(8, 3), 8), pil_bytes(picture(8, 3), "AVIF")):
            place = content.index(b"ispe") + 8
            altered = content[:place] + struct.pack(">II", *size[::-1]) + content[place + 8 :]
            with pytest.raises(ImageFormatError, match="70 x 45"):
                decode_image(altered)

    def test_animation_is_refused(self) -> None:
        frames = [Image.fromarray(picture(8, 3)), Image.fromarray(picture(8, 3)[::-1])]
        content = pil_bytes(frames[0], "AVIF", save_all=True, append_images=frames[1:])
        with pytest.raises(ImageFormatError, match="animated"):
            decode_image(content)

    @pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (6, 3), (8, 1)])
    def test_a_turn_is_told_and_not_applied(self, orientation: int, turns: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = pil_bytes(picture(8, 3), "AVIF", exif=exif)
        assert decode_image(content).shape == (45, 70, 3)
        assert avif.read_turn(io.BytesIO(content)) == (turns, None)

    def test_heic_is_still_none(self) -> None:
        content = avif_bytes(picture(8, 3), 8)
        assert content[8:12] == b"avif"
        altered = content[:8] + content[8:40].replace(b"avif", b"heic") + content[40:]
        with pytest.raises(ImageFormatError, match="HEIC"):
            decode_image(altered)


@given(bits=st.integers(1, 16))
def test_values_of_any_depth_stay_apart_and_fill_the_range(bits: int) -> None:
    values = np.arange(2**bits).astype(np.uint8 if bits <= 8 else np.uint16)
    found = fill_range(values, bits)
    top = np.iinfo(found.dtype).max
    assert (found[0], found[-1]) == (0, top)
    assert np.all(np.diff(found.astype(int)) > 0)
    assert np.abs(found.astype(float) - values * (top / (2**bits - 1))).max() <= 0.5


def test_the_long_header_of_av1_is_read_past_its_timing() -> None:
    """Of a sequence that is no still picture: with a timing, a decoder model, and two operating points."""
    fields = [(0, 3), (0, 1), (0, 1)]  # profile, no still picture, the long header
    fields += [(1, 1), (1, 32), (30, 32), (1, 1), (0b00101, 5)]  # timing, and the number 4 of 5 bits
    fields += [(1, 1), (9, 5), (1, 32), (9, 5), (9, 5)]  # decoder model, delays of 10 bits
    fields += [(1, 1), (1, 5)]  # delays of display; two operating points
    fields += [(1, 12), (9, 5), (0, 1), (1, 1), (7, 10), (7, 10), (0, 1), (1, 1), (3, 4)]
    fields += [(1, 12), (4, 5), (0, 1), (0, 1)]
    fields += [(9, 4), (8, 4), (639, 10), (359, 9), (0, 20)]
    text = "".join(format(value, f"0{bits}b") for value, bits in fields)
    body = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    assert av1.read_coded_size(b"\x12\0" + bytes([0x0A, len(body)]) + body) == (360, 640)
