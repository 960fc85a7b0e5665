"""Edges in focus: where they are found, and what is left without them."""

from __future__ import annotations

import torch

from ldp_core.blur.matching import smooth
from ldp_core.blur.sharp_edges import find_sharp_edges, halve_mask, remove_edges


def bar(*, blur_px: float = 0.0, size: tuple[int, int] = (60, 120)) -> torch.Tensor:
    """Grey with a dark upright bar at columns 50 to 59."""
    view = torch.full((1, 1, *size), 0.6)
    view[..., 50:60] = 0.1
    return smooth(view, blur_px) if blur_px else view


def test_edges_are_found_in_focus_and_not_out_of_it() -> None:
    found = find_sharp_edges(bar(), bar(), noise=0.001)[0, 0]
    columns = found.all(0).nonzero().flatten().tolist()
    assert {49, 50, 59, 60} <= set(columns)
    assert min(columns) > 40
    assert max(columns) < 70
    blurred = bar(blur_px=4.0)
    assert not find_sharp_edges(blurred, blurred, noise=0.001).any()


def test_noise_is_no_edge() -> None:
    draw = torch.Generator().manual_seed(1)
    views = [0.5 + 0.05 * torch.randn(1, 1, 80, 80, generator=draw) for _ in range(2)]
    assert float(find_sharp_edges(*views, noise=0.05).mean()) < 0.02


def test_without_its_edges_a_bar_is_gone_and_texture_stays() -> None:
    texture = 0.05 * smooth(torch.randn(1, 1, 60, 120, generator=torch.Generator().manual_seed(2)), 3.0)
    view = bar() + texture
    left = remove_edges(view, find_sharp_edges(view, view, noise=0.001))
    assert float((left[..., 50:60].mean() - left[..., 70:].mean()).abs()) < 0.05
    away = left[..., 70:] - texture[..., 70:]
    assert float((away - away.mean()).abs().max()) < 0.01
    assert torch.allclose(left.mean(), view.mean(), atol=1e-4)


def test_a_view_without_edges_in_focus_is_left_as_it_is() -> None:
    view = bar(blur_px=5.0)
    assert remove_edges(view, torch.zeros_like(view)) is view


def test_a_halved_mask_loses_no_edge() -> None:
    mask = torch.zeros(1, 1, 9, 12)
    mask[..., 3] = 1
    assert halve_mask(mask).shape == (1, 1, 5, 6)
    assert halve_mask(mask)[..., 1:3].all()
