"""A lens whose blur depends on the place: every place of a frame is seen through its own kernels."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ldp_core.optics.kernels import FITTED_KERNELS, KernelSpec
from ldp_core.optics.render import render_frame, render_views
from ldp_core.optics.rng import Rng
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.optics.textures import spectral_noise

LENS = FITTED_KERNELS["pixel4"]
COC_PX = 9.0
SIDE = 16


def photograph(height: int, width: int) -> tuple[Tensor, Tensor]:
    sharp = 0.5 + 0.1 * spectral_noise(Rng.from_seed(4), height, width, exponent=0.7)
    return sharp.clamp(0, 1)[None, None], torch.full((1, height, width), COC_PX)


def distance(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor], window: tuple[slice, ...]) -> float:
    return max(float((a - b)[(..., *window)].abs().max()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("field_x", "field_y", "window"),
    [
        (-1.0, -0.75, (slice(0, SIDE), slice(0, SIDE))),
        (1.0, 0.75, (slice(-SIDE, None), slice(-SIDE, None))),
        (-1.0, 0.0, (slice(112, 112 + SIDE), slice(0, SIDE))),
    ],
)
def test_at_a_node_the_frame_is_seen_through_the_kernels_of_that_place(
    field_x: float, field_y: float, window: tuple[slice, ...]
) -> None:
    sharp, coc_px = photograph(240, 320)
    frame = render_frame(sharp, coc_px, LENS)
    here = LENS.model_copy(update={"field_x": field_x, "field_y": field_y})
    elsewhere = LENS.model_copy(update={"field_x": -field_x, "field_y": 0.3 - field_y})
    near = distance(frame, render_views(sharp, coc_px, here), window)
    assert near < 0.5 * distance(frame, render_views(sharp, coc_px, elsewhere), window)
    assert near < 0.02


def test_a_lens_that_is_alike_everywhere_gives_the_same_frame() -> None:
    sharp, coc_px = photograph(120, 160)
    alike = LENS.model_copy(update={"coma": 0.0, "stretch": 0.0})
    window = (slice(None), slice(None))
    assert distance(render_frame(sharp, coc_px, alike), render_views(sharp, coc_px, alike), window) < 2e-3
    half_disc = KernelSpec()
    frame, views = render_frame(sharp, coc_px, half_disc), render_views(sharp, coc_px, half_disc)
    assert distance(frame, views, window) == 0


def test_photographs_are_simulated_over_the_whole_frame_on_request() -> None:
    settings = SimulationSettings(height=96, width=128, kernels=(LENS,), sharp_share=0)
    place, whole = (
        simulate_pair(1, settings.model_copy(update={"whole_frame": chosen})) for chosen in (False, True)
    )
    assert place.target is not None
    assert whole.target is not None
    assert (place.target == whole.target).all()
    assert (place.left != whole.left).any()
