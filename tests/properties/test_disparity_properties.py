"""What must hold of the estimator for any pair: swapping, mirroring, gain.

Halving keeps even pixels, so mirrored pictures are compared at sizes whose grid mirrors onto itself.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ldp_core.blur import make_estimator
from ldp_core.optics.kernels import KernelSpec, kernel_pair
from ldp_core.types import FloatMap, Pair, Pixels

ESTIMATOR = make_estimator("disparity")
Drawn = tuple[int, int, int, float, int]
drawn_pairs = st.tuples(
    st.integers(8, 12).map(lambda n: 8 * n + 1),
    st.integers(8, 12).map(lambda n: 8 * n + 1),
    st.sampled_from([1, 3]),
    st.floats(-10, 10),
    st.integers(0, 999),
)


def draw_pair(height: int, width: int, channels: int, coc_px: float, seed: int) -> tuple[Pixels, Pixels]:
    """Two 8-bit views of a random texture at one circle of confusion, with noise."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    spectrum = np.fft.fft2(rng.standard_normal((channels, height, width))) / (0.02 + frequency)
    sharp = np.fft.ifft2(spectrum).real
    views = (_convolve(0.15 * sharp / sharp.std(), k.numpy()) for k in kernel_pair(KernelSpec(), coc_px))
    left, right = (_encode(view, rng) for view in views)
    return left, right


def _convolve(sharp: NDArray[np.float64], kernel: NDArray[np.float32]) -> NDArray[np.float64]:
    transfer = np.fft.fft2(kernel, s=sharp.shape[1:])
    shifted = np.fft.ifft2(np.fft.fft2(sharp) * transfer).real
    return np.roll(shifted, (-(len(kernel) // 2),) * 2, axis=(1, 2))


def _encode(view: NDArray[np.float64], rng: np.random.Generator) -> Pixels:
    noisy = 0.5 + view + 0.005 * rng.standard_normal(view.shape)
    return np.ascontiguousarray(np.rint(255 * noisy.clip(0, 1)).astype(np.uint8).transpose(1, 2, 0))


def estimate(left: Pixels, right: Pixels) -> FloatMap:
    return ESTIMATOR.estimate(
        Pair("laws/pair", np.ascontiguousarray(left), np.ascontiguousarray(right))
    ).values


def typical_gap(a: FloatMap, b: FloatMap) -> float:
    return float(np.median(np.abs(a - b)))


@given(drawn_pairs)
@settings(max_examples=8, deadline=None)
def test_swapping_the_views_negates_the_map(drawn: Drawn) -> None:
    left, right = draw_pair(*drawn)
    assert typical_gap(estimate(right, left), -estimate(left, right)) < 0.02


@given(drawn_pairs)
@settings(max_examples=8, deadline=None)
def test_mirroring_and_swapping_mirrors_the_map(drawn: Drawn) -> None:
    left, right = draw_pair(*drawn)
    mirrored = estimate(right[:, ::-1], left[:, ::-1])
    assert typical_gap(mirrored[:, ::-1], estimate(left, right)) < 0.02


@given(drawn_pairs)
@settings(max_examples=8, deadline=None)
def test_turning_both_upside_down_turns_the_map(drawn: Drawn) -> None:
    left, right = draw_pair(*drawn)
    assert typical_gap(estimate(left[::-1], right[::-1])[::-1], estimate(left, right)) < 0.02


@given(drawn_pairs, st.floats(0.95, 1.05))
@settings(max_examples=8, deadline=None)
def test_a_gain_of_one_view_changes_little(drawn: Drawn, gain: float) -> None:
    left, right = draw_pair(*drawn)
    brighter = np.rint(right * gain).clip(0, 255).astype(np.uint8)
    assert typical_gap(estimate(left, brighter), estimate(left, right)) < 0.3
