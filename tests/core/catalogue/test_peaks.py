"""Values of 10, 12 and 14 bit in 16-bit files: what names full scale, what is refused, what is only dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from peak_samples import on_scale, pgm, sbit, tiff_with

from ldp_core.blur import make_estimator
from ldp_core.catalogue import (
    catalogue_from_jsonl,
    catalogue_to_jsonl,
    load_pair,
    read_catalogue,
    require_named_peak,
)
from ldp_core.catalogue.peaks import count_values, find_ceiling
from ldp_core.deblur import make_deblurrer
from ldp_core.errors import CatalogueError, PeakMismatchError, PeakUnnamedError, SettingsError
from ldp_core.images import encode_image, to_full_scale, to_peak_scale
from ldp_core.images.scale import parse_peak
from ldp_core.metrics.scoring import score_item
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import Catalogue, Pair, PixelOptions, Pixels

SETTINGS = SimulationSettings(height=96, width=128)
PEAK = 4095
Encode = Callable[[Pixels], bytes]


def as_png(pixels: Pixels) -> bytes:
    return encode_image(pixels)


def packed_tiff(pixels: Pixels) -> bytes:
    """12 bit, packed by tifffile's own writer where it can; else as MaxSampleValue of 16 bit."""
    return tiff_with(pixels, (281, "H", 1, PEAK, True))


ENCODERS: dict[str, tuple[Encode, str]] = {
    "sBIT": (lambda pixels: sbit(pixels, 12), "png"),
    "MaxSampleValue": (packed_tiff, "tif"),
    "PGM and PPM": (lambda pixels: pgm(pixels, PEAK), "ppm"),
}


def bright(pair: Pair) -> dict[str, Pixels]:
    """The views of a simulated pair, so bright that 2 % clip, as highlights of photographs do."""
    gain = 65535 / np.quantile(pair.left, 0.98)
    return {
        role: np.clip(np.rint(view * gain), 0, 65535).astype(np.uint16) for role, view in pair.views.items()
    }


def write_set(
    folder: Path, *, peak: int, encode: Encode = as_png, ending: str = "png", count: int = 2
) -> Path:
    for seed in range(count):
        for role, view in bright(simulate_pair(seed, SETTINGS)).items():
            (folder / role).mkdir(parents=True, exist_ok=True)
            (folder / role / f"{seed}.{ending}").write_bytes(encode(on_scale(view, peak)))
    return folder


def read(folder: Path, peak: int | None = None) -> Catalogue:
    return read_catalogue(str(folder), layout="folders", pixels=PixelOptions(peak))


def kinds(catalogue: Catalogue) -> set[str]:
    return {problem.kind for problem in catalogue.problems}


class TestScale:
    @pytest.mark.parametrize("peak", [1, 255, 1000, 1023, 4095, 16383, 65534])
    def test_there_and_back_is_exact(self, peak: int) -> None:
        values = np.arange(peak + 1, dtype=np.uint16).reshape(-1, 1, 1)
        full = to_full_scale(values, peak)
        assert (full[0], full[-1]) == (0, 65535)
        assert np.abs(full - values * (65535 / peak)).max() <= 0.5
        np.testing.assert_array_equal(to_peak_scale(full, peak), values)

    def test_a_value_above_is_refused(self) -> None:
        with pytest.raises(PeakMismatchError, match="above the peak"):
            to_full_scale(np.full((2, 2, 1), 4096, np.uint16), 4095)

    @pytest.mark.parametrize(("text", "peak"), [("4095", 4095), (4095, 4095), ("full", 65535), ("", None)])
    def test_how_it_is_named(self, text: object, peak: int | None) -> None:
        assert parse_peak(text) == peak

    @pytest.mark.parametrize("text", ["0", "-1", "65536", "4095.5", "12bit", "9999999999", True])
    def test_what_is_no_peak(self, text: object) -> None:
        with pytest.raises(SettingsError):
            parse_peak(text)


class TestWhatNamesThePeak:
    @pytest.mark.parametrize("name", ENCODERS)
    def test_the_pictures_themselves(self, tmp_path: Path, name: str) -> None:
        encode, ending = ENCODERS[name]
        catalogue = read(write_set(tmp_path, peak=PEAK, encode=encode, ending=ending))
        require_named_peak(catalogue)
        assert [item.peak for item in catalogue.items] == [PEAK, PEAK]
        self.assert_full_range(load_pair(catalogue.items[0]))

    def test_a_tiff_of_12_bit(self, tmp_path: Path) -> None:
        views = bright(simulate_pair(0, SETTINGS))
        for role, view in views.items():
            (tmp_path / role).mkdir()
            twelve = on_scale(view, PEAK)[..., :1]
            packed = tifffile.TiffWriter(tmp_path / role / "0.tif")
            high, low = twelve.reshape(-1, 2)[:, 0], twelve.reshape(-1, 2)[:, 1]
            octets = np.stack([high >> 4, (high & 15) << 4 | low >> 8, low & 255], axis=1).astype(np.uint8)
            with packed:
                packed.write(
                    iter([octets.tobytes()]),
                    shape=twelve.shape[:2],
                    dtype=np.uint16,
                    bitspersample=12,
                    photometric="minisblack",
                    metadata=None,
                    rowsperstrip=twelve.shape[0],
                    compression=_AS_IT_IS,
                )
        [item] = read(tmp_path).items
        assert item.peak == PEAK
        np.testing.assert_array_equal(
            load_pair(item).left, to_full_scale(on_scale(views["left"], PEAK)[..., :1], PEAK)
        )

    def test_its_user_before_all_else(self, tmp_path: Path) -> None:
        write_set(tmp_path, peak=1023, encode=ENCODERS["sBIT"][0])
        catalogue = read(tmp_path, peak=1023)
        assert {item.peak for item in catalogue.items} == {1023}
        self.assert_full_range(load_pair(catalogue.items[0]), peak=1023)

    def test_a_column_of_a_manifest(self, tmp_path: Path) -> None:
        write_set(tmp_path, peak=PEAK)
        rows = [
            "left,right,target,peak",
            *(f"left/{n}.png,right/{n}.png,target/{n}.png,{PEAK}" for n in "01"),
        ]
        (tmp_path / "set.csv").write_text("\n".join(rows) + "\n")
        catalogue = read_catalogue(str(tmp_path / "set.csv"), layout="manifest")
        require_named_peak(catalogue)
        assert (kinds(catalogue), {item.peak for item in catalogue.items}) == (set(), {PEAK})
        self.assert_full_range(load_pair(catalogue.items[0]))

    def test_a_wrong_cell_of_that_column_is_a_bad_row(self, tmp_path: Path) -> None:
        write_set(tmp_path, peak=65535)
        rows = ["left,right,peak", "left/0.png,right/0.png,12bit", "left/1.png,right/1.png,"]
        (tmp_path / "set.csv").write_text("\n".join(rows) + "\n")
        catalogue = read_catalogue(str(tmp_path / "set.csv"), layout="manifest")
        assert (kinds(catalogue), len(catalogue.items)) == ({"bad_row"}, 1), catalogue.problems

    @pytest.mark.parametrize("spread", [16, "repeated"])
    def test_sbit_of_values_at_full_range_as_the_standard_has_them(self, tmp_path: Path, spread: Any) -> None:
        def encode(pixels: Pixels) -> bytes:
            twelve = pixels >> 4
            return sbit(twelve * 16 if spread == 16 else twelve << 4 | twelve >> 8, 12)

        catalogue = read(write_set(tmp_path, peak=65535, encode=encode))
        assert ({item.peak for item in catalogue.items}, kinds(catalogue)) == ({None}, set())

    def test_it_outlives_the_catalogue_as_text(self, tmp_path: Path) -> None:
        catalogue = read(write_set(tmp_path, peak=PEAK), peak=PEAK)
        assert catalogue_from_jsonl(catalogue_to_jsonl(catalogue)) == catalogue

    def test_it_cannot_be_named_of_8_bit(self, tmp_path: Path) -> None:
        write_set(tmp_path, peak=65535, encode=lambda pixels: encode_image((pixels >> 8).astype(np.uint8)))
        with pytest.raises(CatalogueError, match="no item of this dataset has a peak"):
            read(tmp_path, peak=PEAK)

    @staticmethod
    def assert_full_range(pair: Pair, peak: int = PEAK) -> None:
        expected = bright(simulate_pair(0, SETTINGS))
        assert pair.source_peak == peak
        for role, view in pair.views.items():
            np.testing.assert_array_equal(view, to_full_scale(on_scale(expected[role], peak), peak))


class TestWhatIsRefused:
    @pytest.mark.parametrize("bits", [10, 12, 14, 15])
    def test_a_ceiling_stops_until_the_peak_is_named(self, tmp_path: Path, bits: int) -> None:
        write_set(tmp_path, peak=2**bits - 1)
        with pytest.raises(PeakUnnamedError, match=f"values end at {2**bits - 1}"):
            require_named_peak(read(tmp_path))
        for peak in (2**bits - 1, 65535):
            require_named_peak(read(tmp_path, peak=peak))
            load_pair(read(tmp_path, peak=peak).items[0])

    def test_so_does_one_that_stray_pixels_exceed(self, tmp_path: Path) -> None:
        def with_hot_pixel(pixels: Pixels) -> bytes:
            pixels[3, 5] = 65535
            return encode_image(pixels)

        with pytest.raises(PeakUnnamedError):
            require_named_peak(read(write_set(tmp_path, peak=PEAK, encode=with_hot_pixel)))

    def test_so_do_truths_of_full_range_beside_views_of_12_bit(self, tmp_path: Path) -> None:
        write_set(tmp_path, peak=PEAK)
        for seed in range(2):
            target = bright(simulate_pair(seed, SETTINGS))["target"]
            (tmp_path / "target" / f"{seed}.png").write_bytes(encode_image(target))
        with pytest.raises(PeakUnnamedError):
            require_named_peak(read(tmp_path))
        with pytest.raises(PeakMismatchError, match="above the peak"):
            load_pair(read(tmp_path, peak=PEAK).items[0])

    def test_an_item_that_the_sample_missed_is_refused_when_it_is_read(self, tmp_path: Path) -> None:
        write_set(tmp_path, peak=65535, count=9)
        catalogue = read(tmp_path)
        write_set(tmp_path, peak=PEAK, count=1)
        with pytest.raises((PeakUnnamedError, PeakMismatchError)):
            load_pair(read(tmp_path).items[0])
        assert kinds(catalogue) == set()

    @pytest.mark.parametrize("other", [1023, 65535])
    def test_pictures_of_different_largest_values(self, tmp_path: Path, other: int) -> None:
        write_set(tmp_path, peak=PEAK, encode=ENCODERS["PGM and PPM"][0], ending="ppm")
        right = on_scale(bright(simulate_pair(1, SETTINGS))["right"], other)
        (tmp_path / "right" / "1.ppm").write_bytes(pgm(right, other))
        catalogue = read(tmp_path)
        assert (kinds(catalogue), len(catalogue.items)) == ({"peak_mismatch"}, 1)

    def test_an_sbit_on_one_view_only(self, tmp_path: Path) -> None:
        write_set(tmp_path, peak=PEAK, encode=ENCODERS["sBIT"][0])
        right = on_scale(bright(simulate_pair(1, SETTINGS))["right"], PEAK)
        (tmp_path / "right" / "1.png").write_bytes(encode_image(right))
        catalogue = read(tmp_path)
        assert "peak_mismatch" in kinds(catalogue)
        assert [item.peak for item in catalogue.items] == [PEAK]


class TestWhatIsSound:
    def test_full_range(self, tmp_path: Path) -> None:
        assert kinds(read(write_set(tmp_path, peak=65535))) == set()

    @pytest.mark.parametrize("exposure", [0.5, 0.25, 0.061, 0.02, 0.004])
    def test_dark_scenes_are_read_and_low_values_reported(self, tmp_path: Path, exposure: float) -> None:
        rng = np.random.default_rng(3)
        for seed in range(2):
            for role, view in simulate_pair(seed, SETTINGS).views.items():
                (tmp_path / role).mkdir(exist_ok=True)
                noisy = np.clip(257.0 * view * exposure + rng.normal(0, 20, view.shape), 0, 65535)
                (tmp_path / role / f"{seed}.png").write_bytes(encode_image(noisy.astype(np.uint16)))
        catalogue = read(tmp_path)
        require_named_peak(catalogue)
        assert kinds(catalogue) <= {"low_values"}
        assert load_pair(catalogue.items[0]).source_peak is None

    @pytest.mark.parametrize("level", [0, 64, 255, 512, 1000, 1023, 4090, 16380])
    @pytest.mark.parametrize("noise", [0.3, 0.5, 1, 2, 3, 10])
    def test_dark_frames_on_any_pedestal(self, level: int, noise: float) -> None:
        values = np.rint(np.random.default_rng(0).normal(level, noise, (200, 300, 1)))
        assert find_ceiling(count_values(np.clip(values, 0, 65535).astype(np.uint16))) is None

    def test_black_frames(self) -> None:
        assert find_ceiling(count_values(np.zeros((64, 64, 3), np.uint16))) is None


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_scores_and_restorations_are_those_of_full_scale(tmp_path: Path, bits: int) -> None:
    peak = 2**bits - 1
    low = write_set(tmp_path / "low", peak=peak, count=1)
    full = write_set(
        tmp_path / "full", peak=peak, encode=lambda p: encode_image(to_full_scale(p, peak)), count=1
    )
    named, unnamed = (load_pair(read(folder, p).items[0]) for folder, p in ((low, peak), (full, None)))
    maps = [make_estimator("disparity").estimate(pair) for pair in (named, unnamed)]
    restored = [
        make_deblurrer("wiener").restore(pair, blur_map)
        for pair, blur_map in zip((named, unnamed), maps, strict=True)
    ]
    np.testing.assert_array_equal(*restored)
    first, second = (
        {(s.metric, s.subject): s.value for s in score_item(pair, restored=image, blur_map=None)}
        for pair, image in zip((named, unnamed), restored, strict=True)
    )
    assert first == pytest.approx(second, abs=1e-3)
    original = bright(simulate_pair(0, SETTINGS))
    exact = score_item(Pair("set/0", **original), restored=None, blur_map=None)
    for score in exact:
        assert first[score.metric, score.subject] == pytest.approx(
            score.value, abs=2e-3 if bits > 10 else 0.05
        )


_AS_IT_IS = 1
