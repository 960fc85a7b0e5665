"""Layered scenes of thin structures: what the renderer must keep, and that scenes are as described."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ldp_core.errors import PairMismatchError
from ldp_core.optics.kernels import KernelSpec
from ldp_core.optics.layered import Surface, flatten_surfaces, render_surfaces
from ldp_core.optics.render import render_views
from ldp_core.optics.sensor import Transfer
from ldp_core.optics.simulate import SceneSet, SimulationSettings, simulate_pair
from ldp_core.optics.thin_structures import LARGEST_COC_PX, make_thin_structures

SMALL = {"scene": "thin-structures", "height": 96, "width": 128}


def wall(coc_px: float, *, size: tuple[int, int] = (64, 96)) -> Surface:
    colour = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    return Surface(colour, torch.ones(size), torch.full(size, coc_px))


def bar(coc_px: float, *, value: float, size: tuple[int, int] = (64, 96)) -> Surface:
    coverage = torch.zeros(size)
    coverage[:, 40:50] = 1
    return Surface(torch.full((3, *size), value), coverage, torch.full(size, coc_px))


def test_one_surface_is_rendered_as_by_the_picture_renderer() -> None:
    surface = wall(9.0)
    ours = render_surfaces([surface])
    theirs = render_views(surface.colour[None], surface.coc_px[None])
    inner = (..., slice(8, -8), slice(8, -8))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a[inner], b[0][inner], atol=1e-4, rtol=0)


def test_a_blurred_wall_is_seen_around_a_sharp_bar_as_if_the_bar_were_not_there() -> None:
    alone, hidden = render_surfaces([wall(16.0)])[0], render_surfaces([wall(16.0), bar(0.0, value=0.0)])[0]
    beside = torch.ones(96, dtype=torch.bool)
    beside[40:50] = False
    torch.testing.assert_close(hidden[..., beside], alone[..., beside])
    assert float(hidden[..., 40:50].max()) == 0


def test_a_blurred_bar_takes_light_from_a_sharp_wall_in_proportion_to_its_coverage() -> None:
    white = Surface(torch.ones(3, 64, 96), torch.ones(64, 96), torch.zeros(64, 96))
    left, right = (
        view[0, 32] for view in render_surfaces([white, bar(-12.0, value=0.0)], transfer=Transfer.LINEAR)
    )
    for view in (left, right):
        assert float((1 - view).sum()) == pytest.approx(10, abs=1e-2)
    place = torch.arange(96.0)
    centre = [float(((1 - view) * place).sum() / (1 - view).sum()) for view in (left, right)]
    assert centre[1] < centre[0], "before the focal plane content of the right view lies to -x"


def test_a_field_of_one_kernel_is_that_kernel() -> None:
    kernel, surfaces = KernelSpec(softness=0.7), [wall(7.0), bar(-4.0, value=0.2)]
    for a, b in zip(
        render_surfaces(surfaces, lambda x, y: kernel), render_surfaces(surfaces, kernel), strict=True
    ):
        torch.testing.assert_close(a[..., 8:-8, 8:-8], b[..., 8:-8, 8:-8], atol=2e-3, rtol=0)


def test_a_field_is_asked_at_places_of_the_whole_picture() -> None:
    asked = []

    def field(x: float, y: float) -> KernelSpec:
        asked.append((x, y))
        return KernelSpec()

    render_surfaces([wall(4.0)], field)
    xs, ys = (np.array(axis) for axis in zip(*asked, strict=True))
    assert (xs.min(), xs.max()) == (-1, 1)
    assert ys.max() == pytest.approx(64 / 96) == -ys.min()


def test_surfaces_of_two_sizes_are_refused() -> None:
    with pytest.raises(PairMismatchError, match="differ in size"):
        render_surfaces([wall(3.0), bar(3.0, value=0.1, size=(64, 95))])


def test_flattened_surfaces_show_what_lies_in_front() -> None:
    sharp, coc_px = flatten_surfaces([wall(16.0), bar(-3.0, value=0.25)])
    assert torch.allclose(sharp[:, :, 40:50], torch.tensor(0.25), atol=1e-3)
    assert set(coc_px.unique().tolist()) == {-3.0, 16.0}


def test_scenes_have_both_signs_and_large_circles_before_and_behind_focus() -> None:
    front, back = [], []
    for number in range(60):
        surfaces = make_thin_structures(3, number, size=(64, 64))
        centres = [float(surface.coc_px.median()) for surface in surfaces]
        assert centres == sorted(centres, reverse=True), "from the back to the front"
        assert max(float(surface.coc_px.abs().max()) for surface in surfaces) <= LARGEST_COC_PX
        front.append(centres[-1])
        back.append(centres[0])
    assert min(front) < -25
    assert max(back) > 25
    assert sum(abs(x) < 2 for x in front) > 5
    assert sum(abs(x) < 2 for x in back) > 5


def test_scenes_depend_on_seed_and_number_apart() -> None:
    settings = [SimulationSettings.parse({**SMALL, "seed": seed}) for seed in (0, 0, 1)]
    first, again, other = (simulate_pair(number, s) for number, s in zip((1, 1, 0), settings, strict=True))
    assert np.array_equal(first.left, again.left)
    assert np.array_equal(first.right, again.right)
    assert not np.array_equal(first.left, other.left)


def test_a_simulated_pair_of_structures_has_views_truth_and_circles() -> None:
    pair = simulate_pair(0, SimulationSettings.parse(SMALL))
    assert pair.left.shape == pair.right.shape == pair.target.shape == (96, 128, 3)
    assert pair.blur_truth.shape == (96, 128)
    assert np.abs(pair.blur_truth).max() <= LARGEST_COC_PX


def test_unless_told_otherwise_the_set_has_its_own_kernels_and_limits() -> None:
    settings = SimulationSettings.parse({"scene": SceneSet.THIN_STRUCTURES, "far_limit_px": 20})
    assert settings.kernels == (KernelSpec(),)
    assert (settings.near_limit_px, settings.far_limit_px) == (LARGEST_COC_PX, 20)
    assert SimulationSettings.parse(settings.model_dump(mode="json")) == settings
    assert len(SimulationSettings().kernels) > 1
