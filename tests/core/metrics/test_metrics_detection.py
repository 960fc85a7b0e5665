"""Blur detection against masks: worked examples, empty classes, constant maps, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from detection_samples import random_map, random_mask

from ldp_core.errors import MetricError
from ldp_core.metrics.bootstrap import interval_of_means, mean_interval
from ldp_core.metrics.detection import (
    MEASURES,
    TRIVIAL_BASELINES,
    Counts,
    RuleSample,
    ThresholdRule,
    sample_rules,
    score_at_half,
    score_detection,
    summarise_rules,
    threshold_adaptively,
)

R = ThresholdRule


def plane(*values: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array([values], np.float32)


def rules_of(in_focus: np.ndarray, truth: np.ndarray, side: str = "focus") -> dict[ThresholdRule, float]:  # type: ignore[type-arg]
    sample = sample_rules(in_focus, truth)[side]  # type: ignore[index]
    return {rule: interval.mean for rule, interval in summarise_rules([sample]).items()}


def test_a_worked_example() -> None:
    scores = score_detection(plane(0.9, 0.6, 0.2, 0.4), np.array([[True, False, False, True]]))
    assert scores == pytest.approx(
        {
            "mae": (0.1 + 0.6 + 0.2 + 0.6) / 4,
            "f_blur": 0.5,
            "f_focus": 0.5,
            "iou_blur": 1 / 3,
            "iou_focus": 1 / 3,
            "ap_focus": (1 + 2 / 3) / 2,
            "ap_blur": (1 + 2 / 3) / 2,
            "auroc": 0.75,
        }
    )
    assert tuple(scores) == MEASURES


def test_precision_weighs_more_than_recall() -> None:
    assert Counts(true_positives=6, false_positives=2, false_negatives=4).f_measure == pytest.approx(
        1.3 * 0.75 * 0.6 / (0.3 * 0.75 + 0.6)
    )


def test_a_perfect_map_is_perfect_by_every_measure() -> None:
    truth = random_mask(20, 30, share=0.3)
    scores = score_detection(truth.astype(np.float32), truth)
    assert scores == {name: 0 if name == "mae" else 1 for name in MEASURES}
    for side in ("blur", "focus"):
        for rule, value in rules_of(truth.astype(np.float32), truth, side).items():
            emptied = rule is R.P1_PUBLISHED and side == "blur"
            capped = rule in (R.P1, R.P2, R.P1_PUBLISHED) and side == "blur"
            assert value == pytest.approx(1) or (value < 1 and (emptied or capped)), (rule, side)


def test_a_truth_of_one_class_ranks_nothing_and_is_no_error() -> None:
    scores = score_detection(random_map(5, 5), np.ones((5, 5), np.bool_))
    assert math.isnan(scores["auroc"])
    assert math.isnan(scores["ap_blur"])
    assert scores["ap_focus"] == 1
    assert score_at_half(np.ones((5, 5), np.float32), np.ones((5, 5), np.bool_)) == {
        "mae": 0, "f_blur": 1, "f_focus": 1, "iou_blur": 1, "iou_focus": 1,
    }  # fmt: skip


@pytest.mark.parametrize("value", [0.0, 0.3, 0.5, 1.0])
def test_a_constant_map_ranks_like_chance(value: float) -> None:
    truth = random_mask(16, 16, share=0.25)
    scores = score_detection(np.full((16, 16), value, np.float32), truth)
    assert scores["auroc"] == 0.5
    assert scores["ap_focus"] == pytest.approx(truth.mean())
    assert scores["ap_blur"] == pytest.approx(1 - truth.mean())


def test_trivial_baselines_are_what_one_expects() -> None:
    truth = random_mask(40, 40, share=0.3)
    sharp = float(truth.mean())
    blurred, focus = (score_detection(baseline(truth), truth) for baseline in TRIVIAL_BASELINES.values())
    assert blurred["mae"] == pytest.approx(sharp)
    assert blurred["iou_blur"] == pytest.approx(1 - sharp)
    assert blurred["f_focus"] == 0
    assert focus["mae"] == pytest.approx(1 - sharp)
    assert focus["f_blur"] == 0


@pytest.mark.parametrize(
    ("in_focus", "truth"),
    [
        (random_map(3, 4), random_mask(4, 3)),
        (random_map(3, 4, 1), random_mask(3, 4, 1)),
        (random_map(0, 4), random_mask(0, 4)),
        (random_map(3, 4), random_mask(3, 4).astype(np.uint8)),
        (plane(0.5, np.nan), random_mask(1, 2)),
        (plane(0.5, 1.01), random_mask(1, 2)),
        (plane(-0.1, 1), random_mask(1, 2)),
        (plane(np.inf, 1), random_mask(1, 2)),
    ],
)
def test_what_cannot_be_compared_is_refused(in_focus: np.ndarray, truth: np.ndarray) -> None:  # type: ignore[type-arg]
    for score in (score_at_half, score_detection, sample_rules):
        with pytest.raises(MetricError):
            score(in_focus, truth)


def test_adaptive_thresholds_follow_the_mean() -> None:
    assert threshold_adaptively(plane(0.1, 0.2, 0.9), factor=1.5).tolist() == [[False, False, True]]
    assert threshold_adaptively(plane(0.8, 0.8, 0.8), factor=1.5).sum() == 0
    assert threshold_adaptively(plane(0, 0), factor=1.5).sum() == 0
    assert threshold_adaptively(plane(1, 1), factor=2, most=1).sum() == 2


def test_p1_as_published_empties_a_truth_that_is_mostly_in_focus() -> None:
    truth = np.array([[True] * 7 + [False] * 3])
    in_focus = np.where(truth, 0.9, 0.0).astype(np.float32)
    sample = sample_rules(in_focus, truth)["focus"]
    assert sample.emptied
    assert rules_of(in_focus, truth)[R.P3] == 1
    assert sample_rules(in_focus, truth)["blur"].emptied is False
    small = np.array([[True] * 6 + [False] * 4])
    assert not sample_rules(small.astype(np.float32), small)["focus"].emptied


def test_pooling_counts_pixels_and_means_count_images() -> None:
    half = np.array([[True, False]])
    large = np.repeat(half, 50, axis=0)
    samples = [
        sample_rules(half.astype(np.float32), half)["focus"],
        sample_rules((~large).astype(np.float32), large)["focus"],
    ]
    found = summarise_rules(samples)
    assert found[R.P2].mean == 0.5
    assert found[R.P1].mean == pytest.approx(1.3 * 1 / (1.3 * 1 + 50 + 0.3 * 50))


def test_each_image_at_its_own_best_is_no_worse_than_one_threshold_for_all() -> None:
    truth = np.array([[True, False]])
    samples = [sample_rules(plane(0.9, 0.6), truth)["focus"], sample_rules(plane(0.4, 0.2), truth)["focus"]]
    found = summarise_rules(samples)
    assert found[R.P5].mean == 1
    assert found[R.P4].mean == pytest.approx((1 + 1.3 / (1.3 + 1)) / 2)
    assert found[R.P3].mean == pytest.approx((1.3 / (1.3 + 1)) / 2)


def test_stretching_forgives_a_faint_map() -> None:
    truth = np.array([[True, False, False, False]])
    assert rules_of(plane(0.12, 0.10, 0.10, 0.10), truth)[R.P6] == 1
    assert rules_of(plane(0.12, 0.10, 0.10, 0.10), truth)[R.P3] == 0


def test_the_blur_class_at_half_is_the_tables_own_f() -> None:
    in_focus, truth = random_map(30, 30, levels=5), random_mask(30, 30)
    scores = score_at_half(in_focus, truth)
    assert rules_of(in_focus, truth, "blur")[R.P3] == scores["f_blur"]
    assert rules_of(in_focus, truth, "focus")[R.P3] == scores["f_focus"]


def test_no_image_is_an_error() -> None:
    with pytest.raises(MetricError):
        summarise_rules(list[RuleSample]())


def test_intervals_of_a_mean_agree_however_they_are_asked_for() -> None:
    values = np.random.default_rng(1).random(37)
    plain = mean_interval(values)
    assert interval_of_means(values[:, None], lambda means: means[:, 0]) == pytest.approx(plain)
