"""The pieces of the training-free restoration, each by its own law."""

from __future__ import annotations

import pytest
import torch
from scipy.ndimage import maximum_filter

from ldp_core.deblur.inversion import (
    Layer,
    Penalty,
    PulledLayer,
    ViewSpectra,
    add_inverse,
    are_mirrored,
    refine_edges,
)
from ldp_core.deblur.wiener import (
    choose_levels,
    from_opponent,
    level_weights,
    limit_halos,
    to_opponent,
)
from ldp_core.optics.kernels import KernelSpec, kernel_bank
from ldp_core.signals import Canvas, join_parts, laplacian_noise, repeat_twice, spread_maxima


@pytest.mark.parametrize(
    ("lowest", "highest"), [(0.0, 0.0), (-0.2, 0.1), (-7.0, 31.0), (4.0, 9.0), (-12.0, -3.0)]
)
def test_levels_enclose_the_map_and_their_shares_add_up(lowest: float, highest: float) -> None:
    coc = torch.linspace(lowest, highest, 60).reshape(6, 10)
    levels = choose_levels(lowest=lowest, highest=highest, step_px=0.6, growth=0.12)
    shares = torch.stack([level_weights(coc, levels, index) for index in range(len(levels))])
    mixed = (shares * torch.tensor(levels)[:, None, None]).sum(0)
    assert levels == sorted(levels)
    assert torch.allclose(shares.sum(0), torch.ones(6, 10), atol=1e-5)
    assert torch.allclose(mixed, coc, atol=1e-4)


def test_levels_widen_with_the_blur() -> None:
    levels = choose_levels(lowest=0, highest=40, step_px=1, growth=0.15)
    assert levels[1] - levels[0] == pytest.approx(1)
    assert levels[-1] - levels[-2] == pytest.approx(0.15 * levels[-2])


@pytest.mark.parametrize("sigma", [0.003, 0.02])
def test_noise_is_measured_through_texture_and_parallax(sigma: float) -> None:
    draw = torch.Generator().manual_seed(0)
    scene = torch.rand(3, 8, 12, generator=draw)
    scene = torch.nn.functional.interpolate(scene[None], scale_factor=20, mode="bicubic")[0]
    left, right = (
        view + sigma * torch.randn(view.shape, generator=draw) for view in (scene, scene.roll(2, -1))
    )
    assert laplacian_noise(left, right) == pytest.approx(sigma, rel=0.1)


def test_equal_views_have_no_noise() -> None:
    view = torch.rand(3, 20, 30)
    assert laplacian_noise(view, view) == 0
    assert laplacian_noise(view[:, :2], view[:, :2]) == 0


def test_opponent_colours_are_orthonormal() -> None:
    picture = torch.rand(2, 3, 5, 7)
    opponent = to_opponent(picture)
    assert torch.allclose(from_opponent(opponent), picture, atol=1e-6)
    assert torch.allclose(opponent.square().sum(1), picture.square().sum(1), atol=1e-5)
    assert torch.allclose(to_opponent(torch.full((3, 1, 1), 0.5))[1:], torch.zeros(2, 1, 1), atol=1e-7)


def test_the_canvas_returns_the_picture() -> None:
    picture = torch.rand(3, 37, 53)
    canvas = Canvas.around(picture, margin=90)
    assert torch.allclose(canvas.restore(canvas.transform(picture)), picture, atol=1e-5)


def build_scene(coc_px: float) -> tuple[Canvas, list[Layer], Penalty, torch.Tensor]:
    """A picture of one step edge, blurred at one depth, ready to be inverted."""
    sharp = torch.full((1, 64, 96), 0.2)
    sharp[..., 48:] = 0.8
    canvas = Canvas.around(sharp, margin=24)
    kernels = kernel_bank(KernelSpec(), torch.tensor([coc_px]))
    spectra = ViewSpectra.of(canvas.transform(sharp) * canvas.transfer(kernels)[0][:, None])
    layer = Layer(coc_px, torch.ones(64, 96), *spectra.apply_adjoint(canvas, kernels, torch.ones(1)))
    frequency = repeat_twice(canvas.frequencies())
    return canvas, [layer], Penalty(torch.zeros_like(frequency), 0.05 * frequency**1.5), sharp


@pytest.mark.parametrize("coc_px", [-9.0, 6.0])
def test_the_edge_prior_takes_ripples_away(coc_px: float) -> None:
    canvas, layers, penalty, sharp = build_scene(coc_px)
    first = torch.zeros_like(sharp)
    add_inverse(first, canvas, layers[0], penalty, colour_strictness=1.0)
    gradient_power = repeat_twice(canvas.gradient_power())
    pulled = [PulledLayer.of(layer, penalty, gradient_power, stiffness=1.0) for layer in layers]
    refined = refine_edges(canvas, pulled, first, threshold=0.01, rounds=3)
    flat = torch.ones(96, dtype=torch.bool)
    flat[40:56] = False
    ripple, remainder = ((picture - sharp)[..., flat].abs().max() for picture in (first, refined))
    assert remainder < 0.8 * ripple
    assert (refined - sharp).abs().mean() < (first - sharp).abs().mean()


def test_candidates_that_disagree_are_held_back() -> None:
    canvas, _, _, sharp = build_scene(10.0)
    spectra = ViewSpectra.of(canvas.transform(sharp.expand(2, 1, 64, 96)))
    probabilities = torch.tensor([0.5, 0.5])
    near, far = (kernel_bank(KernelSpec(), torch.tensor([10.0 - off, 10.0 + off])) for off in (0.0, 2.0))
    sure, unsure = (
        join_parts(adjoint / (power + 1e-3)).abs()
        for adjoint, power in (spectra.apply_adjoint(canvas, bank, probabilities) for bank in (near, far))
    )
    weight = canvas.transform(sharp).abs()
    assert (unsure * weight).sum() < (sure * weight).sum()


def test_mirrored_kernels_are_applied_as_any_others(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas, _, _, sharp = build_scene(10.0)
    spectra = ViewSpectra.of(canvas.transform(torch.stack([sharp, sharp.flip(-1)])))
    kernels = kernel_bank(KernelSpec(), torch.tensor([-9.0, -10.0, -11.0]))
    assert are_mirrored(kernels)
    found = spectra.apply_adjoint(canvas, kernels, torch.tensor([0.2, 0.5, 0.3]))
    monkeypatch.setattr("ldp_core.deblur.inversion.are_mirrored", lambda _: False)
    expected = spectra.apply_adjoint(canvas, kernels, torch.tensor([0.2, 0.5, 0.3]))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize("changes", [{"field_x": 0.5}, {"field_y": 0.5}])
def test_kernels_off_the_axis_are_not_mirrored(changes: dict[str, float]) -> None:
    kernel = KernelSpec.parse({"family": "off_axis", **changes})
    assert not are_mirrored(kernel_bank(kernel, torch.tensor([10.0])))


@pytest.mark.parametrize("radii_px", [(1, 2, 4, 8, 16), (1, 3), (1, 2)])
@pytest.mark.parametrize("shape", [(3, 40, 50), (1, 5, 7), (1, 1, 1)])
def test_maxima_are_those_of_a_window(shape: tuple[int, ...], radii_px: tuple[int, ...]) -> None:
    picture = torch.rand(shape)
    for radius_px, found in zip(radii_px, spread_maxima(picture, radii_px), strict=True):
        side = 2 * radius_px + 1
        expected = maximum_filter(picture.numpy(), size=(1, side, side), mode="nearest")
        assert torch.equal(found, torch.from_numpy(expected))


def test_halos_are_cut_and_the_rest_is_left() -> None:
    view = torch.full((3, 20, 60), 0.2)
    view[..., 30:] = 0.8
    picture = view.clone()
    picture[..., 27:30], picture[..., 10] = -0.6, 0.2001
    limited = limit_halos(picture, torch.stack([view, view]), torch.full((20, 60), 16.0), slack=0.5)
    assert torch.allclose(limited[..., 27:30], torch.tensor(0.2 - 0.5 * 0.6), atol=1e-6)
    assert torch.equal(limited[..., 30:], view[..., 30:])


def test_halo_limits_pass_the_mean_of_the_views() -> None:
    views = torch.rand(2, 1, 30, 40)
    coc = torch.linspace(-50, 50, 40).expand(30, 40)
    assert torch.allclose(limit_halos(views.mean(0), views, coc, slack=0.0), views.mean(0), atol=1e-6)
