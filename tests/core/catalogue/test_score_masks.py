"""A mask of the pixels that are scored: read from a manifest, archived, and regarded by every score."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ldp_core.archive import Archive, pair_digest
from ldp_core.axis_adapter import align_axis
from ldp_core.catalogue import catalogue_from_jsonl, catalogue_to_jsonl, load_pair, read_catalogue
from ldp_core.errors import MaskError
from ldp_core.images import encode_image
from ldp_core.metrics import mae, psnr_db, score_item
from ldp_core.metrics.reblur import reblur_psnr_db
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.protocols import ScoringOptions
from ldp_core.types import BlurMap, BlurMapKind, Catalogue, DpAxis, Pair, Region

SIZE = {"height": 64, "width": 72}


@pytest.fixture(scope="module")
def pair() -> Pair:
    return simulate_pair(0, SimulationSettings(**SIZE))


@pytest.fixture
def mask() -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:64, :72]
    inside: NDArray[np.bool_] = (rows - 30) ** 2 + (columns - 36) ** 2 < 22**2
    return inside


def write_source(folder: Path, pair: Pair, mask: NDArray[np.generic], *, dtype: type = np.uint8) -> Path:
    """A manifest of two items: one with this mask, and a sound one without."""
    for name, pixels in pair.views.items():
        (folder / f"{name}.png").write_bytes(encode_image(pixels, format="png"))
    stored = mask if mask.dtype != np.bool_ else np.where(mask, np.iinfo(dtype).max, 0).astype(dtype)
    pixels = stored if stored.ndim == 3 else stored[..., None]
    (folder / "mask.png").write_bytes(encode_image(pixels, format="png"))
    with (folder / "list.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "left", "right", "target", "mask"])
        writer.writerow(["masked", "left.png", "right.png", "target.png", "mask.png"])
        writer.writerow(["plain", "left.png", "right.png", "target.png", ""])
    return folder / "list.csv"


def read(manifest: Path) -> Catalogue:
    return read_catalogue(str(manifest), layout="manifest", dataset="set")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_mask_goes_from_the_manifest_into_the_archive(
    tmp_path: Path, pair: Pair, mask: NDArray[np.bool_], dtype: type
) -> None:
    found = read(write_source(tmp_path, pair, mask, dtype=dtype))
    assert found.problems == ()
    assert catalogue_from_jsonl(catalogue_to_jsonl(found)) == found
    archive = Archive(str(tmp_path / "archive"))
    masked, plain = (load_pair(item) for item in found.items)
    for one in (masked, plain):
        archive.write_pair(one, provenance={})
        assert pair_digest(archive.read_pair(one.id)) == pair_digest(one)
    again = archive.read_pair(masked.id).mask
    assert again is not None
    assert np.array_equal(again, mask)
    assert archive.read_pair(plain.id).mask is None
    assert archive.read_attributes("frames", "", masked.id)["views"] == ["left", "right", "target", "mask"]
    assert pair_digest(masked) != pair_digest(plain)


def test_a_picture_without_a_mask_has_the_digest_it_always_had(
    tmp_path: Path, pair: Pair, mask: NDArray[np.bool_]
) -> None:
    plain = read(write_source(tmp_path, pair, mask)).items[1]
    assert pair_digest(load_pair(plain)) == pair_digest(
        replace(pair, blur_truth=None, blur_truth_kind=plain.blur_truth_kind)
    )


def test_colours_of_a_mask_may_be_equal(tmp_path: Path, pair: Pair, mask: NDArray[np.bool_]) -> None:
    coloured = np.where(mask, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2)
    [masked, _] = read(write_source(tmp_path, pair, coloured)).items
    found = load_pair(masked).mask
    assert found is not None
    assert np.array_equal(found, mask)


def test_a_mask_of_another_size_refuses_its_item_alone(tmp_path: Path, pair: Pair) -> None:
    found = read(write_source(tmp_path, pair, np.ones((32, 72), np.bool_)))
    assert [item.id for item in found.items] == ["set/plain"]
    [problem] = found.problems
    assert (problem.kind, problem.refuses_item) == ("size_mismatch", True)
    assert "mask" in problem.message


BAD = {
    "empty": np.zeros((64, 72), np.uint8),
    "labels 0 and 1": np.eye(64, 72, dtype=np.uint8),
    "grey": np.full((64, 72), 128, np.uint8),
    "red": np.array([255, 0, 0], np.uint8) * np.ones((64, 72, 1), np.uint8),
}


@pytest.mark.parametrize("name", BAD)
def test_a_mask_that_says_nothing_sound_is_refused_by_a_typed_error(
    tmp_path: Path, pair: Pair, name: str
) -> None:
    masked, plain = read(write_source(tmp_path, pair, BAD[name])).items
    with pytest.raises(MaskError) as caught:
        load_pair(masked)
    assert caught.value.remedy
    assert load_pair(plain).mask is None


def test_a_mask_beside_its_region_is_refused(pair: Pair, mask: NDArray[np.bool_]) -> None:
    with pytest.raises(MaskError, match="white"):
        replace(pair, mask=mask, score_region=Region(top=60))
    with pytest.raises(MaskError, match="shape"):
        replace(pair, mask=mask[1:])
    assert replace(pair, mask=mask, score_region=Region(top=20)).scored == "rows 20:, mask"


def test_what_lies_outside_the_mask_changes_no_score(pair: Pair, mask: NDArray[np.bool_]) -> None:
    """Except through windows of SSIM, which reach 3 pixels out of it."""
    restored, target = pair.left.copy(), pair.target
    assert target is not None
    restored[~mask] = 0
    spoiled, whole = (
        score_item(replace(pair, mask=mask), restored=one, blur_map=None) for one in (restored, pair.left)
    )
    assert {score.protocol.region for score in spoiled} == {"mask"}
    for first, second in zip(spoiled, whole, strict=True):
        if first.metric != "ssim":
            assert first == second
    values = {score.metric: score.value for score in spoiled if score.subject == "restored"}
    error = (pair.left.astype(float) - target)[mask] / pair.peak
    assert values["psnr_db"] == pytest.approx(-10 * np.log10(np.square(error).mean()))
    assert values["mae"] == pytest.approx(np.abs(error).mean())


def test_a_whole_mask_gives_the_scores_of_none(pair: Pair) -> None:
    everywhere = np.ones((64, 72), np.bool_)
    coc = BlurMap(np.full((64, 72), 3, np.float32), BlurMapKind.SIGNED_COC_PX)
    options = ScoringOptions.of(["ifan", "one-gain", "basicsr-y-border4"])
    found, usual = (
        score_item(one, restored=pair.left, blur_map=coc, options=options)
        for one in (replace(pair, mask=everywhere, aligned=False), replace(pair, aligned=False))
    )
    assert len(found) == len(usual)
    for ours, theirs in zip(found, usual, strict=True):
        assert ours.value == pytest.approx(theirs.value, abs=1e-12)
        assert ours.protocol.region == "mask"


def test_maps_and_reblurring_regard_the_mask(pair: Pair, mask: NDArray[np.bool_]) -> None:
    assert pair.blur_truth is not None
    wrong = np.where(mask, pair.blur_truth, -pair.blur_truth).astype(np.float32)
    scores = score_item(
        replace(pair, mask=mask), restored=None, blur_map=BlurMap(wrong, BlurMapKind.SIGNED_COC_PX)
    )
    values = {score.metric: score.value for score in scores if score.subject == "blur_map"}
    assert values["ai2"] == pytest.approx(0, abs=1e-5)
    sharp = {"x": pair.left}
    coc = BlurMap(np.zeros((64, 72), np.float32), BlurMapKind.SIGNED_COC_PX)
    spoiled = replace(pair, left=np.where(mask[..., None], pair.left, 0).astype(pair.left.dtype), mask=mask)
    expected = reblur_psnr_db(sharp, replace(pair, mask=mask), blur_map=coc)
    assert reblur_psnr_db(sharp, spoiled, blur_map=coc) == expected
    assert reblur_psnr_db(sharp, replace(spoiled, mask=None), blur_map=coc) != expected


def test_metrics_of_a_whole_picture_are_left_out(pair: Pair, mask: NDArray[np.bool_]) -> None:
    options = ScoringOptions.of(["no-reference", "dpdd"])
    masked, whole = (
        {s.metric for s in score_item(one, restored=None, blur_map=None, options=options)}
        for one in (replace(pair, mask=mask), pair)
    )
    assert whole - masked == {"blur_effect"}


def test_a_mask_lies_as_its_views_do(pair: Pair, mask: NDArray[np.bool_]) -> None:
    upright = replace(pair, mask=mask, dp_axis=DpAxis.Y)
    turned = align_axis(upright).mask
    assert turned is not None
    assert np.array_equal(turned, mask.T)


def test_masked_metrics_agree_with_a_rectangle(pair: Pair) -> None:
    inside = np.zeros((64, 72), np.bool_)
    inside[10:50, 20:60] = True
    region = Region(10, 20, 50, 60)
    assert pair.target is not None
    for metric in (psnr_db, mae):
        assert metric(pair.left, pair.target, mask=inside) == pytest.approx(
            metric(pair.left, pair.target, region=region)
        )
