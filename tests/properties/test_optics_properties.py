"""What must hold for every kernel, every radius and every scene."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ldp_core.optics import (
    KernelFamily,
    KernelSpec,
    disparity_per_coc,
    kernel_bank,
    kernel_pair,
    render_views,
)
from ldp_core.optics.render import cut_slices
from ldp_core.signals import fast_size, irfft2, rfft2

calm = settings(deadline=None, max_examples=40)

MODELS = [family for family in KernelFamily if family is not KernelFamily.MEASURED]
SPLIT = [KernelFamily.HALF_DISC, KernelFamily.BUTTERWORTH, KernelFamily.TRANSLATING_DISC]

specs = st.builds(
    KernelSpec,
    family=st.sampled_from(MODELS),
    softness=st.floats(0, 8),
    crosstalk=st.floats(0, 0.45),
    order=st.integers(1, 9),
    cutoff=st.floats(1.5, 4),
    beta=st.floats(0, 1),
    smoothing=st.floats(3, 20),
)
diameters = st.floats(-60, 60, width=32)


def centroid_x(kernel: Tensor) -> float:
    places = torch.arange(kernel.shape[-1], dtype=torch.float64) - kernel.shape[-1] // 2
    return float(kernel.double().sum(0) @ places)


def spread(kernel: Tensor) -> float:
    """Second moment about the centre of the grid, in px^2."""
    places = torch.arange(kernel.shape[-1], dtype=torch.float64) - kernel.shape[-1] // 2
    return float((kernel.double() * (places[:, None] ** 2 + places[None] ** 2)).sum())


@calm
@given(specs, diameters)
def test_a_kernel_is_a_distribution_on_an_odd_grid(spec: KernelSpec, coc_px: float) -> None:
    for kernel in kernel_pair(spec, coc_px):
        assert kernel.shape[0] == kernel.shape[1]
        assert kernel.shape[0] % 2 == 1
        assert float(kernel.min()) >= 0
        assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)


@calm
@given(specs, diameters)
def test_the_right_kernel_mirrors_the_left_one(spec: KernelSpec, coc_px: float) -> None:
    left, right = kernel_pair(spec, coc_px)
    torch.testing.assert_close(right, left.flip(1), atol=1e-6, rtol=0)


@calm
@given(specs, diameters)
def test_near_and_far_swap_the_views(spec: KernelSpec, coc_px: float) -> None:
    far_left, far_right = kernel_pair(spec, abs(coc_px))
    near_left, near_right = kernel_pair(spec, -abs(coc_px))
    torch.testing.assert_close(near_left, far_right, atol=1e-6, rtol=0)
    torch.testing.assert_close(near_right, far_left, atol=1e-6, rtol=0)


@calm
@given(specs, diameters)
def test_disparity_is_proportional_to_the_diameter(spec: KernelSpec, coc_px: float) -> None:
    left, right = kernel_pair(spec, coc_px)
    expected = disparity_per_coc(spec) * coc_px
    assert centroid_x(right) - centroid_x(left) == pytest.approx(expected, abs=1e-3)


@calm
@given(st.sampled_from(SPLIT), st.floats(0, 8), st.floats(0, 0.45))
def test_far_content_lies_to_the_right_in_the_right_view(
    family: KernelFamily, softness: float, crosstalk: float
) -> None:
    assert disparity_per_coc(KernelSpec(family=family, softness=softness, crosstalk=crosstalk)) > 0.002


@calm
@given(specs, st.floats(0, 50), st.floats(0.02, 10))
def test_spread_grows_with_the_diameter(spec: KernelSpec, coc_px: float, more_px: float) -> None:
    small, large = (kernel_pair(spec, d)[0] for d in (coc_px, coc_px + more_px))
    assert spread(large) >= spread(small) - 1e-3


@calm
@given(specs, st.floats(-20, 20))
def test_kernels_change_smoothly(spec: KernelSpec, coc_px: float) -> None:
    here, there = kernel_bank(spec, torch.tensor([coc_px, coc_px + 1e-3]))
    assert float((here - there).abs().sum()) < 0.02


@calm
@given(specs)
def test_no_defocus_is_a_point(spec: KernelSpec) -> None:
    for kernel in kernel_pair(spec, 0.0):
        torch.testing.assert_close(kernel, torch.ones(1, 1))


@calm
@given(specs, st.lists(diameters, min_size=1, max_size=5))
def test_a_bank_holds_the_single_kernels(spec: KernelSpec, coc_px: list[float]) -> None:
    bank = kernel_bank(spec, torch.tensor(coc_px))
    for kernels, diameter in zip(bank, coc_px, strict=True):
        single = torch.stack(kernel_pair(spec, diameter))
        margin = (bank.shape[-1] - single.shape[-1]) // 2
        grown = torch.nn.functional.pad(single, (margin,) * 4)
        torch.testing.assert_close(kernels, grown, atol=1e-6, rtol=0)


@calm
@given(st.integers(0, 10_000), st.integers(3, 20), st.floats(-30, 30), st.floats(0, 40))
def test_slices_share_out_every_pixel(seed: int, count: int, low: float, span: float) -> None:
    coc_px = low + span * torch.rand(2, 9, 11, generator=torch.Generator().manual_seed(seed))
    scene = cut_slices(coc_px, count=count)
    shares = torch.stack([scene.share(index) for index in range(len(scene))])
    assert len(scene) == count
    torch.testing.assert_close(shares.sum(0), torch.ones(2, 1, 9, 11), atol=1e-4, rtol=0)
    empty = [index for index in range(count) if index not in scene.occupied()]
    assert float(shares[empty].sum()) < 1e-3


@settings(deadline=None, max_examples=8)
@given(specs, st.integers(0, 10_000), st.floats(0.05, 1))
def test_a_uniform_scene_stays_uniform(spec: KernelSpec, seed: int, level: float) -> None:
    """No light is lost at frame edges, slice borders or occlusions."""
    depths = torch.rand(1, 1, 6, 8, generator=torch.Generator().manual_seed(seed)) * 40 - 20
    coc_px = torch.nn.functional.interpolate(depths, scale_factor=8.0)[:, 0]
    sharp = torch.full((1, 3, 48, 64), level)
    for view in render_views(sharp, coc_px, spec):
        torch.testing.assert_close(view, sharp, atol=2e-3, rtol=0)


@calm
@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 40))
def test_a_fast_size_holds_the_picture_and_its_margin(height: int, width: int, margin: int) -> None:
    rows, columns = fast_size(height, width, margin=margin)
    assert height + margin <= rows < 1.5 * (height + margin) + 4
    assert width + margin <= columns < 1.5 * (width + margin) + 4
    picture = torch.rand(height, width, generator=torch.Generator().manual_seed(height))
    again = irfft2(rfft2(picture, (rows, columns)), (rows, columns))
    torch.testing.assert_close(again[:height, :width], picture, atol=1e-5, rtol=0)
    assert float(again[height:].abs().sum() + again[:, width:].abs().sum()) < 1e-2
