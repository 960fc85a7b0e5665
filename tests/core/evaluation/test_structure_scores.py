"""Scores of thin structures: the band, places, means with intervals."""

from __future__ import annotations

import numpy as np
import pytest

from ldp_core.errors import MetricError
from ldp_core.evaluation.thin_structures import (
    StructureScore,
    evaluate_thin_structures,
    find_band,
    score_map,
    score_picture,
    summarise_structures,
)
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, Pair


def pair_with_a_bar() -> Pair:
    """Grey, with a bar of ten columns at another depth."""
    coc_px = np.zeros((40, 160), np.float32)
    coc_px[:, 60:70] = -12
    grey = np.full((40, 160, 3), 100, np.uint8)
    return Pair(
        "bar", grey, grey, target=grey, blur_truth=coc_px, blur_truth_kind=BlurTruthKind.SIGNED_COC_PX
    )


def test_the_band_lies_8_to_48_px_from_the_edges() -> None:
    columns = np.flatnonzero(find_band(pair_with_a_bar().blur_truth).all(axis=0))
    assert columns.tolist() == [*range(59 - 48, 59 - 7), *range(70 + 8, 70 + 49)]


def test_a_slanted_plane_has_no_band() -> None:
    assert not find_band(np.tile(np.linspace(-30, 30, 200, dtype=np.float32), (50, 1))).any()


def test_wrong_pixels_are_counted_by_place() -> None:
    pair = pair_with_a_bar()
    found = pair.blur_truth.copy()
    found[:, 60:70] = -9.5
    found[:, :30] += 1.9
    scores = score_map(BlurMap(found, BlurMapKind.SIGNED_COC_PX), pair, subject="mine")
    shares = {score.place: score.value for score in scores}
    elsewhere = 160 - 41 - 41
    assert shares == {"band": 0, "elsewhere": pytest.approx(10 / elsewhere), "all": pytest.approx(10 / 160)}


def test_an_error_in_the_band_is_not_seen_elsewhere() -> None:
    pair = pair_with_a_bar()
    picture = pair.left.copy()
    picture[find_band(pair.blur_truth)] = 151
    values = {score.place: score.value for score in score_picture(picture, pair, subject="mine")}
    assert values["band"] == pytest.approx(20 * np.log10(255 / 51))
    assert values["elsewhere"] == pytest.approx(120)


def test_means_have_the_bounds_of_their_interval() -> None:
    scores = [StructureScore(str(i), "psnr_db", "input", "band", float(i)) for i in range(9)]
    (mean,) = summarise_structures(scores)
    assert (mean.scenes, mean.mean) == (9, 4)
    assert mean.low < 4 < mean.high


def test_a_pair_without_truth_is_refused() -> None:
    grey = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(MetricError, match="true map"):
        list(
            score_map(
                BlurMap(np.zeros((20, 20), np.float32), BlurMapKind.SIGNED_COC_PX),
                Pair("x", grey, grey),
                subject="a",
            )
        )


def test_every_subject_is_scored_with_both_maps() -> None:
    scores = list(evaluate_thin_structures(["wiener"], scenes=1, seed=11))
    subjects = list(dict.fromkeys(score.subject for score in scores))
    assert subjects == ["disparity", "input", "wiener", "wiener with the true map"]
    assert {score.place for score in scores} == {"band", "elsewhere", "all"}
