"""Laws of detection measures: symmetry of the classes, invariance of ranks, agreement with definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detection_samples import random_map, random_mask
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ldp_core.blur.depth_distilled import rate_reliability, separate_modes
from ldp_core.blur.torchvision_shim import make_torchvision_importable
from ldp_core.metrics.blur_maps import auc
from ldp_core.metrics.detection import sample_rules, score_detection, trace_curve
from ldp_core.types import FloatMap

SEEDS = st.integers(0, 10_000)
LEVELS = st.sampled_from([0, 2, 3, 17])


def draw(seed: int, levels: int) -> tuple[FloatMap, NDArray[np.bool_]]:
    share = 0.1 + 0.8 * np.random.default_rng(seed).random()
    truth = random_mask(9, 11, seed=seed + 1, share=share)
    truth[0, :2] = True, False
    return random_map(9, 11, seed=seed, levels=levels), truth


@given(SEEDS, LEVELS)
@settings(max_examples=60, deadline=None)
def test_areas_agree_with_their_definitions(seed: int, levels: int) -> None:
    in_focus, truth = draw(seed, levels)
    scores = score_detection(in_focus, truth)
    assert scores["auroc"] == pytest.approx(auc(in_focus[truth | ~truth].astype(float), truth.ravel()))
    sharp, blurred = in_focus[truth], in_focus[~truth]
    wins = (sharp[:, None] > blurred).mean() + (sharp[:, None] == blurred).mean() / 2
    assert scores["auroc"] == pytest.approx(wins)
    assert scores["ap_focus"] == pytest.approx(define_ap(in_focus, truth))
    assert scores["ap_blur"] == pytest.approx(define_ap(-in_focus, ~truth))


def define_ap(values: FloatMap, members: NDArray[np.bool_]) -> float:
    """Precision at every distinct value times the step of recall, spelt out."""
    total, before = 0.0, 0.0
    for value in sorted(set(values.ravel().tolist()), reverse=True):
        found = values >= value
        recall = (found & members).sum() / members.sum()
        total += (recall - before) * (found & members).sum() / found.sum()
        before = recall
    return total


def test_areas_agree_with_torchmetrics() -> None:
    make_torchvision_importable()
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    for levels in (0, 5):
        in_focus, truth = random_map(40, 40, seed=3, levels=levels), random_mask(40, 40, seed=4)
        values, members = torch.from_numpy(in_focus).flatten(), torch.from_numpy(truth).flatten().long()
        scores = score_detection(in_focus, truth)
        assert scores["auroc"] == pytest.approx(float(binary_auroc(values, members)), abs=1e-6)
        expected = float(binary_average_precision(values, members))
        assert scores["ap_focus"] == pytest.approx(expected, abs=1e-6)


@given(SEEDS, LEVELS)
@settings(max_examples=40, deadline=None)
def test_turning_map_and_truth_round_exchanges_the_classes(seed: int, levels: int) -> None:
    in_focus, truth = draw(seed, levels)
    in_focus = np.where(in_focus == 0.5, np.float32(0.51), in_focus)
    scores, turned = score_detection(in_focus, truth), score_detection(1 - in_focus, ~truth)
    assert turned["mae"] == pytest.approx(scores["mae"], abs=1e-6)
    assert (turned["f_blur"], turned["iou_focus"]) == (scores["f_focus"], scores["iou_blur"])


@given(SEEDS)
@settings(max_examples=30, deadline=None)
def test_only_the_order_counts_for_areas(seed: int) -> None:
    in_focus, truth = draw(seed, 17)
    scores, bent = (score_detection(values, truth) for values in (in_focus, in_focus**2 * np.float32(0.7)))
    for name in ("auroc", "ap_blur", "ap_focus"):
        assert bent[name] == scores[name]


@given(SEEDS, LEVELS)
@settings(max_examples=30, deadline=None)
def test_the_curve_is_f_at_each_level(seed: int, levels: int) -> None:
    in_focus, truth = draw(seed, levels)
    curve, rounded = trace_curve(in_focus, truth), np.rint(in_focus * np.float32(255))
    for level in (0, 64, 128, 255):
        found = rounded >= level
        true, false, missed = ((a & b).sum() for a, b in ((found, truth), (found, ~truth), (~found, truth)))
        assert curve[level] == pytest.approx(1.3 * true / (1.3 * true + false + 0.3 * missed), abs=1e-6)


@given(SEEDS, LEVELS)
@settings(max_examples=30, deadline=None)
def test_every_f_is_a_share(seed: int, levels: int) -> None:
    for sample in sample_rules(*draw(seed, levels)).values():
        values = (sample.per_image, sample.at_half, sample.stretched, *sample.curve)
        assert all(0 <= value <= 1 for value in values)
        assert sample.curve.max() >= sample.curve[0]


@given(SEEDS, LEVELS)
@settings(max_examples=30, deadline=None)
def test_separation_is_that_of_the_best_threshold(seed: int, levels: int) -> None:
    in_focus, _ = draw(seed, levels)
    rounded = np.rint(in_focus * np.float32(255)) / 255
    splits = [(rounded[rounded < t], rounded[rounded >= t]) for t in np.unique(rounded)[1:]]
    best = max(
        splits, key=lambda parts: parts[0].size * parts[1].size * np.ptp([p.mean() for p in parts]) ** 2
    )
    assert separate_modes(in_focus) == pytest.approx(best[1].mean() - best[0].mean(), abs=1e-6)
    assert 0 <= rate_reliability(in_focus).spread <= 1
