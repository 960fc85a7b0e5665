"""The training-free estimator on pairs whose circle of confusion is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ldp_core.blur import ESTIMATORS, BlurEstimator, make_estimator
from ldp_core.blur.disparity import choose_search_level
from ldp_core.errors import SettingsError
from ldp_core.optics.kernels import KernelSpec, disparity_per_coc, kernel_pair
from ldp_core.types import BlurMapKind, Pair

Picture = NDArray[np.float64]


@pytest.fixture(scope="module")
def estimator() -> BlurEstimator:
    return make_estimator("disparity")


def paint_texture(height: int, width: int, *, seed: int = 0) -> Picture:
    """Random texture (h, w) in 0..1 with detail at every scale, as natural pictures have; periodic."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    texture = np.fft.ifft2(np.fft.fft2(rng.standard_normal((height, width))) / (0.01 + frequency)).real
    return np.asarray((0.5 + 0.12 * texture / texture.std()).clip(0, 1))


def defocus(sharp: Picture, coc_px: float, *, kernel: KernelSpec | None = None) -> tuple[Picture, Picture]:
    """Left and right view of a flat scene at one circle of confusion (periodic)."""
    left, right = (_convolve(sharp, k.double().numpy()) for k in kernel_pair(kernel or KernelSpec(), coc_px))
    return left, right


def _convolve(sharp: Picture, kernel: Picture) -> Picture:
    padded = np.zeros_like(sharp)
    padded[: len(kernel), : len(kernel)] = kernel
    centred = np.roll(padded, (-(len(kernel) // 2),) * 2, axis=(0, 1))
    return np.asarray(np.fft.ifft2(np.fft.fft2(sharp) * np.fft.fft2(centred)).real)


def make_pair(left: Picture, right: Picture, *, dtype: type = np.uint8) -> Pair:
    peak = np.iinfo(dtype).max
    views = [np.rint(v * peak).clip(0, peak).astype(dtype)[..., None] for v in (left, right)]
    return Pair("simulated/pair", views[0], views[1])


@pytest.mark.parametrize("coc_px", [-12.0, -3.0, 1.0, 6.0, 24.0])
def test_finds_a_uniform_circle_of_confusion(estimator: BlurEstimator, coc_px: float) -> None:
    coc = estimator.estimate(make_pair(*defocus(paint_texture(192, 256), coc_px))).signed_coc_px()
    inside = coc[24:-24, 32:-32]
    assert np.median(inside) == pytest.approx(coc_px, rel=0.02, abs=0.1)
    assert np.abs(inside - coc_px).mean() < 0.03 * abs(coc_px) + 0.2


@pytest.mark.parametrize("period_px", [16.0, 24.0])
@pytest.mark.parametrize("coc_px", [-6.0, 0.0, 9.0])
def test_stripes_are_not_matched_a_period_too_far(
    estimator: BlurEstimator, period_px: float, coc_px: float
) -> None:
    y, x = np.mgrid[:192, :240]
    stripes = 0.5 + 0.3 * np.sign(np.sin(2 * np.pi * (x + y) / period_px))
    coc = estimator.estimate(make_pair(*defocus(stripes, coc_px))).values
    inside = coc[24:-24, 32:-32]
    assert np.median(inside) == pytest.approx(coc_px, rel=0.1, abs=0.2)
    assert (np.abs(inside - coc_px) < 2).mean() > 0.95


@pytest.mark.parametrize("kernel", [KernelSpec(softness=0.3), KernelSpec(crosstalk=0.2)], ids=str)
def test_other_kernels_than_assumed_change_the_scale_only(
    estimator: BlurEstimator, kernel: KernelSpec
) -> None:
    texture = paint_texture(160, 200)
    found = [
        np.median(estimator.estimate(make_pair(*defocus(texture, coc, kernel=kernel))).values)
        for coc in (-8.0, -4.0, 4.0, 8.0)
    ]
    per_coc = disparity_per_coc(kernel) / disparity_per_coc(KernelSpec())
    np.testing.assert_allclose(found, np.multiply(per_coc, (-8, -4, 4, 8)), rtol=0.25)
    assert sorted(found) == found


def test_kind_shape_dtype_and_confidence_range(estimator: BlurEstimator) -> None:
    texture = paint_texture(97, 131)
    blur_map = estimator.estimate(make_pair(texture, texture))
    assert blur_map.kind is BlurMapKind.SIGNED_COC_PX
    assert blur_map.values.shape == (97, 131)
    assert blur_map.values.dtype == np.float32
    assert blur_map.confidence is not None
    assert blur_map.confidence.dtype == np.float32
    assert blur_map.confidence.min() >= 0
    assert blur_map.confidence.max() <= 1


def test_equal_views_are_in_focus(estimator: BlurEstimator) -> None:
    texture = paint_texture(128, 160)
    np.testing.assert_allclose(estimator.estimate(make_pair(texture, texture)).values, 0, atol=0.05)


def test_constant_views_give_zero_without_confidence(estimator: BlurEstimator) -> None:
    flat = np.full((64, 80), 0.4)
    blur_map = estimator.estimate(make_pair(flat, flat))
    np.testing.assert_allclose(blur_map.values, 0, atol=1e-3)
    np.testing.assert_allclose(blur_map.confidence, 0, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 5), (17, 23), (33, 64), (65, 130)])
def test_any_size_gives_finite_values(estimator: BlurEstimator, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    blur_map = estimator.estimate(make_pair(rng.random(size), rng.random(size)))
    assert blur_map.values.shape == size
    assert np.isfinite(blur_map.values).all()
    assert np.isfinite(blur_map.confidence).all()


def test_sixteen_bit_colour_agrees_with_eight_bit_grey(estimator: BlurEstimator) -> None:
    views = defocus(paint_texture(128, 160), 6)
    grey = estimator.estimate(make_pair(*views)).values
    deep = make_pair(*views, dtype=np.uint16)
    colour = Pair("simulated/colour", deep.left.repeat(3, axis=2), deep.right.repeat(3, axis=2))
    assert np.abs(estimator.estimate(colour).values - grey).mean() < 0.3


def test_untextured_area_takes_the_value_around_it_with_less_confidence(estimator: BlurEstimator) -> None:
    texture = paint_texture(320, 400)
    texture[90:230, 110:290] = texture.mean()
    blur_map = estimator.estimate(make_pair(*defocus(texture, 8)))
    assert blur_map.confidence is not None
    hole = (slice(140, 180), slice(170, 230))
    np.testing.assert_allclose(blur_map.values[hole], 8, atol=0.5)
    assert blur_map.confidence[hole].mean() < 0.1 * np.median(blur_map.confidence)


def test_a_step_between_two_planes_stays_sharp(estimator: BlurEstimator) -> None:
    near, far = paint_texture(192, 320, seed=2), 0.5 * paint_texture(192, 320, seed=3)
    halves = zip(defocus(near, -6), defocus(far, 10), strict=True)
    coc = estimator.estimate(make_pair(*(np.where(np.arange(320) < 160, a, b) for a, b in halves))).values
    assert np.abs(coc[24:-24, 24:144] + 6).mean() < 0.6
    assert np.abs(coc[24:-24, 176:-24] - 10).mean() < 0.6


def test_result_does_not_depend_on_the_run(estimator: BlurEstimator) -> None:
    pair = make_pair(*defocus(paint_texture(80, 96), 5))
    np.testing.assert_array_equal(estimator.estimate(pair).values, estimator.estimate(pair).values)


def test_large_pictures_are_searched_coarser() -> None:
    assert choose_search_level(1, 1) == 0
    assert choose_search_level(560, 840) == choose_search_level(1008, 1344) == 2
    assert choose_search_level(2940, 5180) == 3


def test_spec_holds_every_setting() -> None:
    spec = make_estimator("disparity", {"window_px": 3}).spec
    assert (spec.stage, spec.method) == ("blur", "disparity")
    assert spec.settings["window_px"] == 3
    assert spec.settings["kernel"]["family"] == "half_disc"


def test_unknown_names_and_settings_are_refused() -> None:
    assert "disparity" in ESTIMATORS
    with pytest.raises(SettingsError, match="estimator"):
        make_estimator("guesswork")
    with pytest.raises(SettingsError, match="not valid"):
        make_estimator("disparity", {"windows": 3})


@pytest.mark.parametrize("kernel", [{"family": "disc"}, {"family": "gaussian"}, {"crosstalk": 0.5}])
def test_a_kernel_whose_views_are_not_apart_is_refused(kernel: dict[str, object]) -> None:
    """No circle of confusion follows from their disparity, which is none."""
    pair = Pair("set/a", *np.random.default_rng(0).integers(0, 256, (2, 48, 64, 1), dtype=np.uint8))
    with pytest.raises(SettingsError, match="not apart"):
        make_estimator("disparity", {"kernel": kernel}).estimate(pair)
