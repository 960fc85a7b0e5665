"""BMP, PPM and PGM are read; formats that are not read are named, with what converts them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from picture_samples import pil_bytes
from PIL import Image

from ldp_core.catalogue import read_catalogue
from ldp_core.errors import ImageFormatError, PeakMismatchError
from ldp_core.images import decode_image, encode_image, probe_image
from ldp_core.images.unread import UNREAD_FORMATS

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (21, 34, 3), dtype=np.uint8)


def netpbm(pixels: NDArray[np.generic], *, gap: bytes = b"\n") -> bytes:
    channels, peak = pixels.shape[2], np.iinfo(pixels.dtype).max
    fields = [
        b"P6" if channels == 3 else b"P5",
        *(b"%d" % n for n in (pixels.shape[1], pixels.shape[0], peak)),
    ]
    return gap.join(fields) + b"\n" + pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()


def box(brand: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + brand + bytes(4) + b"".join(compatible)
    return (4 + len(body)).to_bytes(4, "big") + body + bytes(64)


UNREAD = {
    "HEIC": [box(b"heic", b"mif1", b"heic"), box(b"mif1", b"heic"), box(b"heix")],
    "Canon CR2": [b"II*\0\x10\0\0\0CR\x02\0" + bytes(64)],
    "Canon CR3": [box(b"crx ", b"crx ", b"isom")],
}


class TestBmp:
    def test_24_bit_is_exact(self) -> None:
        np.testing.assert_array_equal(decode_image(pil_bytes(RGB, "BMP")), RGB)

    def test_rows_from_the_top(self) -> None:
        content = bytearray(pil_bytes(RGB, "BMP"))
        content[22:26] = (-21).to_bytes(4, "little", signed=True)
        np.testing.assert_array_equal(decode_image(bytes(content)), RGB[::-1])

    def test_grey_and_bits(self) -> None:
        np.testing.assert_array_equal(decode_image(pil_bytes(RGB[..., 0], "BMP")), RGB[..., :1])
        bits = RGB[..., :1] > 127
        np.testing.assert_array_equal(decode_image(pil_bytes(bits, "BMP")), bits * np.uint8(255))

    @pytest.mark.parametrize("colours", [2, 16, 200])
    def test_palettes_become_their_colours(self, colours: int) -> None:
        image = Image.fromarray(RGB).quantize(colours)
        np.testing.assert_array_equal(decode_image(pil_bytes(image, "BMP")), np.asarray(image.convert("RGB")))

    def test_grey_pixels_of_a_coloured_palette_stay_three_channels(self) -> None:
        image = Image.new("P", (5, 4), 0)
        image.putpalette([7, 7, 7, 200, 0, 0])
        assert decode_image(pil_bytes(image, "BMP")).shape == (4, 5, 3)

    def test_a_colour_that_the_palette_lacks_is_damage(self) -> None:
        content = bytearray(pil_bytes(Image.fromarray(RGB).quantize(200), "BMP"))
        for named, sound in ((200, True), (0, True), (199, False), (1, False)):
            content[46:50] = named.to_bytes(4, "little")
            if sound:
                assert decode_image(bytes(content)).shape == RGB.shape
                continue
            with pytest.raises(ImageFormatError, match="colour 199"):
                decode_image(bytes(content))

    @pytest.mark.parametrize("lost", [1, 100, 2100, 2170])
    def test_cut_ones_are_damaged(self, lost: int) -> None:
        with pytest.raises(ImageFormatError, match="damaged"):
            decode_image(pil_bytes(RGB, "BMP")[:-lost])

    def test_32_bit_is_refused(self) -> None:
        with pytest.raises(ImageFormatError, match="BMP of 32 bit"):
            decode_image(pil_bytes(Image.new("RGBA", (4, 4)), "BMP"))


class TestNetpbm:
    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("gap", [b"\n", b" ", b"\n# a comment: 1 2 3\n", b" \t\r\n"])
    def test_every_value_is_kept(
        self, channels: int, dtype: type[np.unsignedinteger], gap: bytes, tmp_path: Path
    ) -> None:
        pixels = RNG.integers(0, np.iinfo(dtype).max, (9, 14, channels), dtype=dtype, endpoint=True)
        content = netpbm(pixels, gap=gap)
        found = decode_image(content)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, pixels)
        (tmp_path / "a").write_bytes(content)
        assert probe_image(str(tmp_path / "a")).bit_depth == 8 * pixels.itemsize

    def test_another_writer(self) -> None:
        np.testing.assert_array_equal(decode_image(pil_bytes(RGB, "PPM")), RGB)

    @pytest.mark.parametrize("keep", [3, 8, 12, 13, 14, 100])
    def test_cut_ones_are_damaged(self, keep: int) -> None:
        with pytest.raises(ImageFormatError, match="damaged"):
            decode_image(netpbm(RGB)[:keep])

    @pytest.mark.parametrize("peak", [1, 254, 1023, 4095, 65534])
    def test_other_largest_values_are_scaled_to_full_range(self, peak: int) -> None:
        full, kind = (255, "u1") if peak < 256 else (65535, ">u2")
        values = np.array([[0, peak // 2], [peak - 1, peak]])
        found = decode_image(b"P5 2 2 %d\n" % peak + values.astype(kind).tobytes())[..., 0]
        np.testing.assert_array_equal(found, np.floor(values * full / peak + 0.5))

    @pytest.mark.parametrize("peak", [0, 65536, 999999999])
    def test_impossible_largest_values_are_damage(self, peak: int) -> None:
        with pytest.raises(ImageFormatError, match="damaged"):
            decode_image(b"P5 2 2 %d\n" % peak + bytes(8))

    def test_values_above_the_largest_one_are_refused(self) -> None:
        with pytest.raises(PeakMismatchError, match="above the peak"):
            decode_image(b"P5 2 2 1023\n" + bytes([4, 0]) * 4)

    @pytest.mark.parametrize("kind", [1, 2, 3, 4, 7])
    def test_text_and_bits_are_refused(self, kind: int) -> None:
        with pytest.raises(ImageFormatError, match=f"Netpbm of kind P{kind}"):
            decode_image(b"P%d\n2 2\n255\n1 2 3 4" % kind)

    def test_two_in_one_file_are_refused_and_a_last_line_feed_is_not(self) -> None:
        content = netpbm(RGB)
        np.testing.assert_array_equal(decode_image(content + b"\n"), RGB)
        with pytest.raises(ImageFormatError, match="several"):
            decode_image(content + content)


class TestUnread:
    def test_there_is_a_sample_of_each(self) -> None:
        assert set(UNREAD) == {kind.name for kind in UNREAD_FORMATS}

    @pytest.mark.parametrize("name", UNREAD)
    def test_the_error_names_the_format_and_what_converts_it(self, name: str, tmp_path: Path) -> None:
        (remedy,) = (kind.remedy for kind in UNREAD_FORMATS if kind.name == name)
        for content in UNREAD[name]:
            (tmp_path / "picture.png").write_bytes(content)
            with pytest.raises(ImageFormatError, match="this format is not read") as caught:
                probe_image(str(tmp_path / "picture.png"))
            assert (caught.value.got, caught.value.remedy) == (name, remedy)

    @pytest.mark.parametrize("extension", [end for kind in UNREAD_FORMATS for end in kind.extensions])
    @pytest.mark.parametrize("layout", ["folders", "single"])
    def test_a_file_of_a_dataset_is_named_so_and_refuses_nothing(
        self, extension: str, layout: str, tmp_path: Path
    ) -> None:
        folders = ("left", "right") if layout == "folders" else ("input", "gt")
        for folder in folders:
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "a.png").write_bytes(encode_image(RGB))
        (tmp_path / folders[0] / f"b{extension.upper()}").write_bytes(b"any")
        catalogue = read_catalogue(str(tmp_path), layout=layout)
        (problem,) = (problem for problem in catalogue.problems if problem.where.endswith(extension.upper()))
        assert problem.kind == "format_not_read"
        assert "convert" in problem.remedy
        assert len(catalogue.items) == 1
        assert not problem.refuses_item


@pytest.mark.parametrize(
    ("extension", "kind"),
    [
        *[("jfif", "JPEG"), ("JFIF", "JPEG"), ("bmp", "BMP"), ("ppm", "PPM"), ("pgm", "PPM")],
        *[("jp2", "JPEG2000"), ("jpx", "JPEG2000"), ("avif", "AVIF"), ("AVIF", "AVIF")],
    ],
)
def test_files_of_these_extensions_are_pictures(extension: str, kind: str, tmp_path: Path) -> None:
    for number, folder in enumerate(("left", "right")):
        (tmp_path / folder).mkdir()
        view = RGB[..., number] if extension == "pgm" else np.roll(RGB, number, axis=1)
        (tmp_path / folder / f"a.{extension}").write_bytes(pil_bytes(view, kind))
    catalogue = read_catalogue(str(tmp_path), layout="folders")
    assert len(catalogue.items) == 1
    assert not catalogue.problems
