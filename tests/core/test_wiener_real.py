"""On real photographs the training-free restoration beats the mean of the views it is given."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.deblur.wiener import WienerSettings
from ldp_core.images import read_image
from ldp_core.types import Pair, Pixels

CANON = ["1P0A0984", "1P0A1112", "1P0A1589", "1P0A2151", "1P0A2170"]
PIXEL = ["001", "002", "003", "004", "005", "006"]
SHIFT_PX = 4

pytestmark = pytest.mark.real


def load_scene(folder: Path, name: str) -> tuple[Pair, Pixels]:
    views = [read_image(str(folder / f"{name}_{view}.png")) for view in ("l", "r", "gt")]
    return Pair(name, views[0], views[1]), views[2]


def restore(pair: Pair) -> Pixels:
    kernel = WienerSettings().kernel.model_dump(mode="json")
    blur_map = make_estimator("disparity", {"kernel": kernel}).estimate(pair)
    return make_deblurrer("wiener").restore(pair, blur_map)


def take_mean(pair: Pair) -> Pixels:
    return np.rint((pair.left.astype(np.float64) + pair.right) / 2).astype(np.uint8)


def score(picture: Pixels, target: Pixels) -> np.ndarray:
    """PSNR in dB and SSIM."""
    error = np.mean((picture.astype(np.float64) - target) ** 2)
    similarity = structural_similarity(picture, target, channel_axis=2, data_range=255)
    return np.array([20 * math.log10(255) - 10 * math.log10(error), similarity])


def score_shifted(picture: Pixels, target: Pixels) -> np.ndarray:
    """The scores at the whole-pixel shift of the best PSNR: Pixel 4 targets are displaced."""
    inner = slice(SHIFT_PX, -SHIFT_PX)
    shifts = range(-SHIFT_PX, SHIFT_PX + 1)
    moved = (np.roll(target, (dy, dx), (0, 1))[inner, inner] for dy in shifts for dx in shifts)
    core = picture[inner, inner]
    best = min(moved, key=lambda view: float(np.mean((view.astype(np.float32) - core) ** 2)))
    return score(core, best)


def measure_canon_gain(folder: Path, name: str) -> np.ndarray:
    pair, target = load_scene(folder, name)
    restored, plain = (score(picture[44:], target[44:]) for picture in (restore(pair), take_mean(pair)))
    return restored - plain


def measure_pixel_gain(folder: Path, name: str) -> np.ndarray:
    pair, target = load_scene(folder, name)
    restored, plain = (score_shifted(picture, target) for picture in (restore(pair), take_mean(pair)))
    return restored - plain


def test_a_canon_scene_gains(real_data: Path) -> None:
    gain_db, gain_ssim = measure_canon_gain(real_data / "dp" / "canon_dpdd", "1P0A2151")
    assert gain_db > 1.0
    assert gain_ssim > 0.05


def test_every_canon_scene_gains(real_data: Path) -> None:
    gains = np.array([measure_canon_gain(real_data / "dp" / "canon_dpdd", name) for name in CANON])
    assert (gains > 0).all()
    assert gains[:, 0].mean() > 1.0
    assert gains[:, 1].mean() > 0.08


def test_every_pixel_scene_gains(real_data: Path) -> None:
    gains = np.array([measure_pixel_gain(real_data / "dp" / "pixel4", name) for name in PIXEL])
    assert (gains > 0).all()
    assert gains[:, 0].mean() > 1.2
    assert gains[:, 1].mean() > 0.02
