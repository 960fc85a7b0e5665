"""Items whose second view is missing: read, archived, scored, and refused where two views are compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from archive_samples import assert_same_fields, make_map, make_pair
from single_samples import write_bdir, write_dbd

from ldp_core import storage
from ldp_core.archive import Archive
from ldp_core.archive.audit import audit_item
from ldp_core.archive.layout import FRAME_SECTION, Address
from ldp_core.axis_adapter import align_axis
from ldp_core.blur import ESTIMATORS, make_estimator
from ldp_core.catalogue import catalogue_from_jsonl, catalogue_to_jsonl, load_pair, read_catalogue
from ldp_core.deblur import DEBLURRERS, make_deblurrer
from ldp_core.errors import MetricError, SceneMismatchError, SecondViewMissingError
from ldp_core.images import encode_image
from ldp_core.metrics import score_item
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.report import render_pictures
from ldp_core.single_view import input_image
from ldp_core.types import BlurMapKind, DpAxis, Pair, Pixels, Region


@pytest.fixture(scope="module")
def pair() -> Pair:
    return simulate_pair(4, SimulationSettings(height=96, width=112))


@pytest.fixture(scope="module")
def single(pair: Pair) -> Pair:
    return replace(pair, right=None)


def picture(seed: int, *, width: int = 64) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (64, width, 3), dtype=np.uint8)


def put(root: Path, **seeds: int) -> None:
    for name, seed in seeds.items():
        storage.write_bytes(f"{root}/{name.replace('__', '/')}.png", encode_image(picture(seed)))


class TestPair:
    def test_it_knows_how_many_views_it_has(self, pair: Pair, single: Pair) -> None:
        assert (pair.has_both_views, single.has_both_views) == (True, False)
        assert list(single.views) == ["left", "target"]
        assert pair.both_views == (pair.left, pair.right)
        with pytest.raises(SecondViewMissingError) as caught:
            _ = single.both_views
        assert caught.value.where == single.id
        assert all((caught.value.what, caught.value.expected, caught.value.got, caught.value.remedy))

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_the_one_picture_is_the_rounded_mean_or_the_only_view(self, dtype: type) -> None:
        left, right = (np.array([[[a]]], dtype) for a in (np.iinfo(dtype).max, np.iinfo(dtype).max - 1))
        assert input_image(Pair("a", left, right)).item() == np.iinfo(dtype).max - 1  # half to even
        assert input_image(Pair("a", left)) is left
        assert input_image(Pair("a", left, right)).dtype == dtype

    def test_it_turns_like_a_pair(self, single: Pair) -> None:
        turned = align_axis(replace(single, dp_axis=DpAxis.Y))
        assert turned.right is None
        np.testing.assert_array_equal(turned.left, single.left.swapaxes(0, 1))


class TestMethods:
    @pytest.mark.parametrize("name", [n for n in ESTIMATORS if ESTIMATORS[n].views == 2])
    def test_estimators_that_compare_views_say_so(self, single: Pair, name: str) -> None:
        with pytest.raises(SecondViewMissingError, match=name):
            make_estimator(name).estimate(single)

    @pytest.mark.parametrize("name", [n for n in DEBLURRERS if DEBLURRERS[n].views == 2])
    def test_deblurrers_that_compare_views_say_so(self, single: Pair, name: str) -> None:
        with pytest.raises(SecondViewMissingError, match=name):
            make_deblurrer(name).restore(single, None)

    def test_methods_of_one_view_see_the_same_in_a_pair_and_in_its_mean(
        self, pair: Pair, tmp_path: Path
    ) -> None:
        mean = replace(pair, left=input_image(pair), right=None)
        bdir = make_deblurrer("bdir", write_bdir(tmp_path))
        dbd = make_estimator("depth-distilled", write_dbd(tmp_path))
        np.testing.assert_array_equal(bdir.restore(pair, None), bdir.restore(mean, None))
        found = dbd.estimate(mean)
        assert found.kind is BlurMapKind.IN_FOCUS_PROBABILITY
        np.testing.assert_array_equal(dbd.estimate(pair).values, found.values)


class TestScores:
    def test_nothing_is_blurred_again_without_a_second_view(self, pair: Pair, single: Pair) -> None:
        signed = make_estimator("disparity").estimate(pair)
        scores = score_item(single, restored=single.left, blur_map=signed)
        assert "psnr_db" in {score.metric for score in scores}
        assert "reblur_psnr_db" not in {score.metric for score in scores}

    def test_baselines_are_subjects_under_their_own_names(self, single: Pair) -> None:
        assert single.target is not None
        baselines = {"bdir": single.target}
        scores = score_item(single, restored=single.left, blur_map=None, baselines=baselines)
        best = {(s.metric, s.subject): s.value for s in scores}
        assert best["psnr_db", "bdir"] == 100
        assert best["psnr_db", "input"] == best["psnr_db", "restored"]

    def test_a_baseline_and_a_peer_of_one_name_are_refused(self, single: Pair) -> None:
        named = replace(single, external={"bdir": single.left})
        with pytest.raises(MetricError, match="reserved"):
            score_item(named, restored=None, blur_map=None, baselines={"bdir": single.left})

    def test_its_only_view_is_drawn_once(self, single: Pair) -> None:
        files = render_pictures(single, blur_map=None, restored=single.left)
        assert {"input.jpg", "restored.jpg", "target.jpg"} <= files.keys()
        assert not {"left.jpg", "right.jpg"} & files.keys()


class TestArchive:
    def test_it_is_kept_without_a_second_view(self, tmp_path: Path) -> None:
        archive, single = Archive(str(tmp_path)), replace(make_pair(), right=None)
        assert archive.write_pair(single, provenance={})
        assert not archive.write_pair(single, provenance={})
        assert_same_fields(archive.read_pair(single.id), single)
        assert archive.read_attributes("frames", "", single.id)["views"] == [
            "left", "target", "peer:apple", "peer:dpdnet",
        ]  # fmt: skip
        frames = archive.open_dataarray("frames", "", single.id)
        np.testing.assert_array_equal(frames.sel(view="left"), single.left)
        assert audit_item(str(tmp_path), Address(FRAME_SECTION, single.id)) == ()

    def test_it_has_another_digest_than_the_pair(self, tmp_path: Path) -> None:
        for name, pair in (("pair", make_pair()), ("single", replace(make_pair(), right=None))):
            Archive(str(tmp_path / name)).write_pair(pair, provenance={})
        digests = {Archive(str(tmp_path / name)).read_digest("set/one") for name in ("pair", "single")}
        assert len(digests) == 2

    def test_its_results_are_like_any_others(self, tmp_path: Path) -> None:
        archive, single = Archive(str(tmp_path)), replace(make_pair(), right=None)
        archive.write_pair(single, provenance={})
        found = replace(make_map(), kind=BlurMapKind.IN_FOCUS_PROBABILITY)
        archive.write_blur_map("dbd-1", single.id, found, input_digest=archive.read_digest(single.id))
        assert_same_fields(archive.read_blur_map("dbd-1", single.id), found)


class TestLayouts:
    def test_two_folders_side_by_side_pictures_and_plain_ones(self, tmp_path: Path) -> None:
        put(tmp_path, input__a=1, ground_truth__a=1, deep__b_input=2, deep__b_gt=2, c=3)
        catalogue = read_catalogue(str(tmp_path), layout="single", dataset="set")
        assert catalogue.problems == ()
        assert {item.id: item.target is not None for item in catalogue.items} == {
            "set/a": True,
            "set/c": False,
            "set/deep-b": True,
        }
        assert not any(item.has_both_views for item in catalogue.items)
        pairs = [load_pair(item) for item in catalogue.items]
        np.testing.assert_array_equal(pairs[0].left, picture(1))
        np.testing.assert_array_equal(pairs[1].left, picture(3))
        assert catalogue_from_jsonl(catalogue_to_jsonl(catalogue)) == catalogue

    def test_what_cannot_be_a_single_view_is_named(self, tmp_path: Path) -> None:
        put(tmp_path, a=1, b_gt=2)
        storage.write_bytes(f"{tmp_path}/notes.txt", b"")
        catalogue = read_catalogue(str(tmp_path), layout="single", dataset="set")
        assert [item.id for item in catalogue.items] == ["set/a"]
        named = {problem.kind: problem.refuses_item for problem in catalogue.problems}
        assert named == {"missing_partner": True, "stray_file": False}

    def test_a_target_of_another_scene_is_refused(self, tmp_path: Path) -> None:
        steps = np.linspace(0, 255, 128).astype(np.uint8)
        scene = np.broadcast_to(steps[:, None, None], (128, 128, 3))
        for name, pixels in (("a_input", scene), ("a_gt", scene[::-1])):
            storage.write_bytes(f"{tmp_path}/{name}.png", encode_image(np.ascontiguousarray(pixels)))
        (item,) = read_catalogue(str(tmp_path), layout="single").items
        with pytest.raises(SceneMismatchError):
            load_pair(item)

    def test_combined_pictures_of_canon_are_single_views(self, tmp_path: Path) -> None:
        put(tmp_path, A_l=1, A_r=1, A_gt=1, A_c=2, A_dpdnet=1, B_l=1, B_r=1)
        catalogue = read_catalogue(str(tmp_path), layout="canon-dpdd-combined", dataset="set")
        (item,) = catalogue.items
        assert item.id == "set/a-combined"
        assert item.left.uri.endswith("A_c.png")
        assert not item.has_both_views
        assert item.target is not None
        assert set(item.external) == {"dpdnet"}
        assert item.score_region == Region(top=44)
        assert [(p.kind, p.refuses_item) for p in catalogue.problems] == [("missing_partner", True)]

    def test_layouts_that_make_views_of_both_refuse_one(self, tmp_path: Path) -> None:
        put(tmp_path, a_left=1, b_left=1, b_right=1, calibration__white_sheet_left=1)
        put(tmp_path, calibration__white_sheet_right=1)
        catalogue = read_catalogue(str(tmp_path), layout="pixel4-raw", dataset="set")
        assert [item.id for item in catalogue.items] == ["set/b"]
        assert [problem.kind for problem in catalogue.problems] == ["missing_partner"]

    @pytest.mark.real
    def test_real_single_views(self, real_data: Path) -> None:
        catalogue = read_catalogue(str(real_data / "single" / "lfdof"), layout="single")
        assert catalogue.problems == ()
        pair = load_pair(catalogue.items[0])
        assert pair.target is not None
        assert pair.target.shape == pair.left.shape == (688, 1008, 3)

    @pytest.mark.real
    def test_real_combined_pictures(self, real_data: Path) -> None:
        catalogue = read_catalogue(str(real_data / "dp" / "canon_dpdd"), layout="canon-dpdd-combined")
        assert catalogue.problems == ()
        assert len(catalogue.items) == 5
        assert load_pair(catalogue.items[0]).score_region == Region(top=44)
