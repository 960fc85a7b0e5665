"""DNG: scale and multipliers come from the file, never from its pixels; what cannot be read so is refused."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from picture_samples import DNG_BLACK, DNG_WHITE, dng_bytes, set_tag

from ldp_core.errors import ImageFormatError
from ldp_core.images import decode_image

RNG = np.random.default_rng(5)
MOSAIC = RNG.integers(DNG_BLACK, DNG_WHITE, (48, 64), dtype=np.uint16)
LINEAR = RNG.integers(DNG_BLACK, DNG_WHITE, (48, 64, 3), dtype=np.uint16)
LOSSLESS = {"compression": 7, "compressionargs": {"lossless": True, "bitspersample": 16}}


def expect(linear: np.ndarray) -> np.ndarray:
    """Linear values of 0..1 as they are developed, where no colours are mixed."""
    return linear.astype(float) ** (1 / 2.2) * 65535


def curve(*coefficients: float) -> tuple[int, str, int, bytes, bool]:
    """OpcodeList2 with a polynomial for each of three planes (DNG 1.4, chapter 7)."""
    opcodes = b""
    for plane in range(3):
        area = struct.pack(">9I", 0, 0, 64, 64, plane, 1, 1, 1, len(coefficients) - 1)
        body = area + struct.pack(f">{len(coefficients)}d", *coefficients)
        opcodes += struct.pack(">4I", 8, 0x01030000, 0, len(body)) + body
    return (51009, "B", 4 + len(opcodes), struct.pack(">I", 3) + opcodes, True)


class TestContentDecidesNothing:
    """The same pixel is developed alike, whatever lies elsewhere in its picture."""

    @pytest.mark.parametrize("neutral", [(1, 1, 1, 1, 1, 1), (1, 2, 1, 1, 1, 3), None])
    @pytest.mark.parametrize("pixels", [MOSAIC, LINEAR], ids=["mosaic", "linear"])
    @pytest.mark.parametrize("white", [DNG_WHITE, None])
    def test_one_bright_corner_changes_no_other_pixel(
        self, neutral: tuple[int, ...] | None, pixels: np.ndarray, white: int | None
    ) -> None:
        dark = DNG_BLACK + (pixels - DNG_BLACK) // 8
        bright = dark.copy()
        bright[:4, :4] = DNG_WHITE
        found = [decode_image(dng_bytes(each, neutral=neutral, white=white)) for each in (dark, bright)]
        np.testing.assert_array_equal(found[0][16:], found[1][16:])
        assert found[0].max() > 1000

    @pytest.mark.parametrize("tint", [(1, 1, 1), (4, 2, 1), (1, 2, 4)])
    def test_without_neutral_the_multipliers_are_1(self, tint: tuple[int, ...]) -> None:
        light = np.linspace(DNG_BLACK, DNG_WHITE, 48)[:, None, None].repeat(64, 1) // np.array(tint)
        values = np.maximum(light, DNG_BLACK).astype(np.uint16)
        plain = decode_image(dng_bytes(values, neutral=None))
        np.testing.assert_array_equal(plain, decode_image(dng_bytes(values)))


class TestLevels:
    @pytest.mark.parametrize("bits", [8, 12, 14, 16])
    @pytest.mark.parametrize("named", [True, False])
    def test_white_is_the_white_level_or_that_of_the_depth(self, bits: int, named: bool) -> None:
        dtype, depth = (np.uint8, 8) if bits == 8 else (np.uint16, 16)
        top = 2 ** (bits if named else depth) - 1
        grey = np.linspace(0, 2**bits - 1, 64).astype(dtype)[None, :, None].repeat(48, 0).repeat(3, 2)
        found = decode_image(dng_bytes(grey, black=0, white=2**bits - 1 if named else None))
        assert np.abs(found - expect(grey / top)).max() < 150

    def test_black_levels_of_a_pattern_are_taken_off_each_site(self) -> None:
        levels = np.array([[100, 200], [300, 400]])
        light = np.full((48, 64), 5000) + np.tile(levels, (24, 32))
        tags = [(50713, "H", 2, (2, 2), True)]
        found = decode_image(dng_bytes(light.astype(np.uint16), black=(100, 200, 300, 400), tags=tags))
        inner = found[8:-8, 8:-8].astype(int)
        assert np.ptp(inner) <= 400

    def test_a_linearisation_table_is_applied(self) -> None:
        table = (np.linspace(0, 1, 4096) ** 2 * DNG_WHITE).astype(np.uint16)
        codes = np.linspace(0, 4095, 64).astype(np.uint16)[None, :, None].repeat(48, 0).repeat(3, 2)
        tags = [(50712, "H", 4096, tuple(table.tolist()), True)]
        found = decode_image(dng_bytes(codes, black=0, tags=tags))
        np.testing.assert_array_equal(found, decode_image(dng_bytes(table[codes], black=0)))

    def test_white_levels_of_channels_need_a_neutral(self) -> None:
        levels = (DNG_WHITE, DNG_WHITE // 2, DNG_WHITE)
        half = LINEAR // 2
        assert decode_image(dng_bytes(half, white=levels)).shape == (48, 64, 3)
        with pytest.raises(ImageFormatError, match="several white levels"):
            decode_image(dng_bytes(half, white=levels, neutral=None))


SAME = {
    "big-endian": {"byteorder": ">"},
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (16, 16)},
    "lossless JPEG": LOSSLESS,
    "lossless JPEG in tiles": LOSSLESS | {"tile": (32, 16)},
    "turned": {"tags": [(274, "H", 1, 6, True)]},
    "distortion": {"tags": [(51022, "B", 4, bytes(4), True)]},
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("pixels", [MOSAIC, LINEAR], ids=["mosaic", "linear"])
def test_the_same_values_stored_otherwise_are_developed_alike(name: str, pixels: np.ndarray) -> None:
    found = decode_image(dng_bytes(pixels, **SAME[name]))
    np.testing.assert_array_equal(found, decode_image(dng_bytes(pixels)))


def test_the_active_area_is_the_picture() -> None:
    found = decode_image(dng_bytes(LINEAR, tags=[(50829, "I", 4, (4, 6, 44, 60), True)]))
    np.testing.assert_array_equal(found, decode_image(dng_bytes(LINEAR))[4:44, 6:60])


def test_lossy_jpeg_is_read_with_its_curve_only() -> None:
    light = np.linspace(20, 250, 64).astype(np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    options: dict[str, Any] = {"black": 0, "white": 65535, "compression": 7, "tile": (64, 64)}
    options["compressionargs"] = {"level": 100, "subsampling": "444"}
    found = decode_image(set_tag(dng_bytes(light, tags=[curve(0.0, 0.1, 0.9)], **options), 259, 34892))
    assert np.abs(found - expect(0.1 * (light / 255) + 0.9 * (light / 255) ** 2)).max() < 400
    with pytest.raises(ImageFormatError, match="without its curve"):
        decode_image(set_tag(dng_bytes(light, **options), 259, 34892))
    with pytest.raises(ImageFormatError, match="lossy JPEG in compression 7"):
        decode_image(dng_bytes(light, **options))


UNIT = (MOSAIC / DNG_WHITE).astype(np.float32)
REFUSED = {
    "floating point": dng_bytes(UNIT, black=None, white=1),
    "floating point.": dng_bytes(UNIT.astype(np.float16), black=None, white=None),
    r"compression 8 \(ADOBE_DEFLATE\)": dng_bytes(MOSAIC, compression="zlib"),
    r"compression 8 \(ADOBE": dng_bytes(LINEAR, compression="zlib", predictor=True),
    r"compression 5 \(LZW\)": dng_bytes(MOSAIC, compression="lzw"),
    r"compression 52546 \(JPEGXL_DNG\)": set_tag(dng_bytes(MOSAIC), 259, 52546),
    r"compression 9 ": set_tag(dng_bytes(MOSAIC), 259, 9),
    r"compression 4711 \(unknown\)": set_tag(dng_bytes(MOSAIC), 259, 4711),
    "32 bit": dng_bytes(MOSAIC.astype(np.uint32)),
    "AsShotWhiteXY": dng_bytes(MOSAIC, neutral=None, tags=[(50729, "2I", 2, (3127, 10**4, 329, 1000), True)]),
    "AsShotNeutral": dng_bytes(MOSAIC, neutral=(0, 1, 1, 1, 1, 1)),
    "mosaic of 4 x 4": dng_bytes(
        MOSAIC,
        tags=[
            (33421, "H", 2, (4, 4), True),
            (33422, "B", 16, (0, 0, 1, 1, 0, 0, 1, 1, 1, 1, 2, 2, 1, 1, 2, 2), True),
        ],
    ),
    r"colours \[0, 1, 2, 3\]": dng_bytes(MOSAIC, tags=[(33422, "B", 4, (0, 1, 3, 2), True)]),
    "layout 2": dng_bytes(MOSAIC, tags=[(50711, "H", 1, 2, True)]),
    "without sensor values": set_tag(dng_bytes(MOSAIC), 262, 1),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_read_rightly_is_refused_by_name(reason: str) -> None:
    with pytest.raises(ImageFormatError, match="not read") as caught:
        decode_image(REFUSED[reason])
    assert caught.match(reason)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "options", [{}, LOSSLESS, LOSSLESS | {"tile": (16, 16)}], ids=["plain", "jpeg", "tiles"]
)
def test_a_cut_one_is_damaged(options: dict[str, Any]) -> None:
    content = dng_bytes(MOSAIC, **options)
    for share in range(1, 20):
        cut = content[: len(content) * share // 20]
        for tail in (b"", bytes(len(content) - len(cut))) if options else (b"",):
            with pytest.raises(ImageFormatError):
                decode_image(cut + tail)
