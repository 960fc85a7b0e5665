"""The reblur residual ranks restorations and maps without knowing the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from ldp_core.errors import BlurMapError, MetricError
from ldp_core.metrics import psnr_db, reblur, reblur_psnr_db
from ldp_core.optics.kernels import DEFAULT_KERNEL
from ldp_core.optics.render import render_views
from ldp_core.single_view import input_image
from ldp_core.types import BlurMap, BlurMapKind, FloatMap, Pair, Pixels, Region


def signed(coc_px: FloatMap) -> BlurMap:
    return BlurMap(coc_px.astype(np.float32), BlurMapKind.SIGNED_COC_PX)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Small pictures are blurred faster by one thread, above all on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
    assert reblur_psnr_db(pair.target, pair, blur_map=signed(coc_px)) > 50


def test_the_input_blurred_again_explains_them_worse(pair: Pair, coc_px: FloatMap) -> None:
    assert reblur_psnr_db(input_image(pair), pair, blur_map=signed(coc_px)) < 30


@pytest.mark.parametrize(
    ("factor", "offset"), [(-1, 0), (0, 0), (1.3, 0), (1, 2)], ids=["wrong sign", "no blur", "scale", "bias"]
)
def test_a_wrong_map_explains_them_worse(pair: Pair, coc_px: FloatMap, factor: float, offset: float) -> None:
    assert pair.target is not None
    right = reblur_psnr_db(pair.target, pair, blur_map=signed(coc_px))
    wrong = reblur_psnr_db(pair.target, pair, blur_map=signed(factor * coc_px + offset))
    assert wrong < right - 10


def test_only_the_score_region_counts(pair: Pair, coc_px: FloatMap) -> None:
    assert pair.target is not None
    left = pair.left.copy()
    left[:, 48:] = 0
    spoiled = replace(pair, left=left, score_region=Region(right=48))
    whole = replace(spoiled, score_region=Region())
    assert reblur_psnr_db(pair.target, spoiled, blur_map=signed(coc_px)) > 50
    assert reblur_psnr_db(pair.target, whole, blur_map=signed(coc_px)) < 20


def test_bands_of_a_large_picture_join_without_a_seam(
    pair: Pair, coc_px: FloatMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pair.target is not None
    whole = reblur._blur(pair.target, coc_px, DEFAULT_KERNEL)
    monkeypatch.setattr(reblur, "BAND_PIXELS", 20 * coc_px.shape[1])
    banded = reblur._blur(pair.target, coc_px, DEFAULT_KERNEL)
    assert banded.shape == whole.shape
    assert psnr_db(banded, whole) > 45


def test_a_map_without_sign_is_refused(pair: Pair, coc_px: FloatMap) -> None:
    with pytest.raises(BlurMapError, match="no radius"):
        reblur_psnr_db(pair.left, pair, blur_map=BlurMap(np.abs(coc_px) / 8, BlurMapKind.SIMILARITY))


def test_a_map_that_does_not_fit_is_refused(pair: Pair, coc_px: FloatMap) -> None:
    with pytest.raises(MetricError, match="cannot be blurred"):
        reblur_psnr_db(pair.left, pair, blur_map=signed(coc_px[:-1]))
    with pytest.raises(MetricError, match="cannot be blurred"):
        reblur_psnr_db(pair.left, pair, blur_map=signed(np.full_like(coc_px, np.inf)))
