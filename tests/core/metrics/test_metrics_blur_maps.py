"""Which numbers of a blur map are compared with which of its truth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from ldp_core.errors import MetricError
from ldp_core.metrics import blur_maps
from ldp_core.metrics.blur_maps import BlurSamples, ai1, ai2, auc, one_minus_rho, sample_blur
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, FloatMap, Region

SIGNED, UNSIGNED = BlurTruthKind.SIGNED_COC_PX, BlurTruthKind.UNSIGNED


def plane(values: ArrayLike) -> FloatMap:
    return np.atleast_2d(np.asarray(values, np.float32))


def sample(
    values: ArrayLike, truth: ArrayLike, *, kind: BlurTruthKind, of: BlurMapKind = BlurMapKind.SIGNED_COC_PX
) -> BlurSamples:
    return sample_blur(BlurMap(plane(values), of), plane(truth), kind=kind)


def test_signed_map_meets_signed_truth_as_it_is() -> None:
    samples = sample([-3, 0, 5], [-2, 0, 4], kind=SIGNED)
    assert samples.estimate.tolist() == [-3, 0, 5]
    assert samples.truth.tolist() == [-2, 0, 4]
    assert samples.amount.tolist() == [3, 0, 5]
    assert samples.unit == "signed, px"


def test_unsigned_map_meets_the_absolute_value_of_a_signed_truth() -> None:
    samples = sample([1, 0, 0.5], [-4, 0, 2], kind=SIGNED, of=BlurMapKind.SIMILARITY)
    assert samples.truth.tolist() == [4, 0, 2]
    assert samples.unit == "unsigned, px"


def test_signed_map_meets_an_unsigned_truth_by_its_absolute_value() -> None:
    samples = sample([-3, 1, 5], [150, 50, 200], kind=UNSIGNED)
    assert samples.estimate.tolist() == [3, 1, 5]
    assert samples.truth == pytest.approx([0.75, 0.25, 1])


def test_in_focus_probability_is_turned_round() -> None:
    samples = sample([0.9, 0.25], [20, 200], kind=UNSIGNED, of=BlurMapKind.IN_FOCUS_PROBABILITY)
    assert samples.estimate == pytest.approx([0.1, 0.75])


def test_zero_is_unknown_only_in_an_unsigned_truth() -> None:
    assert sample([1, 2, 3], [0, 10, 20], kind=UNSIGNED).truth.size == 2
    assert sample([1, 2, 3], [0, 10, 20], kind=SIGNED).truth.size == 3
    assert sample([1, 2, 3], [np.nan, 10, 20], kind=SIGNED).truth.size == 2
    assert sample([1, 2, 3], [np.nan, 10, 20], kind=UNSIGNED).truth.size == 2


def test_what_counts_as_blurred() -> None:
    signed = sample([1, 1, 1, 1], [-3, -2, 2.5, 0], kind=SIGNED)
    assert signed.blurred.tolist() == [True, False, True, False]
    assert signed.label_rule == "blurred: |coc| > 2 px"
    unsigned = sample([1, 1, 1, 1], [0, 50, 120, 250], kind=UNSIGNED)
    assert unsigned.blurred.tolist() == [False, False, True]
    assert unsigned.label_rule == "blurred: above middle of truth"


def test_stray_extremes_do_not_move_the_middle_of_an_unsigned_truth() -> None:
    truth = np.r_[1, np.full(40, 130), np.full(60, 250)]
    samples = sample(truth, truth, kind=UNSIGNED)
    assert samples.blurred.sum() == 60


def test_scale_of_an_unsigned_truth_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    values, truth = rng.normal(size=(8, 8)), rng.uniform(1, 255, (8, 8))
    bytes_, fractions = (sample(values, truth * scale, kind=UNSIGNED) for scale in (1, 1 / 255))
    for error in (ai1, ai2):
        assert error(bytes_.estimate, bytes_.truth) == pytest.approx(
            error(fractions.estimate, fractions.truth), rel=1e-5
        )


def test_a_region_limits_the_comparison() -> None:
    truth = np.arange(1, 13, dtype=np.float32).reshape(4, 3)
    blur_map = BlurMap(truth, BlurMapKind.SIMILARITY)
    samples = sample_blur(blur_map, truth, kind=UNSIGNED, region=Region(top=2))
    assert samples.estimate.tolist() == [7, 8, 9, 10, 11, 12]


def test_truth_without_spread_is_not_informative() -> None:
    assert not sample([1, 2], [5, 5], kind=SIGNED).informative
    assert not sample([1, 2], [0, 0], kind=UNSIGNED).informative
    assert sample([1, 2], [5, 6], kind=SIGNED).informative


def test_refuses_what_cannot_be_compared() -> None:
    with pytest.raises(MetricError, match="does not match its truth"):
        sample([1, 2, 3], [1, 2], kind=SIGNED)
    with pytest.raises(MetricError, match="not finite"):
        sample([1, np.nan], [1, 2], kind=SIGNED)
    with pytest.raises(MetricError, match="negative values") as caught:
        sample([1, 2], [-1, 2], kind=UNSIGNED)
    assert "signed_coc_px" in caught.value.remedy


def test_a_map_that_knows_nothing_scores_like_nothing() -> None:
    truth = np.random.default_rng(0).uniform(0, 9, 400)
    flat = np.full_like(truth, 0.3)
    assert ai2(flat, truth) == pytest.approx(truth.std())
    assert ai1(flat, truth) == pytest.approx(np.abs(truth - np.median(truth)).mean(), rel=0.01)
    assert one_minus_rho(flat, truth) == 1
    assert auc(flat, truth > 2) == 0.5


def test_only_the_auc_sees_a_map_that_is_upside_down() -> None:
    truth = np.random.default_rng(0).uniform(0, 9, 400)
    assert ai1(-truth, truth) == pytest.approx(0, abs=1e-9)
    assert one_minus_rho(-truth, truth) == pytest.approx(0, abs=1e-9)
    assert auc(-truth, truth > 2) == 0
    assert auc(truth, truth > 2) == 1


@pytest.mark.parametrize("unit", [np.float32(1), 1 / 3], ids=["held by float32", "not held"])
def test_equal_samples_share_their_rank(unit: float) -> None:
    samples = np.array([3, -0.0, 0, -7, 2, 3, -7, 1e-30, -1e30, 3], np.float64) * unit
    np.testing.assert_array_equal(blur_maps._ranks(samples), rankdata(samples))


def test_ties_count_half() -> None:
    assert auc(np.array([1.0, 2, 2, 3]), np.array([False, True, False, True])) == 7 / 8


def test_auc_needs_both_classes() -> None:
    with pytest.raises(MetricError, match="blurred and sharp"):
        auc(np.arange(3.0), np.ones(3, bool))
