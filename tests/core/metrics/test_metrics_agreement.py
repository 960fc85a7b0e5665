"""An in-focus probability beside a measured circle of confusion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ldp_core.errors import BlurMapError, MetricError
from ldp_core.metrics import score_item
from ldp_core.metrics.blur_maps import measure_agreement, network_tau_px
from ldp_core.metrics.scoring import AGREEMENT, metric_names, score_spec
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, FloatMap, Pair, Region

FOCUS, SIGNED = BlurMapKind.IN_FOCUS_PROBABILITY, BlurMapKind.SIGNED_COC_PX


def row(*values: float) -> FloatMap:
    return np.array([values], np.float32)


def test_maps_that_agree() -> None:
    found = measure_agreement(
        BlurMap(row(0.9, 0.8, 0.1, 0.2), FOCUS), BlurMap(row(0.5, -1, 4, -2), SIGNED), tau_px=1
    )
    assert (found.auroc, found.iou, found.balanced, found.disagreeing, found.compared) == (1, 1, 1, 0, 1)


def test_between_tau_and_twice_tau_nothing_is_compared() -> None:
    found = measure_agreement(
        BlurMap(row(0.9, 0.9, 0.9, 0.1), FOCUS), BlurMap(row(0, 1.5, 2, -9), SIGNED), tau_px=1
    )
    assert found.compared == 0.75
    assert found.disagreeing == pytest.approx(1 / 3)
    assert found.iou == 0.5
    assert found.balanced == 0.75
    assert found.auroc == 0.75


def test_what_is_not_known_well_enough_is_left_out() -> None:
    measured = BlurMap(row(0, 9, 0, 9), SIGNED, row(1, 1, 0.4, 0.4))
    found = measure_agreement(BlurMap(row(1, 0, 0, 1), FOCUS), measured, tau_px=1)
    assert (found.disagreeing, found.compared) == (0, 0.5)
    all_of_it = measure_agreement(BlurMap(row(1, 0, 0, 1), FOCUS), measured, tau_px=1, least_confidence=0)
    assert all_of_it.disagreeing == 0.5


def test_one_class_alone_ranks_nothing() -> None:
    found = measure_agreement(BlurMap(row(1, 0), FOCUS), BlurMap(row(5, 5), SIGNED), tau_px=1)
    assert math.isnan(found.auroc)
    assert math.isnan(found.balanced)
    assert found.disagreeing == 0.5


def test_other_kinds_and_sizes_are_refused() -> None:
    focus, measured = BlurMap(row(1, 0), FOCUS), BlurMap(row(0, 5), SIGNED)
    with pytest.raises(BlurMapError):
        measure_agreement(measured, measured, tau_px=1)
    with pytest.raises(BlurMapError):
        measure_agreement(focus, focus, tau_px=1)
    with pytest.raises(MetricError):
        measure_agreement(focus, BlurMap(row(0, 5, 5), SIGNED), tau_px=1)
    with pytest.raises(MetricError, match="not finite"):
        measure_agreement(focus, BlurMap(row(0, np.nan), SIGNED), tau_px=1)
    with pytest.raises(MetricError, match="nothing to compare"):
        measure_agreement(focus, BlurMap(row(1.5, -1.5), SIGNED), tau_px=1)


def test_tau_grows_with_the_picture() -> None:
    assert network_tau_px(200, 320) == 1
    assert network_tau_px(100, 100) == 1
    assert network_tau_px(1120, 1680) == 1
    assert network_tau_px(3000, 2560) == 2


@pytest.fixture
def pair() -> Pair:
    pixels = np.zeros((4, 8, 3), np.uint8)
    return Pair("set/one", pixels, pixels + np.uint8(1))


FOUND = BlurMap(np.tile(np.linspace(1, 0, 8, dtype=np.float32), (4, 1)), FOCUS)
MEASURED = BlurMap(np.tile(np.arange(8, dtype=np.float32) - 1, (4, 1)), SIGNED)


def test_an_item_gets_scores_of_agreement_where_both_maps_are_there(pair: Pair) -> None:
    scores = score_item(pair, restored=None, blur_map=FOUND, measured=MEASURED)
    assert {score.metric for score in scores} == set(AGREEMENT)
    assert set(AGREEMENT) <= set(metric_names())
    assert {(score.subject, score.protocol.variant) for score in scores} == {
        ("blur_map", "in focus: |coc| <= 1 px measured")
    }
    values = {score.metric: score.value for score in scores}
    assert values["agreement_auc"] == 1
    assert values["disagreement"] == pytest.approx(1 / 8)


def test_an_item_without_one_of_them_gets_none(pair: Pair) -> None:
    assert score_item(pair, restored=None, blur_map=FOUND) == []
    assert score_item(pair, restored=None, blur_map=None, measured=MEASURED) == []
    similarity = replace(FOUND, kind=BlurMapKind.SIMILARITY)
    assert score_item(pair, restored=None, blur_map=similarity, measured=MEASURED) == []
    unknown = BlurMap(np.full((4, 8), 1.5, np.float32), SIGNED)
    assert score_item(pair, restored=None, blur_map=FOUND, measured=unknown) == []


def test_what_cannot_be_ranked_has_no_score_but_the_rest_has(pair: Pair) -> None:
    far = BlurMap(np.full((4, 8), 9, np.float32), SIGNED)
    scores = score_item(pair, restored=None, blur_map=FOUND, measured=far)
    assert {score.metric for score in scores} == {"agreement_iou", "disagreement"}


def test_only_the_region_counts(pair: Pair) -> None:
    left = replace(pair, score_region=Region(right=2))
    scores = score_item(left, restored=None, blur_map=FOUND, measured=MEASURED)
    assert {score.metric: score.value for score in scores}["disagreement"] == 0


def test_a_probability_is_scored_against_a_known_blur_by_auc(pair: Pair) -> None:
    known = replace(pair, blur_truth=MEASURED.values, blur_truth_kind=BlurTruthKind.SIGNED_COC_PX)
    scores = {score.metric: score for score in score_item(known, restored=None, blur_map=FOUND)}
    assert scores["auc"].value == 1
    assert scores["auc"].protocol.variant == "blurred: |coc| > 2 px"


def test_scores_without_a_measured_map_keep_their_key() -> None:
    plain = score_spec()
    assert not set(AGREEMENT) & set(plain.settings["metrics"])
    beside = score_spec(measured_key="disparity-0123")
    assert beside.settings["measured_map"] == "disparity-0123"
    assert set(AGREEMENT) <= set(beside.settings["metrics"])
