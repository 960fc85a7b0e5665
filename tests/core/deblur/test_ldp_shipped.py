"""The network that ships: what it must never do to a picture."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.types import Pair, Pixels
from ldp_core.weights import SHIPPED

SIZE = {"height": 192, "width": 256}


def psnr_db(a: Pixels, b: Pixels) -> float:
    error = np.mean((a.astype(np.float64) - b) ** 2) / np.iinfo(b.dtype).max ** 2
    return -10 * math.log10(max(float(error), 1e-12))


def photograph(seed: int, **settings: object) -> Pair:
    return simulate_pair(0, SimulationSettings.parse({"seed": seed, **SIZE, **settings}))


def test_the_weights_ship_and_are_used_without_a_setting() -> None:
    spec = make_deblurrer("ldp").spec
    assert spec.weights_sha256 == SHIPPED["ldp"].sha256


@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mapped", [True, False])
def test_a_sharp_picture_comes_back(bit_depth: int, channels: int, mapped: bool) -> None:
    sharp = photograph(400, bit_depth=bit_depth).target
    assert sharp is not None
    view = sharp[..., :channels]
    pair = Pair("a/sharp", view, view)
    blur_map = make_estimator("disparity").estimate(pair) if mapped else None
    restored = make_deblurrer("ldp").restore(pair, blur_map)
    assert restored.dtype == view.dtype
    assert psnr_db(restored, view) >= 40


def test_blurred_pictures_come_back_closer_to_the_truth_than_from_wiener() -> None:
    gains = []
    for seed in range(500, 504):
        pair = photograph(seed, blurred_share=0, sharp_share=0)
        assert pair.target is not None
        blur_map = make_estimator("disparity").estimate(pair)
        ldp, wiener = (make_deblurrer(name).restore(pair, blur_map) for name in ("ldp", "wiener"))
        gains.append(psnr_db(ldp, pair.target) - psnr_db(wiener, pair.target))
    assert np.mean(gains) > 0


def test_what_lies_far_away_changes_nothing() -> None:
    view = np.random.default_rng(3).integers(0, 256, (160, 1000, 3), np.uint8)
    other = view.copy()
    other[:, 700:] = 0
    first, second = (make_deblurrer("ldp").restore(Pair("a/far", v, v), None) for v in (view, other))
    np.testing.assert_array_equal(first[:, :300], second[:, :300])
    assert (first[:, 700:] != second[:, 700:]).any()
