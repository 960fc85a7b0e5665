"""On real photographs restorations beat the mean of the views, and the network beats wiener."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.images import read_image
from ldp_core.types import Pair, Pixels

CANON = ["1P0A0984", "1P0A1112", "1P0A1589", "1P0A2151", "1P0A2170"]
PIXEL = ["001", "002", "003", "004", "005", "006"]
SHIFT_PX = 4
LDP_GAIN_DB = {"canon": 0.3, "pixel": 0.1}

pytestmark = pytest.mark.real


def load_scene(folder: Path, name: str) -> tuple[Pair, Pixels]:
    views = [read_image(str(folder / f"{name}_{view}.png")) for view in ("l", "r", "gt")]
    return Pair(name, views[0], views[1]), views[2]


def restore(pair: Pair) -> dict[str, Pixels]:
    """The mean of the views, and what each method makes of them."""
    blur_map = make_estimator("disparity").estimate(pair)
    restored = {name: make_deblurrer(name).restore(pair, blur_map) for name in ("wiener", "ldp")}
    return {"input": take_mean(pair), **restored}


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


def score_canon(folder: Path, name: str) -> dict[str, np.ndarray]:
    pair, target = load_scene(folder, name)
    return {subject: score(picture[44:], target[44:]) for subject, picture in restore(pair).items()}


def score_pixel(folder: Path, name: str) -> dict[str, np.ndarray]:
    pair, target = load_scene(folder, name)
    return {subject: score_shifted(picture, target) for subject, picture in restore(pair).items()}


def gains(scores: list[dict[str, np.ndarray]], subject: str, *, over: str) -> np.ndarray:
    """(scenes, 2): PSNR in dB and SSIM."""
    return np.array([scene[subject] - scene[over] for scene in scores])


def test_canon_scenes_gain(real_data: Path) -> None:
    scores = [score_canon(real_data / "dp" / "canon_dpdd", name) for name in CANON]
    wiener = gains(scores, "wiener", over="input")
    assert (wiener > 0).all()
    assert wiener[:, 0].mean() > 1.0
    assert wiener[:, 1].mean() > 0.08
    assert (gains(scores, "ldp", over="input") > 0).all()
    assert gains(scores, "ldp", over="wiener")[:, 0].mean() > LDP_GAIN_DB["canon"]


def test_pixel_scenes_gain(real_data: Path) -> None:
    scores = [score_pixel(real_data / "dp" / "pixel4", name) for name in PIXEL]
    wiener = gains(scores, "wiener", over="input")
    assert (wiener > 0).all()
    assert wiener[:, 0].mean() > 1.2
    assert wiener[:, 1].mean() > 0.02
    assert (gains(scores, "ldp", over="input") > 0).all()
    assert gains(scores, "ldp", over="wiener")[:, 0].mean() > LDP_GAIN_DB["pixel"]
