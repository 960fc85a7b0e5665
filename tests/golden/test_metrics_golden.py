"""Numbers of the metrics that must not move."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ldp_core.images import read_image
from ldp_core.metrics import find_shift, score_item, summarise
from ldp_core.single_view import input_image
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, Pair, Pixels, Region

CANON_PSNR_DB = {
    # scene: combined image, DPDNet, (L + R) / 2; rows 44 and below
    # the first two as published with the scenes; the views have passed through a 256-colour palette
    "1P0A0984": (21.72, 24.87, 21.53),
    "1P0A1112": (26.81, 25.72, 25.74),
    "1P0A1589": (27.25, 29.27, 27.10),
    "1P0A2151": (23.17, 27.37, 23.00),
    "1P0A2170": (24.52, 26.20, 24.40),
}

PIXEL4_INPUT = {
    # scene: PSNR dB and SSIM of (L + R) / 2; the best shift (down, right) and the PSNR after it
    "001": (24.032, 0.7691, (-1, 2), 25.263),
    "002": (23.077, 0.7697, (-1, 2), 24.130),
    "003": (22.774, 0.7056, (-2, 2), 23.655),
    "004": (20.922, 0.6784, (0, 2), 21.590),
    "005": (26.016, 0.7944, (2, 0), 27.224),
    "006": (26.411, 0.7902, (1, 1), 27.338),
}


@pytest.mark.real
@pytest.mark.parametrize("scene", CANON_PSNR_DB)
def test_canon_scenes(real_data: Path, scene: str) -> None:
    left, right, target, combined, dpdnet = (
        read_image(str(real_data / "dp" / "canon_dpdd" / f"{scene}_{view}.png"))
        for view in ("l", "r", "gt", "c", "dpdnet")
    )
    external = {"combined": combined, "dpdnet": dpdnet}
    pair = Pair(scene.lower(), left, right, target=target, external=external, score_region=Region(top=44))
    scores = score_item(pair, restored=None, blur_map=None)
    psnr = {score.subject: score.value for score in scores if score.metric == "psnr_db"}
    expected = CANON_PSNR_DB[scene]
    assert (psnr["combined"], psnr["dpdnet"], psnr["input"]) == pytest.approx(expected, abs=0.006)


@pytest.mark.real
@pytest.mark.parametrize("scene", PIXEL4_INPUT)
def test_pixel_4_scenes(real_data: Path, scene: str) -> None:
    left, right, target = (
        read_image(str(real_data / "dp" / "pixel4" / f"{scene}_{view}.png")) for view in ("l", "r", "gt")
    )
    pair = Pair(scene, left, right, target=target, aligned=False)
    scores = score_item(pair, restored=None, blur_map=None)
    psnr, structure, shift, psnr_shifted = PIXEL4_INPUT[scene]
    plain = {s.metric: s.value for s in scores if s.protocol.alignment == "none"}
    shifted = {s.metric: s.value for s in scores if s.protocol.alignment == "best shift 4 px"}
    assert (plain["psnr_db"], shifted["psnr_db"]) == pytest.approx((psnr, psnr_shifted), abs=0.001)
    assert plain["ssim"] == pytest.approx(structure, abs=0.0001)
    assert find_shift(input_image(pair), target) == shift


@pytest.mark.real
def test_pixel_4_scenes_agree_with_the_figures_that_came_with_them(real_data: Path) -> None:
    """Those were taken before the scenes were cut to 8 bit."""
    folder = real_data / "dp" / "pixel4"
    for row in json.loads((folder / "index.json").read_text()):
        psnr, structure, _, _ = PIXEL4_INPUT[f"{row['scene']:03d}"]
        assert psnr == pytest.approx(row["psnr_input_vs_gt"], abs=0.04)
        assert structure == pytest.approx(row["ssim_input_vs_gt"], abs=0.001)


def wave(phase: float, *, dx: int = 0) -> Pixels:
    """A picture by formula, 60 x 80 x 3 uint8; ``dx`` displaces it to the right."""
    y, x, c = np.mgrid[:60, :80, :3].astype(np.float64)
    painted = 0.5 + 0.25 * np.sin((x - dx) / 4 + c + phase) + 0.2 * np.cos(y / 3 + (x - dx) / 9)
    return np.rint(255 * painted.clip(0, 1)).astype(np.uint8)


# metric, subject, after the best shift
SYNTHETIC = {
    ("psnr_db", "input", False): 29.07569,
    ("psnr_db", "restored", False): 21.42626,
    ("psnr_db", "input", True): 34.83734,
    ("psnr_db", "restored", True): 40.94419,
    ("ssim", "input", False): 0.98238,
    ("ssim", "restored", False): 0.89750,
    ("ssim", "input", True): 0.99319,
    ("ssim", "restored", True): 0.99880,
    ("mae", "input", False): 0.03163,
    ("mae", "restored", False): 0.07380,
    ("mae", "input", True): 0.01525,
    ("mae", "restored", True): 0.00796,
    ("ai1", "blur_map", False): 0.39078,
    ("ai2", "blur_map", False): 0.43702,
    ("one_minus_rho", "blur_map", False): 0.00750,
    ("auc", "blur_map", False): 0.97833,
}


def test_synthetic_pair() -> None:
    coc_px = np.tile(np.linspace(-5, 7, 80, dtype=np.float32), (60, 1))
    pair = Pair(
        "golden/wave",
        wave(0.3, dx=1),
        wave(0.1, dx=-1),
        target=wave(0.0),
        blur_truth=coc_px,
        blur_truth_kind=BlurTruthKind.SIGNED_COC_PX,
        aligned=False,
    )
    estimate = (0.8 * coc_px + 0.5 * np.sin(np.arange(60))[:, None] + 0.3).astype(np.float32)
    blur_map = BlurMap(estimate, BlurMapKind.SIGNED_COC_PX)
    scores = score_item(pair, restored=wave(0.05, dx=2), blur_map=blur_map)
    of_metrics = summarise(score for score in scores if score.metric != "reblur_psnr_db")
    means = {(m.metric, m.subject, "best shift" in m.protocol): m.mean for m in of_metrics}
    assert means == pytest.approx(SYNTHETIC, abs=2e-5)
