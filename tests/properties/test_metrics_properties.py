"""Laws of the metrics, and agreement with second implementations."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import optimize, stats
from skimage import metrics as skimage_metrics

from ldp_core.blur.torchvision_shim import make_torchvision_importable
from ldp_core.metrics import difference_interval, find_shift, mae, mean_interval, psnr_db, ssim
from ldp_core.metrics.blur_maps import ai1, ai2, auc, one_minus_rho, spearman
from ldp_core.metrics.fidelity import REACH_PX, align

TOLERANCES = {
    # dtype: (PSNR dB, SSIM, MAE) against skimage; float32 pictures are compared there in float32
    "uint8": (1e-9, 1e-9, 1e-12),
    "uint16": (1e-9, 1e-9, 1e-12),
    "float32": (1e-4, 1e-5, 1e-7),
    "float64": (1e-9, 1e-9, 1e-12),
}

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def torchmetrics() -> ModuleType:
    """torchmetrics, also where torchvision was built for another torch and lacks two operators."""
    make_torchvision_importable()
    import torchmetrics.functional

    return torchmetrics.functional


def paint_scene(height: int = 150, width: int = 61, channels: int = 3, *, seed: int = 0) -> Array:
    """A smooth, coloured picture with an edge, ``(h, w, c)`` in 0..1; 150 rows span two bands."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(y / 7 + phase) * np.cos(x / 5 + phase) for phase in rng.uniform(0, 6, channels)]
    return np.clip(0.5 + 0.3 * np.stack(waves, axis=2) + 0.2 * (x > width / 2)[..., None], 0, 1)


def distort(picture: Array, *, seed: int = 1) -> Array:
    noise = np.random.default_rng(seed).normal(0, 0.05, picture.shape)
    return np.clip(0.9 * picture + 0.03 + noise, 0, 1)


def convert(picture: Array, dtype: str) -> NDArray[np.generic]:
    if dtype.startswith("uint"):
        return np.rint(picture * np.iinfo(dtype).max).astype(dtype)
    return picture.astype(dtype)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_agrees_with_scikit_image(dtype: str, channels: int) -> None:
    scene = paint_scene(channels=channels)
    image, reference = convert(distort(scene), dtype), convert(scene, dtype)
    peak = float(np.iinfo(dtype).max) if dtype.startswith("uint") else 1.0
    psnr_tolerance, ssim_tolerance, mae_tolerance = TOLERANCES[dtype]

    expected_psnr = skimage_metrics.peak_signal_noise_ratio(reference, image, data_range=peak)
    expected_ssim = skimage_metrics.structural_similarity(reference, image, data_range=peak, channel_axis=2)
    expected_mae = np.abs(image.astype(np.float64) - reference.astype(np.float64)).mean() / peak

    assert psnr_db(image, reference) == pytest.approx(expected_psnr, abs=psnr_tolerance)
    assert ssim(image, reference) == pytest.approx(expected_ssim, abs=ssim_tolerance)
    assert mae(image, reference) == pytest.approx(expected_mae, abs=mae_tolerance)


def test_agrees_with_torchmetrics(torchmetrics: ModuleType) -> None:
    scene = paint_scene()
    planes = as_planes(distort(scene)), as_planes(scene)
    theirs = torchmetrics.image.peak_signal_noise_ratio(*planes, data_range=1.0)
    assert psnr_db(distort(scene), scene) == pytest.approx(float(theirs), abs=1e-5)
    theirs = torchmetrics.regression.mean_absolute_error(*planes)
    assert mae(distort(scene), scene) == pytest.approx(float(theirs), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_ssim_agrees_with_torchmetrics(torchmetrics: ModuleType, seed: int) -> None:
    """Theirs keeps the border, cut off here, and has biased variances: the same as a smaller k2."""
    scene = paint_scene(seed=seed)
    image = distort(scene, seed=seed)
    _, theirs = torchmetrics.image.structural_similarity_index_measure(
        as_planes(image),
        as_planes(scene),
        gaussian_kernel=False,
        kernel_size=7,
        data_range=1.0,
        k2=0.03 * (48 / 49) ** 0.5,
        return_full_image=True,
    )
    assert ssim(image, scene) == pytest.approx(float(theirs[..., 3:-3, 3:-3].mean()), abs=1e-9)


def as_planes(picture: Array) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous()


pictures = hnp.arrays(np.uint8, st.tuples(st.integers(9, 16), st.integers(9, 16), st.sampled_from([1, 3])))


@st.composite
def picture_pairs(draw: st.DrawFn) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    first = draw(pictures)
    return first, draw(hnp.arrays(np.uint8, first.shape))


@given(picture_pairs())
def test_symmetry(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    a, b = pair
    for metric in (psnr_db, ssim, mae):
        assert metric(a, b) == pytest.approx(metric(b, a), rel=1e-9)


@given(pictures)
def test_identity(picture: NDArray[np.uint8]) -> None:
    assert psnr_db(picture, picture) == np.inf
    assert ssim(picture, picture) == pytest.approx(1, abs=1e-12)
    assert mae(picture, picture) == 0


@given(picture_pairs())
def test_bounds(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    a, b = pair
    assert psnr_db(a, b) >= 0
    assert -1 - 1e-9 <= ssim(a, b) <= 1 + 1e-9
    assert 0 <= mae(a, b) <= 1
    assert mae(a, b) <= 10 ** (-psnr_db(a, b) / 20) + 1e-12


@given(picture_pairs(), st.sampled_from(["rows", "columns", "transpose", "channels"]))
def test_all_pixels_and_channels_count_alike(
    pair: tuple[NDArray[np.uint8], NDArray[np.uint8]], move: str
) -> None:
    moves = {
        "rows": lambda p: p[::-1],
        "columns": lambda p: p[:, ::-1],
        "transpose": lambda p: p.transpose(1, 0, 2),
        "channels": lambda p: p[..., ::-1],
    }
    a, b = pair
    for metric in (psnr_db, ssim, mae):
        assert metric(moves[move](a), moves[move](b)) == pytest.approx(metric(a, b), rel=1e-9)


@given(picture_pairs())
def test_depth_does_not_matter(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    """0..255 times 257 is 0..65535: the same values on the 0..1 scale."""
    a, b = pair
    wide = [p.astype(np.uint16) * 257 for p in (a, b)]
    for metric in (psnr_db, ssim, mae):
        assert metric(*wide) == pytest.approx(metric(a, b), rel=1e-9)
        assert metric(wide[0], b) == pytest.approx(metric(a, b), rel=1e-9)


@given(st.floats(0.01, 0.2), st.floats(1.1, 2))
def test_more_noise_is_worse(sigma: float, factor: float) -> None:
    scene = 0.25 + paint_scene(40, 40) / 2
    noise = np.clip(np.random.default_rng(0).normal(size=scene.shape), -2, 2)
    little, much = (np.clip(scene + s * noise / 4, 0, 1) for s in (sigma, factor * sigma))
    assert psnr_db(much, scene) < psnr_db(little, scene)
    assert ssim(much, scene) < ssim(little, scene)
    assert mae(much, scene) > mae(little, scene)


shifts = st.integers(-REACH_PX, REACH_PX)


@given(shifts, shifts)
@settings(max_examples=25)
def test_shift_is_found_and_undone(dy: int, dx: int) -> None:
    scene = distort(paint_scene(60, 50))
    reference, image = scene[10:50, 10:40], scene[10 - dy : 50 - dy, 10 - dx : 40 - dx]
    assert find_shift(image, reference) == (dy, dx)
    assert psnr_db(*align(image, reference)) == np.inf


@given(picture_pairs())
def test_best_shift_is_the_best_of_all(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    image, reference = pair
    height, width, _ = reference.shape
    interior = reference[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
    every = [
        psnr_db(image[y : y + height - 2 * REACH_PX, x : x + width - 2 * REACH_PX], interior)
        for y in range(2 * REACH_PX + 1)
        for x in range(2 * REACH_PX + 1)
    ]
    assert psnr_db(*align(image, reference)) == pytest.approx(max(every), abs=1e-6)


samples = hnp.arrays(np.float64, st.integers(8, 60), elements=st.integers(-20, 20).map(float))


@given(samples, st.integers(0, 10_000))
def test_rank_correlation_agrees_with_scipy(truth: Array, seed: int) -> None:
    estimate = np.random.default_rng(seed).integers(0, 9, truth.size).astype(np.float64)
    if np.ptp(truth) == 0 or np.ptp(estimate) == 0:
        assert one_minus_rho(estimate, truth) == 1
        assert np.isnan(spearman(estimate, truth))
    else:
        expected = stats.spearmanr(estimate, truth).statistic
        assert spearman(estimate, truth) == pytest.approx(expected, abs=1e-12)
        assert one_minus_rho(estimate, truth) == pytest.approx(1 - abs(expected), abs=1e-12)


@given(samples, st.floats(0.1, 9), st.floats(-9, 9), st.booleans())
def test_affine_errors_forgive_scale_offset_and_sign(
    truth: Array, scale: float, offset: float, flip: bool
) -> None:
    estimate = (-scale if flip else scale) * truth + offset
    assert ai1(estimate, truth) == pytest.approx(0, abs=1e-6)
    assert ai2(estimate, truth) == pytest.approx(0, abs=1e-6)


@given(samples, st.integers(0, 10_000))
def test_affine_errors_are_ordered_and_bounded(truth: Array, seed: int) -> None:
    estimate = np.random.default_rng(seed).normal(size=truth.size)
    assert ai1(estimate, truth) <= ai2(estimate, truth) + 1e-9
    assert ai2(estimate, truth) <= truth.std() + 1e-9
    assert 0 <= one_minus_rho(estimate, truth) <= 1


@given(samples, st.integers(0, 10_000))
def test_rank_measures_ignore_monotone_changes(truth: Array, seed: int) -> None:
    estimate = np.random.default_rng(seed).normal(size=truth.size)
    blurred = truth > truth.min()
    assert one_minus_rho(np.exp(estimate), truth) == pytest.approx(one_minus_rho(estimate, truth), abs=1e-12)
    if blurred.any():
        assert auc(np.exp(estimate), blurred) == pytest.approx(auc(estimate, blurred), abs=1e-12)
        assert auc(-estimate, blurred) == pytest.approx(1 - auc(estimate, blurred), abs=1e-12)


def test_robust_fit_is_near_the_least_absolute_error() -> None:
    rng = np.random.default_rng(0)
    estimate = rng.uniform(0, 1, 400)
    truth = 0.7 * estimate + rng.normal(0, 0.02, estimate.size)
    truth[:40] += 2 * estimate[:40]

    def absolute_error(line: Array) -> float:
        return float(np.abs(line[0] * estimate + line[1] - truth).mean())

    least_squares = np.polyfit(estimate, truth, 1)
    best = optimize.minimize(absolute_error, least_squares, method="Nelder-Mead").fun
    assert best < 0.8 * absolute_error(least_squares)
    assert ai1(estimate, truth) == pytest.approx(best, rel=0.02)


def test_auc_agrees_with_torchmetrics(torchmetrics: ModuleType) -> None:
    rng = np.random.default_rng(0)
    blurred = rng.random(500) < 0.3
    estimate = np.round(rng.normal(size=500) + blurred, 1)
    theirs = torchmetrics.classification.binary_auroc(
        torch.from_numpy(1 / (1 + np.exp(-estimate))), torch.from_numpy(blurred.astype(np.int64))
    )
    assert auc(estimate, blurred) == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_interval_covers_the_true_mean_about_95_times_in_100(draw: str) -> None:
    rng = np.random.default_rng(0)
    sets = {"normal": rng.normal(1, 1, (200, 40)), "exponential": rng.exponential(1, (200, 40))}[draw]
    intervals = [mean_interval(values) for values in sets]
    assert 0.88 <= np.mean([i.low <= 1 <= i.high for i in intervals]) <= 0.99


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-100, 100)))
@settings(max_examples=30)
def test_interval_holds_the_mean_and_stays_within_the_values(values: Array) -> None:
    mean, low, high = mean_interval(values)
    assert values.min() - 1e-9 <= low <= high <= values.max() + 1e-9
    assert low - 1e-9 <= mean <= high + 1e-9
    assert mean == pytest.approx(values.mean())


@given(hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(-100, 100)), st.floats(-5, 5))
@settings(max_examples=30)
def test_paired_interval_sees_through_the_spread_of_items(values: Array, gain: float) -> None:
    difference = difference_interval(values + gain, values)
    assert difference.low == pytest.approx(gain, abs=1e-9)
    assert difference.high == pytest.approx(gain, abs=1e-9)
