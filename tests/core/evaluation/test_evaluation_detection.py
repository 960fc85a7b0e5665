"""A detector over masked photographs: the table, the baselines, the gate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from detection_samples import write_photographs

from ldp_core.errors import MetricError, WeightsError
from ldp_core.evaluation.detection import DETECTOR, evaluate_detection, load_detector, simulate_masked
from ldp_core.masked import Masked, iterate_masked, read_all_in_focus
from ldp_core.metrics.detection import MEASURES, TRIVIAL_BASELINES, ThresholdRule
from ldp_core.types import FloatMap, Pixels


def see_brightness(picture: Pixels) -> FloatMap:
    """What finds the truth of `write_photographs`: bright is in focus."""
    found: FloatMap = (picture[..., 0] > 128).astype(np.float32) * np.float32(0.8) + np.float32(0.1)
    return found


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    write_photographs(tmp_path, 11)
    return tmp_path


def test_a_good_detector_beside_the_baselines(photographs: Path) -> None:
    report = evaluate_detection(iterate_masked(photographs), see_brightness)
    assert report.images == 11
    assert report.images_per_second > 0
    assert tuple(report.methods) == (DETECTOR, *TRIVIAL_BASELINES)
    detector = report.methods[DETECTOR]
    assert tuple(detector.means) == MEASURES
    for name in ("f_blur", "f_focus", "iou_blur", "iou_focus", "ap_blur", "ap_focus", "auroc"):
        assert detector.means[name] == (1, 1, 1)
    mae = detector.means["mae"]
    assert mae is not None
    assert mae.mean == pytest.approx(0.1)
    sharp = [photograph.in_focus.mean() for photograph in iterate_masked(photographs)]
    baseline = report.methods["all blurred"].means["mae"]
    assert baseline is not None
    assert baseline.mean == pytest.approx(np.mean(sharp))
    assert baseline.low < baseline.mean < baseline.high
    assert report.methods["all in focus"].means["auroc"] == (0.5, 0.5, 0.5)
    assert list(detector.rules["blur"]) == list(ThresholdRule)
    assert not report.upside_down


def test_maps_upside_down_are_noticed(photographs: Path) -> None:
    report = evaluate_detection(iterate_masked(photographs, white="blur"), see_brightness)
    assert report.correlation == pytest.approx(-1)
    assert report.upside_down


def test_a_detector_that_says_nothing_correlates_with_nothing(photographs: Path) -> None:
    report = evaluate_detection(iterate_masked(photographs), lambda p: np.full(p.shape[:2], 0.5, np.float32))
    assert report.correlation is None
    assert not report.upside_down


def test_truths_of_one_class_leave_areas_out(tmp_path: Path) -> None:
    write_photographs(tmp_path, 2)
    whole = read_all_in_focus(tmp_path / "image")
    report = evaluate_detection(whole, see_brightness)
    detector = report.methods[DETECTOR]
    assert detector.means["auroc"] is None
    assert detector.n["auroc"] == 0
    assert detector.n["mae"] == 2
    mixed = [*iterate_masked(tmp_path), *read_all_in_focus(tmp_path / "image")]
    both = evaluate_detection(mixed, see_brightness)
    assert both.methods[DETECTOR].n["auroc"] == 2


def test_the_gate_accepts_what_is_good_and_rejects_the_known_failure(photographs: Path) -> None:
    def detect(picture: Pixels) -> FloatMap:
        sure = see_brightness(picture)
        return sure if picture.shape[1] > 30 else np.full_like(sure, 0.6)

    sharp = [Masked("a", np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), np.bool_))]
    report = evaluate_detection(iterate_masked(photographs), detect, also_gated={"all in focus": sharp})
    assert report.gate["photographs"].accepted.n == 11
    assert report.gate["photographs"].rejected.mae is None
    failure = report.gate["all in focus"]
    assert (failure.accepted.n, failure.rejected.n) == (0, 1)
    assert failure.failed == {"separation": 1, "spread": 1, "too much in focus": 1}
    assert failure.rejected.auroc is None


def test_the_report_is_plain_json(photographs: Path) -> None:
    report = evaluate_detection(iterate_masked(photographs), see_brightness)
    plain = json.loads(json.dumps(report.to_plain(), allow_nan=False))
    assert plain["methods"]["detector"]["means"]["mae"].keys() == {"mean", "low", "high"}
    assert set(plain["methods"]["all blurred"]["rules"]["focus"]) == {rule.name for rule in ThresholdRule}
    assert plain["gate"]["photographs"]["accepted"]["n"] == 11


def test_no_photograph_and_a_misfit_are_errors(photographs: Path) -> None:
    with pytest.raises(MetricError, match="no photograph"):
        evaluate_detection([], see_brightness)
    with pytest.raises(MetricError, match="does not match"):
        evaluate_detection(iterate_masked(photographs), lambda p: np.zeros((3, 3), np.float32))


def test_photographs_are_read_one_at_a_time(photographs: Path) -> None:
    open_now = 0

    def one_by_one() -> Iterator[Masked]:
        nonlocal open_now
        for photograph in iterate_masked(photographs):
            open_now += 1
            assert open_now == 1
            yield photograph
            open_now -= 1

    assert evaluate_detection(one_by_one(), see_brightness).images == 11


def test_simulated_photographs_have_both_classes() -> None:
    [photograph] = simulate_masked(1)
    assert photograph.image.shape == (320, 480, 3)
    assert photograph.in_focus.shape == (320, 480)


def test_absent_weights_are_an_error() -> None:
    with pytest.raises(WeightsError):
        load_detector(weights="absent.safetensors", sha256="0" * 64)
