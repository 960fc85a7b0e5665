"""WebP, NPY, EXR and DNG, and pictures whose meaning is clear though they are not plain grey or RGB."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from picture_samples import (
    DNG_BLACK,
    DNG_WHITE,
    dng_bytes,
    exr_bytes,
    extended_webp,
    npy_bytes,
    pil_bytes,
)
from PIL import Image

from ldp_core.errors import ImageFormatError, ImageSupportError, ImageTooLargeError
from ldp_core.images import ImageLimits, codec, decode_image, probe_image
from ldp_core.images.codec import quantise

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (21, 34, 3), dtype=np.uint8)
REAL = RNG.random((21, 34, 3), dtype=np.float32)


def planes(pixels: NDArray[np.float32], names: str = "RGB") -> dict[str, NDArray[np.float32]]:
    return {name: np.ascontiguousarray(pixels[..., n]) for n, name in enumerate(names)}


SAMPLES = {
    "webp lossless": pil_bytes(RGB, "WEBP", lossless=True),
    "webp lossy": pil_bytes(RGB, "WEBP", quality=90),
    "webp extended": extended_webp(pil_bytes(RGB, "WEBP", lossless=True), 34, 21),
    "npy": npy_bytes(RGB),
    "npy float": npy_bytes(REAL),
    "exr": exr_bytes(planes(REAL)),
    "dng": dng_bytes(RNG.integers(DNG_BLACK, DNG_WHITE, (22, 34), dtype=np.uint16)),
    "png palette": pil_bytes(Image.fromarray(RGB).quantize(32), "PNG"),
    "png alpha": pil_bytes(np.dstack([RGB, np.full((21, 34), 255, np.uint8)]), "PNG"),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_probe_tells_what_reading_gives_and_limits_hold(name: str, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    path.write_bytes(SAMPLES[name])
    ref = probe_image(str(path))
    pixels = decode_image(SAMPLES[name])
    assert pixels.shape == (ref.height, ref.width, ref.channels)
    assert pixels.dtype.itemsize * 8 == ref.bit_depth
    assert pixels.flags.c_contiguous
    with pytest.raises(ImageTooLargeError):
        decode_image(SAMPLES[name], limits=ImageLimits(max_pixels=34 * 21 - 1))


@pytest.mark.parametrize("name", ["webp lossless", "webp extended"])
def test_lossless_webp_is_exact(name: str) -> None:
    np.testing.assert_array_equal(decode_image(SAMPLES[name]), RGB)


def test_lossy_webp_agrees_with_a_second_decoder() -> None:
    expected = np.asarray(Image.open(io.BytesIO(SAMPLES["webp lossy"])).convert("RGB"))
    np.testing.assert_array_equal(decode_image(SAMPLES["webp lossy"]), expected)


class TestNpy:
    @pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2"])
    @pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3)])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_integers_are_exact(self, dtype: str, shape: tuple[int, ...], order: str) -> None:
        array = RNG.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
        back = decode_image(npy_bytes(np.asarray(array, order=order)))  # type: ignore[call-overload]
        assert back.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(back, array.reshape(5, 7, -1))

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_floating_point_becomes_16_bit(self, dtype: type[np.floating]) -> None:
        array = RNG.random((5, 7, 3)).astype(dtype)
        back = decode_image(npy_bytes(array))
        assert back.dtype == np.uint16
        assert np.abs(back / 65535 - array.astype(np.float64)).max() <= 0.5 / 65535 + 1e-12

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros((4, 4), np.int16),
            np.zeros((4, 4), bool),
            np.zeros((4, 4), np.uint32),
            np.zeros((4, 4), np.complex64),
            np.zeros((4, 4, 2), np.uint8),
            np.zeros((4, 4, 4), np.uint8),
            np.zeros(4, np.uint8),
            np.zeros((0, 4), np.uint8),
            np.array([["a"]], dtype=object),
            np.zeros((4, 4), [("r", "u1")]),
        ],
        ids=lambda array: f"{array.dtype} {array.shape}",
    )
    def test_other_arrays_are_refused(self, array: NDArray[np.generic]) -> None:
        with pytest.raises(ImageFormatError, match="NPY of"):
            decode_image(npy_bytes(array, allow_pickle=True))


class TestQuantise:
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
    @settings(deadline=None)
    def test_is_off_by_at_most_half_a_step(self, values: list[float]) -> None:
        found = quantise(np.array(values))
        assert np.abs(found / 65535 - np.array(values)).max() <= 0.5 / 65535 + 1e-15

    def test_every_stored_value_is_reached_from_its_own_fraction(self) -> None:
        steps = np.arange(65536)
        np.testing.assert_array_equal(quantise(steps / 65535), steps)
        np.testing.assert_array_equal(quantise((steps / 65535).astype(np.float32)), steps)

    @pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, -1e-6, 1.0001, 255.0])
    def test_nothing_is_clipped(self, odd: float) -> None:
        with pytest.raises(ImageFormatError, match=r"0\.\.1") as caught:
            quantise(np.array([0.5, odd]))
        assert "1 of 2 values" in caught.value.got


class TestExr:
    @pytest.mark.parametrize("compression", ["NO", "RLE", "ZIPS", "ZIP", "PIZ"])
    @pytest.mark.parametrize("dtype", [np.float16, np.float32])
    def test_lossless_compressions(self, compression: str, dtype: type[np.floating]) -> None:
        stored = REAL.astype(dtype)
        content = exr_bytes(planes(stored), compression=f"{compression}_COMPRESSION")
        np.testing.assert_array_equal(decode_image(content), quantise(stored))

    def test_grey_and_opaque_alpha(self) -> None:
        grey = {"Y": REAL[..., 0].copy()}
        expected = quantise(REAL[..., :1])
        np.testing.assert_array_equal(decode_image(exr_bytes(grey)), expected)
        opaque = grey | {"A": np.ones_like(grey["Y"])}
        np.testing.assert_array_equal(decode_image(exr_bytes(opaque)), expected)
        with pytest.raises(ImageFormatError, match="alpha"):
            decode_image(exr_bytes(grey | {"A": grey["Y"]}))

    @pytest.mark.parametrize("names", ["RG", "RGZ", "Z"])
    def test_other_channels_are_refused(self, names: str) -> None:
        with pytest.raises(ImageFormatError, match="channels"):
            decode_image(exr_bytes(planes(REAL, names)))

    def test_high_dynamic_range_is_refused_not_clipped(self) -> None:
        with pytest.raises(ImageFormatError, match=r"0\.\.1"):
            decode_image(exr_bytes(planes(REAL * 4)))


class TestDng:
    def test_linear_values_come_out_as_gamma_2_2(self) -> None:
        values = RNG.integers(DNG_BLACK, DNG_WHITE, (48, 64, 3), dtype=np.uint16)
        grey = np.repeat(values[..., :1], 3, axis=2)
        found = decode_image(dng_bytes(grey)).astype(float)
        expected = ((grey - float(DNG_BLACK)) / (DNG_WHITE - DNG_BLACK)) ** (1 / 2.2) * 65535
        factor = float(np.median(found) / np.median(expected))
        assert factor == pytest.approx(1, abs=0.02)
        assert np.abs(found - factor * expected).max() < 100

    def test_a_mosaic_is_developed_the_same_whatever_its_brightness(self) -> None:
        """Half the light is half the linear value: no automatic exposure."""
        light = np.linspace(2000, 14000, 64)[None].repeat(48, 0)
        full, half = (
            decode_image(dng_bytes((DNG_BLACK + scale * light).astype(np.uint16))).astype(float)
            for scale in (1.0, 0.5)
        )
        assert full.shape == (48, 64, 3)
        inner = np.s_[4:-4, 4:-4]
        ratio = (half[inner] / full[inner]) ** 2.2
        assert np.abs(ratio - 0.5).max() < 0.02

    def test_a_dng_without_sensor_values_is_refused(self) -> None:
        content = dng_bytes(np.full((48, 64), 9000, np.uint16))
        with pytest.raises(ImageFormatError):
            decode_image(content.replace((32803).to_bytes(2, "little"), (1).to_bytes(2, "little")))


class TestClearMeaning:
    @pytest.mark.parametrize("colours", [2, 4, 16, 200])
    def test_palettes_become_their_colours(self, colours: int) -> None:
        image = Image.fromarray(RGB).quantize(colours)
        np.testing.assert_array_equal(decode_image(pil_bytes(image, "PNG")), np.asarray(image.convert("RGB")))

    def test_grey_palettes_become_grey(self) -> None:
        image = Image.fromarray(RGB[..., 0] // 16)
        image = image.convert("P")
        image.putpalette([level for n in range(16) for level in (17 * n,) * 3])
        found = decode_image(pil_bytes(image, "PNG"))
        np.testing.assert_array_equal(found, RGB[..., :1] // 16 * 17)

    def test_one_bit_becomes_black_and_white(self) -> None:
        bits = RGB[..., 0] > 127
        found = decode_image(pil_bytes(Image.fromarray(bits), "PNG"))
        np.testing.assert_array_equal(found[..., 0], bits * np.uint8(255))

    @pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_opaque_alpha_is_dropped(self, kind: str, channels: int) -> None:
        opaque = np.full((21, 34, 1), 255, np.uint8)
        content = pil_bytes(np.concatenate([RGB[..., :channels], opaque], axis=2), kind, lossless=True)
        expected = RGB[..., :channels] if kind != "WEBP" else np.broadcast_to(RGB[..., :channels], RGB.shape)
        np.testing.assert_array_equal(decode_image(content), expected)

    @pytest.mark.parametrize("profile", [b"", b"\0" * 128, b"no profile at all" * 9])
    def test_a_broken_colour_profile_changes_nothing(self, profile: bytes) -> None:
        for kind in ("PNG", "JPEG", "TIFF"):
            plain, tagged = pil_bytes(RGB, kind), pil_bytes(RGB, kind, icc_profile=profile)
            np.testing.assert_array_equal(decode_image(tagged), decode_image(plain))


@pytest.mark.parametrize(("name", "package"), [("exr", "OpenEXR"), ("dng", "rawpy")])
def test_a_missing_package_is_an_error_that_names_it(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "find_spec", lambda name: None)
    with pytest.raises(ImageSupportError, match=r"\[formats\]") as caught:
        decode_image(SAMPLES[name])
    assert caught.value.expected == package
