"""The weights that ship for one view: blur detection, and restoration without a second one."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from ldp_core.blur import make_estimator
from ldp_core.blur.depth_distilled import DepthDistilledEstimator
from ldp_core.deblur import make_deblurrer
from ldp_core.images import read_image
from ldp_core.masked import split_masked
from ldp_core.metrics import psnr_db
from ldp_core.metrics.blur_maps import auc
from ldp_core.metrics.detection import score_at_half
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.single_view import input_image
from ldp_core.types import Pair, Pixels, Region
from ldp_core.weights import SHIPPED

LARGEST_BYTES = 16 * 2**20
SIZE = {"height": 192, "width": 256}


def photograph(seed: int, **settings: object) -> Pair:
    return simulate_pair(0, SimulationSettings.parse({"seed": seed, **SIZE, **settings}))


@pytest.mark.parametrize("name", ["bdir", "dbd"])
def test_weights_are_small_enough_to_ship(name: str) -> None:
    assert Path(SHIPPED[name].url).stat().st_size <= LARGEST_BYTES


def test_they_are_used_without_a_setting() -> None:
    assert make_deblurrer("bdir").spec.weights_sha256 == SHIPPED["bdir"].sha256
    assert make_estimator("depth-distilled").spec.weights_sha256 == SHIPPED["dbd"].sha256


@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_sharp_picture_comes_back(bit_depth: int, channels: int) -> None:
    sharp = photograph(400, bit_depth=bit_depth).target
    assert sharp is not None
    view = sharp[..., :channels]
    restored = make_deblurrer("bdir").restore(Pair("a/sharp", view, view), None)
    assert restored.dtype == view.dtype
    assert psnr_db(restored, view) >= 40


def test_one_blurred_view_comes_back_sharper() -> None:
    gains = []
    for seed in range(500, 508):
        pair = photograph(seed, blurred_share=0, sharp_share=0)
        assert pair.target is not None
        restored = make_deblurrer("bdir").restore(pair, None)
        gains.append(psnr_db(restored, pair.target) - psnr_db(input_image(pair), pair.target))
    assert mean(gains) > 0.2


def test_tiles_join_without_a_seam() -> None:
    pair = photograph(501, height=192, width=640, sharp_share=0)
    whole, tiled = (
        make_deblurrer("bdir", {"tile_px": side}).restore(pair, None).astype(int) for side in (1024, 384)
    )
    steps = np.abs(np.diff(tiled - whole, axis=1)).mean((0, 2))
    assert steps.max() < 1.5


def test_simulated_blur_is_told_from_one_view() -> None:
    pairs = [photograph(seed, blurred_share=0, sharp_share=0, height=320, width=480) for seed in (600, 601)]
    found = []
    for pair in pairs:
        assert pair.blur_truth is not None
        probability = make_estimator("depth-distilled").estimate(pair).values
        found.append(auc(1 - probability[::4, ::4].ravel(), np.abs(pair.blur_truth[::4, ::4]).ravel() > 2))
    assert mean(found) > 0.8


@pytest.mark.real
def test_masks_of_photographs_it_was_not_trained_on_are_found(real_data: Path) -> None:
    _, kept = split_masked(real_data / "dbd" / "cuhk_train_320")
    detector = DepthDistilledEstimator()
    scores = [score_at_half(detector.detect(m.image), m.in_focus) for m in kept[::4]]
    floor = mean(score_at_half(np.zeros((320, 320), np.float32), m.in_focus)["mae"] for m in kept[::4])
    assert mean(score["mae"] for score in scores) < 0.4 * floor
    assert mean(score["f_blur"] for score in scores) > 0.88


@pytest.mark.real
@pytest.mark.parametrize(
    ("views", "truths", "top", "gain_db"),
    [
        ("dp/canon_dpdd/*_c.png", "dp/canon_dpdd/*_gt.png", 44, 0.4),
        ("single/lfdof/input/*.png", "single/lfdof/ground_truth/*.png", 0, 0.4),
    ],
)
def test_real_single_views_gain(real_data: Path, views: str, truths: str, top: int, gain_db: float) -> None:
    region, gains = Region(top=top), []
    for path, truth_path in zip(*(sorted(real_data.glob(glob)) for glob in (views, truths)), strict=True):
        view, truth = (read_image(str(where))[:, :512] for where in (path, truth_path))
        gains.append(gain(view, truth, region))
    assert len(gains) >= 3
    assert mean(gains) > gain_db


def gain(view: Pixels, truth: Pixels, region: Region) -> float:
    restored = make_deblurrer("bdir").restore(Pair("a/b", view, view), None)
    return psnr_db(restored, truth, region=region) - psnr_db(view, truth, region=region)
