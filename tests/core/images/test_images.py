"""Pictures: what goes in comes out, 16 bit included; headers are read without the pixels."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ldp_core import storage
from ldp_core.errors import ImageFormatError, ImageMissingError, ImageTooLargeError
from ldp_core.images import PICTURE_FORMATS, ImageLimits, decode_image, encode_image, probe_image, read_image
from ldp_core.types import Pixels


def noise(shape: tuple[int, int, int], bit_depth: int = 8, seed: int = 0) -> Pixels:
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bit_depth, shape, dtype=dtype)


def smooth(height: int, width: int, channels: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    planes = [128 + 90 * np.sin(x / (9 + c)) * np.cos(y / 13) for c in range(channels)]
    return np.stack(planes, axis=-1).astype(np.uint8)


def saved(image: Image.Image, format: str, **options: object) -> bytes:  # noqa: A002
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def tiff_bytes(pixels: NDArray[np.generic], **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


@pytest.mark.parametrize("format", ["png", "tiff"])
@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats_give_every_value_back(format: str, bit_depth: int, channels: int) -> None:  # noqa: A002
    pixels = noise((37, 53, channels), bit_depth)
    back = decode_image(encode_image(pixels, format))
    assert back.dtype == pixels.dtype
    np.testing.assert_array_equal(back, pixels)


def test_every_one_of_the_65536_values_survives() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    for pixels in (ramp, np.concatenate([ramp, ramp[::-1], ramp.transpose(1, 0, 2)], axis=2)):
        for picture_format in ("png", "tiff"):
            np.testing.assert_array_equal(decode_image(encode_image(pixels, picture_format)), pixels)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_stays_close(channels: int) -> None:
    pixels = smooth(64, 80, channels)
    back = decode_image(encode_image(pixels, "jpeg"))
    assert back.shape == pixels.shape
    assert np.abs(back.astype(int) - pixels).mean() < 2


def test_other_writers_16_bit_rgb_is_read_whole() -> None:
    """imageio's reader cuts such a PNG to 8 bit; ours must not."""
    pixels = noise((20, 30, 3), 16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    np.testing.assert_array_equal(decode_image(png_file(30, 20, 16, 2, rows)), pixels)


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_interlaced_png(bit_depth: int) -> None:
    pixels = noise((19, 23, 3), bit_depth)
    passes = [
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ]
    big_endian = pixels.astype(">u2") if bit_depth == 16 else pixels
    rows = b"".join(
        b"\0" + row.tobytes() for top, left, dy, dx in passes for row in big_endian[top::dy, left::dx]
    )
    np.testing.assert_array_equal(decode_image(png_file(23, 19, bit_depth, 2, rows, interlace=1)), pixels)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"compression": "lzw"},
        {"compression": "zlib", "predictor": True},
        {"compression": "zstd"},
        {"tile": (16, 32)},
        {"tile": (16, 32), "compression": "zlib", "byteorder": ">"},
        {"rowsperstrip": 5},
        {"bigtiff": True},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "zlib"},
    ],
    ids=str,
)
def test_kinds_of_tiff(options: dict[str, object]) -> None:
    pixels = noise((37, 53, 3), 16)
    stored = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    back = decode_image(tiff_bytes(np.ascontiguousarray(stored), photometric="rgb", **options))
    assert back.dtype == np.uint16
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, pixels)


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_with_its_directory_at_the_end(order: str, tmp_path: Path) -> None:
    pixels = noise((300, 200, 1), 16)
    path = tmp_path / "late.tif"
    path.write_bytes(tiff_with_late_directory(pixels, order=order))
    assert probe_image(str(path)).height == 300
    np.testing.assert_array_equal(read_image(str(path)), pixels)


def test_tiff_preview_pages_are_no_second_picture() -> None:
    file = io.BytesIO()
    pixels = noise((40, 60, 3))
    with tifffile.TiffWriter(file) as writer:
        writer.write(pixels, photometric="rgb", metadata=None)
        writer.write(pixels[::4, ::4], photometric="rgb", subfiletype=1, metadata=None)
    np.testing.assert_array_equal(decode_image(file.getvalue()), pixels)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_agrees_with_a_second_decoder(progressive: bool) -> None:
    content = saved(Image.fromarray(smooth(50, 70, 3)), "JPEG", quality=80, progressive=progressive)
    np.testing.assert_array_equal(decode_image(content), np.asarray(Image.open(io.BytesIO(content))))


def test_orientation_is_not_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(Image.fromarray(smooth(40, 60, 3)), "JPEG", exif=exif)
    assert decode_image(content).shape == (40, 60, 3)


class TestProbe:
    @pytest.mark.parametrize("format", PICTURE_FORMATS)
    @pytest.mark.parametrize("scheme", ["file", "memory", "path"])
    def test_tells_what_reading_gives(self, format: str, scheme: str, tmp_path: Path) -> None:  # noqa: A002
        roots = {"file": tmp_path.as_uri(), "memory": f"memory://{tmp_path.name}", "path": str(tmp_path)}
        url = storage.join(roots[scheme], "picture of unknown kind")
        content = encode_image(noise((31, 47, 3)), format)
        storage.write_bytes(url, content)
        ref = probe_image(url)
        assert (ref.height, ref.width, ref.channels, ref.bit_depth) == (31, 47, 3, 8)
        assert (ref.uri, ref.size_bytes) == (url, len(content))
        assert read_image(url).shape == (31, 47, 3)

    @pytest.mark.parametrize("name", ["png", "tiff", "late tiff", "jpeg", "jpeg with large EXIF"])
    def test_reads_a_few_blocks_only(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pixels = noise((700, 900, 3))
        content = {
            "png": lambda: encode_image(pixels),
            "tiff": lambda: encode_image(pixels, "tiff"),
            "late tiff": lambda: tiff_with_late_directory(noise((700, 900, 1), 16), order="<"),
            "jpeg": lambda: encode_image(pixels, "jpeg"),
            "jpeg with large EXIF": lambda: with_segments(encode_image(pixels, "jpeg"), count=20),
        }[name]()
        path = tmp_path / "picture"
        path.write_bytes(content)
        assert len(content) > 1_000_000 or "jpeg" in name
        read: list[int] = []
        read_bytes = storage.read_bytes

        def counting(url: str, *, start: int, end: int) -> bytes:
            read.append(end - start)
            return read_bytes(url, start=start, end=end)

        monkeypatch.setattr(storage, "read_bytes", counting)
        assert probe_image(str(path)).width == 900
        assert sum(read) < 110_000
        assert max(read) < 16_384

    def test_needs_no_size_where_a_listing_gave_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "a.png"
        path.write_bytes(encode_image(noise((5, 7, 1))))
        expected = probe_image(str(path))
        monkeypatch.delattr(storage, "entry_of")
        listed = {"size_bytes": expected.size_bytes, "revision": expected.revision}
        assert probe_image(str(path), **listed) == expected


class TestRefusals:
    @pytest.mark.parametrize(
        ("kind", "content"),
        [
            ("transparent", saved(Image.new("RGB", (8, 8)), "PNG", transparency=(0, 0, 0))),
            (
                "animated",
                saved(
                    Image.new("RGB", (8, 8)),
                    "PNG",
                    save_all=True,
                    append_images=[Image.new("RGB", (8, 8), "red")],
                ),
            ),
            ("CMYK", saved(Image.new("CMYK", (8, 8)), "JPEG")),
            ("photometric", saved(Image.new("CMYK", (8, 8)), "TIFF")),
            ("photometric", saved(Image.new("P", (8, 8)), "TIFF")),
            ("1 bit", saved(Image.new("1", (8, 8)), "TIFF")),
            ("32 bit", tiff_bytes(np.zeros((8, 8), np.uint32), photometric="minisblack")),
            ("sample format", tiff_bytes(np.zeros((8, 8), np.int16), photometric="minisblack")),
            ("several", tiff_bytes(np.zeros((3, 8, 8), np.uint8), photometric="minisblack")),
            ("starts with", saved(Image.new("RGB", (8, 8)), "GIF")),
            ("starts with", b"left,right\n"),
            ("empty", b""),
        ],
    )
    def test_kinds_that_are_not_read(self, kind: str, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "odd"
        path.write_bytes(content)
        for attempt in (probe_image, read_image):
            with pytest.raises(ImageFormatError, match=kind) as caught:
                attempt(str(path))
            assert caught.value.where == str(path)
            assert caught.value.remedy

    @pytest.mark.parametrize("mode", ["RGBA", "LA"])
    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
    def test_transparency_is_found_with_the_pixels(self, mode: str, kind: str) -> None:
        with pytest.raises(ImageFormatError, match="alpha"):
            decode_image(saved(Image.new(mode, (32, 32)), kind))

    @pytest.mark.parametrize("url", ["memory://nowhere/a.png", "/nowhere/a.png"])
    def test_missing(self, url: str) -> None:
        for attempt in (probe_image, read_image):
            with pytest.raises(ImageMissingError):
                attempt(url)

    def test_encoding_what_is_no_picture(self) -> None:
        for pixels in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3))):
            with pytest.raises(ImageFormatError):
                encode_image(pixels)  # type: ignore[arg-type]
        with pytest.raises(ImageFormatError, match="gif"):
            encode_image(np.zeros((4, 4, 3), np.uint8), "gif")
        with pytest.raises(ImageFormatError, match="16 bit"):
            encode_image(np.zeros((4, 4, 3), np.uint16), "jpeg")


class TestLimits:
    @pytest.mark.parametrize(
        "limits", [{"max_pixels": 999}, {"max_side_px": 39}, {"max_bytes": 50}], ids=lambda d: next(iter(d))
    )
    @pytest.mark.parametrize("format", PICTURE_FORMATS)
    def test_each_is_held(self, limits: dict[str, int], format: str, tmp_path: Path) -> None:  # noqa: A002
        path = tmp_path / "picture"
        path.write_bytes(encode_image(noise((25, 40, 1)), format))
        assert read_image(str(path), limits=ImageLimits(max_pixels=1000, max_side_px=40)).shape == (25, 40, 1)
        with pytest.raises(ImageTooLargeError) as caught:
            read_image(str(path), limits=ImageLimits(**limits))
        assert caught.value.where == str(path)


@pytest.mark.real
def test_real_photographs_agree_with_a_second_decoder(real_data: Path) -> None:
    paths = [*sorted((real_data / "dp" / "pixel4").glob("*.png"))[:4]]
    paths += sorted((real_data / "dp" / "canon_dpdd").glob("*.png"))[:5]
    paths += [real_data / "dp" / "canon_full" / "005_D.TIF", real_data / "dp" / "canon_full" / "005_L.jpg"]
    paths += sorted((real_data / "dp" / "pixel4_raw").glob("*.png"))
    assert len(paths) > 10
    for path in paths:
        pixels, ref = read_image(str(path)), probe_image(str(path))
        assert pixels.shape == (ref.height, ref.width, ref.channels)
        assert pixels.dtype.itemsize * 8 == ref.bit_depth
        np.testing.assert_array_equal(pixels.squeeze(), np.asarray(Image.open(path)))


def png_file(
    width: int, height: int, bit_depth: int, colour: int, rows: bytes, *, interlace: int = 0
) -> bytes:
    """A PNG made by hand from filtered rows."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    ihdr = struct.pack(">IIBBBBB", width, height, bit_depth, colour, 0, 0, interlace)
    chunks = chunk(b"IHDR", ihdr) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff_with_late_directory(pixels: Pixels, *, order: str) -> bytes:
    """An uncompressed 16-bit grey TIFF made by hand, its directory after the pixels."""
    height, width, _ = pixels.shape
    body = pixels.astype(f"{order}u2").tobytes()
    tags = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(body)}
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items())
    magic = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8 + len(body))
    return magic + body + struct.pack(order + "H", len(tags)) + entries + b"\0\0\0\0"


def with_segments(jpeg: bytes, *, count: int) -> bytes:
    """A JPEG with ``count`` blocks of 64 KiB, such as large EXIF previews, before its frame header."""
    block = b"\xff\xe1" + (65_535).to_bytes(2, "big") + b"\xff\xc0" * 32_766 + b"\0"
    return jpeg[:2] + block * count + jpeg[2:]


@pytest.mark.parametrize("colour", [0, 2, 3, 4, 6])
def test_a_png_too_short_for_its_pixels_is_refused_by_its_header(colour: int, tmp_path: Path) -> None:
    """Else a few bytes would have a run planned for gigabytes."""
    path = tmp_path / "a.png"
    path.write_bytes(png_file(60_000, 4_000, 8, colour, b"\0" * 1000))
    with pytest.raises(ImageFormatError, match="announces"):
        probe_image(str(path))


def test_a_png_of_one_value_is_as_short_as_can_be_and_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_file(8_000, 4_000, 8, 0, (b"\0" * 8_001) * 4_000))
    assert path.stat().st_size < 40_000
    assert probe_image(str(path)).width == 8_000


@pytest.mark.parametrize("shape", [(-5, 10), (5, -10), (-5, -10, 3), (0, 10)])
def test_an_npy_without_pixels_is_refused_by_its_header(shape: tuple[int, ...], tmp_path: Path) -> None:
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\1" * 150)
    with pytest.raises(ImageFormatError):
        probe_image(str(path))
