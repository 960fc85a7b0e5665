"""Surfaces that hide each other: how a scene is cut into them, and what is seen of each."""

from __future__ import annotations

import pytest
import torch

from ldp_core.deblur.occlusion import Restored, decode_views, fill, find_ranges, isolate, surround
from ldp_core.optics.kernels import KernelSpec
from ldp_core.optics.layered import Surface, flatten_surfaces, render_surfaces

SIZE = (96, 160)


def wall(coc_px: float) -> Surface:
    colour = torch.rand(3, 12, 20, generator=torch.Generator().manual_seed(1))
    picture = torch.nn.functional.interpolate(colour[None], SIZE, mode="bilinear")[0]
    return Surface(0.2 + 0.6 * picture, torch.ones(SIZE), torch.full(SIZE, coc_px))


def bars(coc_px: float) -> Surface:
    coverage = torch.zeros(SIZE)
    coverage[:, 40:60] = coverage[:, 110:130] = 1
    return Surface(torch.full((3, *SIZE), 0.1), coverage, torch.full(SIZE, coc_px))


def test_depth_without_a_gap_is_one_range() -> None:
    assert len(find_ranges(torch.linspace(-8, 20, 96 * 160).reshape(SIZE))) == 1
    assert len(find_ranges(torch.zeros(SIZE))) == 1
    assert len(find_ranges(torch.zeros(1, 1))) == 1


def test_bars_before_a_wall_are_two_ranges_from_the_front_to_the_back() -> None:
    coc_px = flatten_surfaces([wall(16.0), bars(0.0)])[1]
    ranges = list(find_ranges(coc_px))
    assert [depth.middle_px for depth in ranges] == [0, 16]
    held = torch.stack([depth.holds(coc_px) for depth in ranges])
    assert (held.sum(0) == 1).all(), "every pixel belongs to one range"


def test_only_depth_that_is_seen_decides_on_ranges() -> None:
    coc_px = flatten_surfaces([wall(16.0), bars(0.0)])[1]
    unseen = (coc_px > 8).float()
    assert len(find_ranges(coc_px, unseen)) == 1
    assert find_ranges(coc_px, torch.ones(SIZE)) == find_ranges(coc_px)
    assert len(find_ranges(coc_px, torch.zeros(SIZE))) == 1


@pytest.mark.parametrize(("wall_px", "bars_px"), [(14.0, 0.0), (0.0, -10.0), (9.0, -8.0)])
def test_the_wall_is_seen_as_if_the_bars_were_not_there(wall_px: float, bars_px: float) -> None:
    scene = [wall(wall_px), bars(bars_px)]
    alone, both = (torch.stack(render_surfaces(surfaces)) for surfaces in (scene[:1], scene))
    sharp, coc_px = flatten_surfaces(scene)
    front, back = find_ranges(coc_px)
    seen = isolate(both, decode_views(both), coc_px, back, [Restored(front, sharp)], kernel=KernelSpec())
    beside = torch.zeros(SIZE, dtype=torch.bool)
    beside[12:-12, 62:108] = True
    before = (both - alone)[..., beside].square().mean()
    after = (seen - alone)[..., beside].square().mean()
    assert float(after) < 1e-4
    assert float(after) <= max(0.2 * float(before), 1e-6)


def test_bars_are_seen_without_the_wall() -> None:
    scene = [wall(0.0), bars(-8.0)]
    sharp, coc_px = flatten_surfaces(scene)
    front, _ = find_ranges(coc_px)
    views = torch.stack(render_surfaces(scene))
    seen = isolate(views, decode_views(views), coc_px, front, [], kernel=KernelSpec())
    inside = coc_px < -4
    assert float((seen - sharp)[..., inside].abs().mean()) < 0.05


def test_what_is_not_seen_continues_smoothly() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 32, 64)
    weight = torch.ones_like(ramp)
    weight[..., 24:40] = 0
    filled = fill(ramp, weight)
    assert torch.equal(filled[..., :24], ramp[..., :24])
    assert float((filled - ramp).abs().max()) < 0.15


@pytest.mark.parametrize("least", [0.0, 1e-9, 1e-3, 1.0])
def test_one_colour_continues_however_little_is_seen(least: float) -> None:
    grey = torch.full((2, 3, 40, 56), 0.6)
    weight = least * torch.rand(2, 1, 40, 56, generator=torch.Generator().manual_seed(4))
    torch.testing.assert_close(fill(grey, weight), grey)


def test_a_mask_is_surrounded_within_the_picture() -> None:
    mask = torch.zeros(20, 30, dtype=torch.bool)
    mask[3, 7] = mask[12, 25] = True
    assert surround(mask, margin_px=0) == (slice(3, 13), slice(7, 26))
    widened = torch.zeros(20, 30)
    widened[surround(mask, margin_px=5)] = 1
    assert widened[:18, 2:].all()
    assert float(widened.sum()) == 18 * 28
