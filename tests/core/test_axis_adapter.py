"""Pairs with a vertical dual-pixel axis: the same results, transposed; the archive keeps the photograph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ldp_core.archive import Archive
from ldp_core.axis_adapter import align_axis, transpose, transpose_map
from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.metrics import score_item
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import BlurTruthKind, DpAxis, Pair, Region


@pytest.fixture(scope="module")
def pair() -> Pair:
    pair = simulate_pair(3, SimulationSettings(height=64, width=144))
    signed = BlurTruthKind.SIGNED_COC_PX
    return replace(pair, score_region=Region(top=4, right=140), blur_truth_kind=signed)


@pytest.fixture(scope="module")
def upright(pair: Pair) -> Pair:
    """The same photograph taken with the sensor's axis along y."""
    turned = align_axis(replace(pair, dp_axis=DpAxis.Y))
    return replace(turned, dp_axis=DpAxis.Y)


def test_aligning_twice_changes_nothing(pair: Pair, upright: Pair) -> None:
    back = align_axis(upright)
    for name, view in pair.views.items():
        np.testing.assert_array_equal(back.views[name], view)
    np.testing.assert_array_equal(back.blur_truth, pair.blur_truth)
    assert (back.score_region, back.dp_axis) == (pair.score_region, DpAxis.X)
    assert upright.score_region == Region(left=4, bottom=140)
    assert align_axis(pair) is pair


def test_map_restoration_and_scores_are_the_same_transposed(pair: Pair, upright: Pair) -> None:
    estimator, deblurrer = make_estimator("disparity"), make_deblurrer("wiener")
    expected, found = estimator.estimate(pair), estimator.estimate(upright)
    np.testing.assert_array_equal(transpose(found.values, DpAxis.Y), expected.values)
    restored = deblurrer.restore(pair, expected), deblurrer.restore(upright, found)
    np.testing.assert_array_equal(transpose(restored[1], DpAxis.Y), restored[0])
    assert restored[1].shape == upright.left.shape
    scores = (
        score_item(pair, restored=restored[0], blur_map=expected),
        score_item(upright, restored=restored[1], blur_map=transpose_map(expected, DpAxis.Y)),
    )
    values = [{(score.metric, score.subject): score.value for score in found} for found in scores]
    assert values[0].keys() == values[1].keys()
    for name, value in values[0].items():
        assert values[1][name] == pytest.approx(value, rel=1e-6), name


def test_the_archive_keeps_orientation_and_axis(upright: Pair, tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    archive.write_pair(upright, provenance={})
    read = archive.read_pair(upright.id)
    assert read.dp_axis is DpAxis.Y
    np.testing.assert_array_equal(read.left, upright.left)
    assert archive.read_attributes("frames", "", upright.id)["dp_axis"] == "y"


def test_the_axis_is_part_of_the_digest(pair: Pair, tmp_path: Path) -> None:
    digests = set()
    for name, axis in (("x", DpAxis.X), ("y", DpAxis.Y)):
        archive = Archive(str(tmp_path / name))
        archive.write_pair(replace(pair, dp_axis=axis), provenance={})
        digests.add(archive.read_digest(pair.id))
    assert len(digests) == 2
