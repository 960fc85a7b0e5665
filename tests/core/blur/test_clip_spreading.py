"""From cells to pixels: what has no texture tells nothing, and takes what its surroundings know."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ldp_core.blur import make_estimator
from ldp_core.blur.clip_cells import CellGrid
from ldp_core.blur.clip_spreading import (
    BLURRED_PX,
    CellReadings,
    fill_between,
    find_texture,
    read_ratings,
    read_shifts,
)
from ldp_core.blur.matching import Measurement
from ldp_core.blur.spreading import EdgeWeights, spread
from ldp_core.types import Pair

SHIFTS = torch.arange(-8.0, 9.0)


def draw_texture(height: int, width: int) -> Tensor:
    return torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0)) * 0.5


def fill(plane: Tensor, readings: CellReadings, *, stride_px: int = 40) -> tuple[Tensor, Tensor]:
    grid = CellGrid(*plane.shape[-2:], stride_px=stride_px)
    return fill_between(readings, grid, plane, plane)


def share(places: list[float], *, width: float) -> Tensor:
    """A row of cells whose sentences share them as a Gaussian about these shifts."""
    return torch.softmax(-((torch.tensor(places)[:, None] - SHIFTS) ** 2) / (2 * width**2), -1)[None]


def test_sentences_that_do_not_differ_know_nothing() -> None:
    readings = read_shifts(torch.full((1, 1, 17), 1 / 17), SHIFTS)
    assert readings.precision.item() == 0
    assert readings.values.item() == 0


def test_the_more_sentences_differ_the_surer_is_a_cell() -> None:
    precisions = [read_shifts(share([2.0], width=width), SHIFTS).precision.item() for width in (0.3, 1, 2, 3)]
    assert precisions == sorted(precisions, reverse=True)
    assert precisions[0] > 5 * precisions[1] > 0


def test_a_sure_cell_is_taken_at_its_word_and_no_value_exceeds_the_sentences() -> None:
    readings = read_shifts(share([-3.0, 7.5], width=0.5), SHIFTS)
    assert readings.values[0, 0].item() == pytest.approx(-3, abs=0.15)
    assert readings.values.abs().max() <= 8


def test_ratings_that_agree_are_surer() -> None:
    agree, differ = (
        read_ratings(torch.tensor(members)[:, None, None]) for members in ([0.4, 0.5, 0.6], [0.0, 0.5, 1.0])
    )
    assert agree.values.item() == pytest.approx(differ.values.item()) == pytest.approx(0.5 * BLURRED_PX)
    assert agree.precision.item() > differ.precision.item()


def test_a_place_without_texture_takes_the_value_of_its_surroundings_and_says_so() -> None:
    plane = draw_texture(80, 160)
    plane[..., 60:] = 0.3
    readings = CellReadings(torch.tensor([[3.0, 3.0, -7.0, -7.0]] * 2), torch.full((2, 4), 4.0))
    values, confidence = fill(plane, readings)
    assert (values - 3).abs().max() < 0.2
    assert confidence[:, 100:].max() == 0
    assert confidence[:, 20:50].min() > 0.3


def test_a_sure_cell_keeps_its_value_among_others() -> None:
    plane = draw_texture(40, 160)
    plane[..., 78:82] = 1
    readings = CellReadings(torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.full((1, 4), 8.0))
    values, _ = fill(plane, readings)
    assert values[:, :60].abs().max() < 0.5
    assert (values[:, 100:] - 4).abs().max() < 0.5


def test_cells_that_know_nothing_do_not_matter() -> None:
    plane = draw_texture(80, 80)
    known = CellReadings(torch.tensor([[2.0, -8.0], [2.0, 8.0]]), torch.tensor([[5.0, 0.0], [5.0, 0.0]]))
    values, _ = fill(plane, known)
    assert (values - 2).abs().max() < 0.1


def test_noise_is_no_texture() -> None:
    noise = torch.randn(1, 1, 200, 200, generator=torch.Generator().manual_seed(1)) * 0.02 / 2**0.5
    found = find_texture(0.5 + noise, noise=0.02)
    assert (found > 0).float().mean() < 0.05
    assert find_texture(draw_texture(100, 100), noise=0.02).median() > 100 * found.mean()


@pytest.mark.parametrize("stride_px", [40, 20, 10])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 3), (41, 83)])
def test_any_size_gives_a_finite_map_with_confidence(size: tuple[int, int], stride_px: int) -> None:
    shape = CellGrid(*size, stride_px=stride_px).shape
    readings = CellReadings(torch.ones(shape), torch.ones(shape))
    values, confidence = fill(draw_texture(*size), readings, stride_px=stride_px)
    assert values.shape == confidence.shape == size
    assert values.isfinite().all()
    assert 0 <= confidence.min() <= confidence.max() <= 1


def test_overlapping_cells_are_not_surer_for_being_more() -> None:
    plane, means = draw_texture(160, 160), []
    for stride_px in (40, 10):
        shape = CellGrid(160, 160, stride_px=stride_px).shape
        readings = CellReadings(torch.ones(shape), torch.ones(shape))
        means.append(float(fill(plane, readings, stride_px=stride_px)[1][40:-40, 40:-40].mean()))
    assert means[0] == pytest.approx(means[1], rel=0.1)


@pytest.mark.parametrize("mode", ["signed", "ensemble", "similarity"])
def test_a_flat_pair_has_a_finite_map_and_no_confidence(mode: str) -> None:
    view = np.full((50, 90, 3), 77, np.uint8)
    found = make_estimator("clip", {"mode": mode, "spread": True}).estimate(Pair("flat", view, view))
    assert found.confidence is not None
    assert not found.confidence.any()
    assert np.isfinite(found.values).all()


def test_spreading_crosses_smooth_places_and_stops_at_edges() -> None:
    guide = torch.zeros(1, 1, 20, 40)
    guide[..., 20:] = 1
    values, precision = torch.zeros(2, 1, 1, 20, 40)
    values[..., 2], precision[..., 2] = 5.0, 10.0
    values[..., 37], precision[..., 37] = -5.0, 10.0
    measured = Measurement(values, precision, torch.ones_like(values))
    edges = EdgeWeights.of(guide, edge=0.03)
    start = torch.zeros_like(values)
    found = spread(measured, edges, start=start, smoothness=0.1, steps=100, robust=False)[0, 0]
    assert found[:, :20].min() > 4
    assert found[:, 20:].max() < -4
