"""Layouts of published datasets: their own trees, names and conventions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from ldp_core import storage
from ldp_core.blur import make_estimator
from ldp_core.catalogue import load_pair, read_catalogue
from ldp_core.images import encode_image, read_image
from ldp_core.types import BlurTruthKind, Catalogue, DpAxis, Item, Pixels

ROOT = "memory://layouts/set"


@pytest.fixture(autouse=True)
def _empty_store() -> Iterator[None]:
    yield
    MemoryFileSystem.store.clear()


def draw_scene(scene: int, role: int = 0, *, bit_depth: int = 8) -> Pixels:
    """A picture ``(64, 64, 1)``: coarse blocks tell the scene, a faint pattern the role."""
    coarse = np.random.default_rng(scene).integers(40, 200, (4, 4)).repeat(16, 0).repeat(16, 1)
    picture = coarse + np.random.default_rng([scene, role]).integers(0, 8, (64, 64))
    if bit_depth == 16:
        return (picture * 257).astype(np.uint16)[..., None]
    return picture.astype(np.uint8)[..., None]


def put(path: str, picture: Pixels) -> None:
    storage.write_bytes(storage.join(ROOT, path), encode_image(picture))


def put_dpdd(split: str, scenes: dict[int, int], *, bit_depth: int = 8) -> None:
    """A split by source number and number of the target; the scene is the source's number."""
    for source, target in scenes.items():
        views = [draw_scene(source, role, bit_depth=bit_depth) for role in range(4)]
        put(f"{split}_l/source/1P0A{source:04}_L.png", views[0])
        put(f"{split}_r/source/1P0A{source:04}_R.png", views[1])
        put(f"{split}_c/source/1P0A{source:04}.png", views[2])
        put(f"{split}_c/target/1P0A{target:04}.png", views[3])


def targets_of(catalogue: Catalogue) -> dict[int, int | None]:
    """Number of the target by number of the source."""
    return {
        number_of(item.left.uri): number_of(item.target.uri) if item.target else None
        for item in catalogue.items
    }


def number_of(uri: str) -> int:
    return int(uri.rsplit("1P0A")[-1][:4])


def kinds(catalogue: Catalogue) -> list[str]:
    return [problem.kind for problem in catalogue.problems if problem.kind != "unofficial_split"]


SOURCES = (
    "0917 0933 0960 0972 0984 0994 1002 1007 1046 1063 1067 1112 1434 1442 1444 1456 1488 1526 1532 1587 "
    "1589 1591 1600 1604 1614 1643 1647 1651 1655 1696 1717 1723 1734 1740 1772 1781 1810 1811 1834 1890 "
    "1910 1916 1924 1932 1973 1979 1983 1987 1992 2003 2014 2030 2066 2074 2098 2151 2154 2163 2170 2177 "
    "2202 2206 2239 2258 2261 2317 2350 2357 2358 2372 2397 2414 2417 2501 2513 2521"
)
BEFORE = (
    "0917 0933 0960 0972 1002 1046 1112 1696 1772 1810 1834 1987 2003 2154 2170 2177 2202 2206 2261 2317 "
    "2350 2357 2372 2414 2417 2521"
)
OFFICIAL_TEST = {int(n): int(n) + 1 for n in SOURCES.split()}
OFFICIAL_TEST |= {int(n): int(n) - 1 for n in BEFORE.split()} | {1983: 1985}
"""The test split as published: number of the target by number of the source."""


class TestDpdd:
    def test_the_official_test_split_is_paired_by_numbers_alone(self) -> None:
        for source, target in OFFICIAL_TEST.items():
            for path in (f"l/source/1P0A{source:04}_L", f"r/source/1P0A{source:04}_R"):
                put(f"test_{path}.png", np.zeros((4, 4, 1), np.uint8))
            put(f"test_c/target/1P0A{target:04}.png", np.zeros((4, 4, 1), np.uint8))
        catalogue = read_catalogue(ROOT, layout="dpdd")
        assert len(OFFICIAL_TEST) == len(catalogue.items) == 76
        assert catalogue.problems == ()
        assert targets_of(catalogue) == OFFICIAL_TEST

    @pytest.mark.parametrize("bit_depth", [8, 16])
    def test_roles(self, bit_depth: int) -> None:
        put_dpdd("train", {917: 916}, bit_depth=bit_depth)
        put_dpdd("val", {917: 918}, bit_depth=bit_depth)
        put("test_l/target/1P0A0001_L.png", draw_scene(1))
        catalogue = read_catalogue(ROOT, layout="dpdd")
        assert [item.id for item in catalogue.items] == ["set/train-1p0a0917", "set/val-1p0a0917"]
        train, val = (load_pair(item) for item in catalogue.items)
        for role, picture in enumerate([train.left, train.right, train.external["combined"], train.target]):
            np.testing.assert_array_equal(picture, draw_scene(917, role, bit_depth=bit_depth))
        assert val.target is not None
        assert catalogue.items[1].target is not None
        assert catalogue.items[1].target.uri.endswith("val_c/target/1P0A0918.png")

    def test_an_incomplete_split_is_named_and_goes_on(self) -> None:
        put_dpdd("test", {10: 11, 30: 29})
        (problem,) = read_catalogue(ROOT, layout="dpdd").problems
        assert problem.kind == "unofficial_split"
        assert "holds 2 paired scenes; the official split has 76" in problem.message
        assert not problem.refuses_item

    def test_where_numbers_leave_a_choice_pictures_decide(self) -> None:
        scenes = {1587: 1588, 1589: 1590, 1591: 1592, 1700: 1702, 1701: 1703}
        put_dpdd("test", scenes)
        storage.delete(storage.join(ROOT, "test_c/target/1P0A1588.png"))
        catalogue = read_catalogue(ROOT, layout="dpdd")
        assert targets_of(catalogue) == scenes | {1587: None}
        assert kinds(catalogue) == ["missing_target"]
        assert "1P0A1587" in catalogue.problems[-1].message

    def test_a_target_nobody_needs_is_named(self) -> None:
        put_dpdd("test", {10: 11})
        put("test_c/target/1P0A0500.png", draw_scene(3))
        put("test_c/target/no-number-.png", draw_scene(4))
        assert kinds(read_catalogue(ROOT, layout="dpdd")) == ["missing_source", "missing_source"]

    def test_pictures_that_cannot_tell_leave_the_choice_open(self) -> None:
        for number in (1587, 1589):
            put_dpdd("test", {number: number + 1})
        put("test_c/target/1P0A1586.png", draw_scene(1587, 3))
        catalogue = read_catalogue(ROOT, layout="dpdd")
        assert targets_of(catalogue) == {1587: None, 1589: 1590}

    def test_a_swapped_target_is_found_when_its_pixels_are_loaded(self) -> None:
        put_dpdd("test", {10: 11, 90: 91})
        put("test_c/target/1P0A0091.png", draw_scene(10, 3))
        good, bad = read_catalogue(ROOT, layout="dpdd").items
        assert load_pair(good).target is not None
        (doubt,) = load_pair(bad).doubts  # these pictures are too small to be refused
        assert (doubt.kind, "'target'" in doubt.message) == ("scene_mismatch", True)

    def test_a_view_in_the_other_folder_has_no_place(self) -> None:
        put_dpdd("test", {10: 11, 20: 21})
        put("test_l/source/1P0A0030_R.png", draw_scene(30))
        catalogue = read_catalogue(ROOT, layout="dpdd")
        assert kinds(catalogue) == ["stray_file"]


def test_rdpd() -> None:
    for split, sequence in (("train", "seq_001"), ("val", "seq_003"), ("test", "seq_003")):
        for role, folder in enumerate(("l/source", "r/source", "c/source", "c/target", "c/target_d")):
            put(f"{split}_{folder}/{sequence}/0000007.png", draw_scene(len(split), role))
    catalogue = read_catalogue(ROOT, layout="rdpd")
    assert catalogue.problems == ()
    assert [item.id for item in catalogue.items] == [
        f"set/{name}-0000007" for name in ("test-seq_003", "train-seq_001", "val-seq_003")
    ]
    pair = load_pair(catalogue.items[1])
    for role, picture in enumerate([pair.left, pair.right, pair.external["combined"], pair.target]):
        np.testing.assert_array_equal(picture, draw_scene(5, role))


@pytest.mark.parametrize("folder", ["", "training/"])
def test_ddd_syn(folder: str) -> None:
    for role, path in enumerate(("dp/0012_l.png", "dp/0012_r.png", "gt/0012_m.png")):
        put(folder + path, draw_scene(12, role))
    for path in ("disp/0012_dm.pfm", "disp/0012_dl.pfm"):
        storage.write_bytes(storage.join(ROOT, folder + path), b"Pf\n")
    catalogue = read_catalogue(ROOT, layout="ddd-syn")
    assert catalogue.problems == ()
    pair = load_pair(catalogue.items[0])
    assert pair.id == f"set/{folder.replace('/', '-')}0012"
    for role, picture in enumerate([pair.left, pair.right, pair.target]):
        np.testing.assert_array_equal(picture, draw_scene(12, role))


class TestCanonR6m2:
    def test_charts_take_the_mean_at_f20_as_target(self) -> None:
        for role, path in enumerate(("f4/l", "f4/r", "f20/l", "f20/r")):
            put(f"flat/001/0600/{path}.png", draw_scene(6, role))
        (item,) = read_catalogue(ROOT, layout="canon-r6m2").items
        pair = load_pair(item)
        np.testing.assert_array_equal(pair.left, draw_scene(6, 0))
        np.testing.assert_array_equal(pair.right, draw_scene(6, 1))
        sharp = (draw_scene(6, 2).astype(float) + draw_scene(6, 3)) / 2
        assert pair.target is not None
        assert np.abs(pair.target - sharp).max() <= 0.5
        assert not pair.aligned

    def test_half_a_target_is_refused(self) -> None:
        for role, path in enumerate(("600/f4/l", "600/f4/r", "600/f20/l", "900/f4/l", "900/f4/r")):
            put(f"flat/001/{path}.png", draw_scene(6, role))
        catalogue = read_catalogue(ROOT, layout="canon-r6m2")
        assert [item.id for item in catalogue.items] == ["set/flat-001-900"]
        assert kinds(catalogue) == ["missing_partner"]

    @pytest.mark.real
    def test_the_real_tree(self, real_data: Path) -> None:
        catalogue = read_catalogue(str(real_data / "dp" / "canon_r6m2"), layout="canon-r6m2")
        assert catalogue.problems == ()
        assert len(catalogue.items) == 10
        charts = [load_pair(item) for item in catalogue.items if "flat" in item.id]
        assert len(charts) == 2
        for pair in charts:
            assert pair.target is not None
            assert sharpness(pair.target) > 1.02 * sharpness(pair.left)


def sharpness(picture: Pixels) -> float:
    return float(np.abs(np.diff(picture.mean(axis=2), axis=1)).mean())


class TestPixel4Raw:
    @pytest.mark.real
    def test_a_developed_scene_is_the_one_derived_by_others(self, real_data: Path) -> None:
        """The 8-bit set was made from the same files independently, with a display scale of its own."""
        (item,) = read_catalogue(str(real_data / "dp" / "pixel4_raw"), layout="pixel4-raw").items
        pair = load_pair(item)
        derived = load_pair(derived_scene(real_data))
        assert pair.left.shape == (1008, 1344, 1)
        assert pair.left.dtype == np.uint16
        assert pair.target is not None
        assert derived.target is not None
        for ours, theirs in zip(pair.views.values(), derived.views.values(), strict=True):
            scale = np.median(theirs) / 255 / (np.median(ours) / 65535)
            found = 255 * np.clip(ours / 65535 * scale, 0, 1)
            assert np.abs(found - theirs).mean() < 0.5
            assert np.abs(found - theirs).max() < 2
        assert pair.blur_truth is not None
        np.testing.assert_array_equal(pair.blur_truth, derived.blur_truth)
        assert not pair.aligned
        assert pair.blur_truth_kind is BlurTruthKind.UNSIGNED

    def test_without_a_white_sheet_items_are_refused_by_its_name(self) -> None:
        for path in ("001_left.png", "001_right.png", "002_left.png", "002_right.png"):
            put(path, draw_scene(1, bit_depth=16))
        put("calibration/white_sheet_left.png", draw_scene(1, bit_depth=16))
        with pytest.raises(Exception, match="2 image_missing") as caught:
            read_catalogue(ROOT, layout="pixel4-raw")
        assert "white_sheet_right" in str(caught.value)

    def test_pictures_that_are_no_raw_are_refused_when_loaded(self) -> None:
        for path in (
            "001_left",
            "001_right",
            "calibration/white_sheet_left",
            "calibration/white_sheet_right",
        ):
            put(f"{path}.png", draw_scene(1))
        (item,) = read_catalogue(ROOT, layout="pixel4-raw").items
        with pytest.raises(Exception, match="no sensor values"):
            load_pair(item)


def derived_scene(real_data: Path) -> Item:
    catalogue = read_catalogue(str(real_data / "dp" / "pixel4"), layout="pixel4")
    return catalogue.items[0]


class TestPixelVertical:
    def test_names_and_axis(self) -> None:
        put("a_leftPd_center.png", draw_scene(1))
        put("a_rightPd_center.png", draw_scene(1, 1))
        put("a_merged_depth_center.png", draw_scene(1))
        catalogue = read_catalogue(ROOT, layout="pixel-vertical")
        assert catalogue.problems == ()
        assert catalogue.items[0].id == "set/a-center"
        pair = load_pair(catalogue.items[0])
        assert pair.dp_axis is DpAxis.Y
        np.testing.assert_array_equal(pair.left, draw_scene(1))

    @pytest.mark.real
    def test_what_is_behind_the_focal_plane_is_positive(self, real_data: Path) -> None:
        """Part of a pole near the focal plane with the street behind it; depth says which is which."""
        folder = real_data / "dp" / "pixel_vertical"
        (item,) = read_catalogue(str(folder), layout="pixel-vertical").items
        pair = load_pair(item)
        part = np.s_[600:1000, 560:1100]
        near = replace(pair, left=pair.left[part], right=pair.right[part])
        found = make_estimator("disparity").estimate(near)
        depth = read_image(str(folder / "result_merged_depth_center.png"))[..., 0]
        height, width = pair.left.shape[:2]
        depth = np.asarray(Image.fromarray(depth).resize((width, height)))[part]
        coc_px = found.signed_coc_px()
        assert coc_px.shape == depth.shape
        assert found.confidence is not None
        sure = found.confidence > np.median(found.confidence)
        assert np.median(coc_px[sure & (depth > 235)]) > np.median(coc_px[sure & (depth < 210)]) + 1
