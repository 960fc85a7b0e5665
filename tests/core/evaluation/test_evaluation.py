"""Restoration by kernel family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ldp_core.errors import CatalogueError, SettingsError
from ldp_core.evaluation import FAMILIES, evaluate_families
from ldp_core.evaluation.restoration import evaluate_restoration, psnr_after_gain_db
from ldp_core.images import encode_image
from ldp_core.metrics import psnr_db
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.single_view import input_image
from ldp_core.types import Pair


def test_each_family_scores_the_input_and_every_deblurrer() -> None:
    families = dict(list(FAMILIES.items())[:2])
    scores = list(evaluate_families(["wiener"], scenes=2, families=families))
    assert [(score.family, score.subject) for score in scores] == [
        (family, subject) for family in families for subject in ("input", "wiener")
    ]
    psnr = {(score.family, score.subject): score.psnr_db for score in scores}
    assert psnr["half-disc, fitted", "wiener"] > psnr["half-disc, fitted", "input"] + 0.5
    assert len({round(value, 6) for value in psnr.values()}) == len(psnr)


def test_an_unknown_deblurrer_is_named() -> None:
    with pytest.raises(SettingsError, match="no such deblurrer"):
        next(evaluate_families(["wizard"], scenes=1))


def test_deblurrers_stand_beside_input_and_external_results_on_a_dataset(tmp_path: Path) -> None:
    pair = simulate_pair(0, SimulationSettings(height=64, width=96, sharp_share=0))
    for view, pixels in pair.views.items():
        (tmp_path / view).mkdir()
        (tmp_path / view / "a.png").write_bytes(encode_image(pixels, "png"))
    means = evaluate_restoration(str(tmp_path), layout="folders", deblurrers=["wiener"])
    found = {(mean.metric, mean.subject): mean.mean for mean in means}
    assert found["psnr_db", "wiener"] > found["psnr_db", "input"]
    assert pair.target is not None
    assert found["psnr_db", "input"] == pytest.approx(psnr_db(input_image(pair), pair.target))
    assert found["psnr_gain_db", "wiener"] >= found["psnr_db", "wiener"] - 1e-9


def test_one_gain_takes_exposure_out_of_the_figure() -> None:
    target = np.random.default_rng(0).integers(40, 200, (32, 32, 3)).astype(np.uint8)
    darker = np.round(target * 0.8).astype(np.uint8)
    pair = Pair("a/b", darker, darker, target)
    assert psnr_db(darker, target) < 25
    assert psnr_after_gain_db(darker, target, pair=pair) > 50


def test_a_dataset_without_truths_cannot_be_measured(tmp_path: Path) -> None:
    for view in ("left", "right"):
        (tmp_path / view).mkdir()
        pixels = np.random.default_rng(len(view)).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        (tmp_path / view / "a.png").write_bytes(encode_image(pixels, "png"))
    with pytest.raises(CatalogueError, match="nothing here can be measured"):
        evaluate_restoration(str(tmp_path), layout="folders", deblurrers=["wiener"])
