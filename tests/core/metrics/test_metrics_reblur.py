"""The reblur residual ranks restorations and maps without knowing the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ldp_core.errors import BlurMapError, MetricError
from ldp_core.metrics import psnr_db, reblur, reblur_psnr_db
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.optics.kernels import DEFAULT_KERNEL
from ldp_core.optics.render import render_views
from ldp_core.single_view import input_image
from ldp_core.types import BlurMap, BlurMapKind, FloatMap, Pair, Pixels, Region


def signed(coc_px: FloatMap) -> BlurMap:
    return BlurMap(coc_px.astype(np.float32), BlurMapKind.SIGNED_COC_PX)


def explain(picture: Pixels, pair: Pair, blur_map: BlurMap) -> float:
    return reblur_psnr_db({"picture": picture}, pair, blur_map=blur_map)["picture"]


@pytest.fixture(scope="module")
def coc_px() -> FloatMap:
    """From 6 px in front of the focal plane to 8 px behind it, left to right."""
    return np.tile(np.linspace(-6, 8, 96, dtype=np.float32), (48, 1))


@pytest.fixture(scope="module")
def pair(coc_px: FloatMap) -> Pair:
    """A textured picture seen through those circles of confusion."""
    noise = np.random.default_rng(0).normal(size=(*coc_px.shape, 3))
    sharp = quantise(0.5 + 1.2 * gaussian_filter(noise, (1, 1, 0)))
    planes = torch.from_numpy(sharp / np.float32(255)).permute(2, 0, 1)[None]
    left, right = (
        quantise(view[0].permute(1, 2, 0).numpy())
        for view in render_views(planes, torch.from_numpy(coc_px)[None])
    )
    return Pair("set/one", left, right, target=sharp)


def quantise(picture: np.ndarray) -> Pixels:
    return np.rint(picture.clip(0, 1) * 255).astype(np.uint8)


def test_the_truth_explains_the_views(pair: Pair, coc_px: FloatMap) -> None:
    assert pair.target is not None
    assert explain(pair.target, pair, signed(coc_px)) > 50


def test_the_input_blurred_again_explains_them_worse(pair: Pair, coc_px: FloatMap) -> None:
    assert explain(input_image(pair), pair, signed(coc_px)) < 30


@pytest.mark.parametrize(
    ("factor", "offset"), [(-1, 0), (0, 0), (1.3, 0), (1, 2)], ids=["wrong sign", "no blur", "scale", "bias"]
)
def test_a_wrong_map_explains_them_worse(pair: Pair, coc_px: FloatMap, factor: float, offset: float) -> None:
    assert pair.target is not None
    right = explain(pair.target, pair, signed(coc_px))
    wrong = explain(pair.target, pair, signed(factor * coc_px + offset))
    assert wrong < right - 10


def test_only_the_score_region_counts(pair: Pair, coc_px: FloatMap) -> None:
    assert pair.target is not None
    left = pair.left.copy()
    left[:, 48:] = 0
    spoiled = replace(pair, left=left, score_region=Region(right=48))
    whole = replace(spoiled, score_region=Region())
    assert explain(pair.target, spoiled, signed(coc_px)) > 50
    assert explain(pair.target, whole, signed(coc_px)) < 20


def test_the_tiles_of_a_picture_join_without_a_seam(
    pair: Pair, coc_px: FloatMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pair.target is not None
    whole = blur_in_tiles(pair.target, coc_px)
    monkeypatch.setattr(reblur, "TILE_PX", 20)
    assert psnr_db(blur_in_tiles(pair.target, coc_px), whole) > 65


def blur_in_tiles(picture: Pixels, coc_px: FloatMap) -> FloatMap:
    height, width, channels = picture.shape
    views = np.full((2 * channels, height, width), np.nan, np.float32)
    for rows, columns, part in reblur._blur_in_tiles([picture], coc_px, DEFAULT_KERNEL):
        views[:, rows, columns] = part.flatten(0, 1)
    return views.transpose(1, 2, 0)


def test_pictures_are_blurred_together_as_alone(pair: Pair, coc_px: FloatMap) -> None:
    assert pair.target is not None
    pictures = {"truth": pair.target, "input": input_image(pair)}
    together = reblur_psnr_db(pictures, pair, blur_map=signed(coc_px))
    alone = {name: explain(picture, pair, signed(coc_px)) for name, picture in pictures.items()}
    assert together == pytest.approx(alone, abs=1e-4)


def test_the_figure_is_that_of_one_picture_rendered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = simulate_pair(5, SimulationSettings(height=150, width=210))
    assert scene.target is not None
    assert scene.blur_truth is not None
    monkeypatch.setattr(reblur, "TILE_PX", 64)
    pictures = {"truth": scene.target, "input": input_image(scene)}
    found = reblur_psnr_db(pictures, scene, blur_map=signed(scene.blur_truth))
    views, coc = np.concatenate(scene.both_views, axis=2), torch.from_numpy(scene.blur_truth)[None]
    for name, picture in pictures.items():
        sharp = torch.from_numpy(picture / np.float32(255)).permute(2, 0, 1)[None]
        blurred = torch.cat(render_views(sharp, coc), 1)[0].clamp(0, 1).permute(1, 2, 0).numpy()
        assert found[name] == pytest.approx(psnr_db(blurred, views, region=scene.score_region), abs=1e-3)


def test_a_map_without_sign_is_refused(pair: Pair, coc_px: FloatMap) -> None:
    with pytest.raises(BlurMapError, match="no radius"):
        explain(pair.left, pair, BlurMap(np.abs(coc_px) / 8, BlurMapKind.SIMILARITY))


def test_a_map_that_does_not_fit_is_refused(pair: Pair, coc_px: FloatMap) -> None:
    with pytest.raises(MetricError, match="cannot be blurred"):
        explain(pair.left, pair, signed(coc_px[:-1]))
    with pytest.raises(MetricError, match="cannot be blurred"):
        explain(pair.left, pair, signed(np.full_like(coc_px, np.inf)))
    with pytest.raises(MetricError, match="cannot be blurred"):
        explain(pair.left[:-1], pair, signed(coc_px))
