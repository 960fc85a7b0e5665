"""What every restoration must keep, whatever the picture."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import conv2d, pad

from ldp_core.deblur import make_deblurrer
from ldp_core.optics.kernels import KernelFamily, KernelSpec, kernel_pair
from ldp_core.types import BlurMap, BlurMapKind, Pair, Pixels

quick = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
seeds = st.integers(0, 2**16)
channel_counts = st.sampled_from([1, 3])
dtypes = st.sampled_from([np.uint8, np.uint16])
heights, widths = st.integers(7, 90), st.integers(7, 110)


def make_texture(height: int, width: int, *, channels: int, seed: int) -> Tensor:
    """Noise with a natural 1/f spectrum and a few hard edges, in 0.1..0.9."""
    draw = torch.Generator().manual_seed(seed)
    noise = torch.rand(channels, height, width, generator=draw)
    radial = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    texture = torch.fft.irfft2(torch.fft.rfft2(noise) / (radial + 1 / max(height, width)), s=(height, width))
    texture = (texture - texture.mean()) / texture.std() / 3
    texture[:, height // 3 : height // 2] += 0.5
    return (0.5 + 0.25 * texture).clamp(0.1, 0.9)


def quantise(picture: Tensor, dtype: type = np.uint8) -> Pixels:
    peak = np.iinfo(dtype).max
    scaled = (picture.clamp(0, 1).double() * peak).round().permute(1, 2, 0).numpy()
    return scaled.astype(dtype)


def map_of(values: np.ndarray) -> BlurMap:
    return BlurMap(values.astype(np.float32), BlurMapKind.SIGNED_COC_PX)


def psnr_db(a: Pixels, b: Pixels) -> float:
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2) / np.iinfo(a.dtype).max ** 2
    return -10 * math.log10(error + 1e-12)


@quick
@given(seed=seeds, channels=channel_counts, dtype=dtypes, height=heights, width=widths)
def test_a_sharp_pair_returns_itself(seed: int, channels: int, dtype: type, height: int, width: int) -> None:
    view = quantise(make_texture(height, width, channels=channels, seed=seed), dtype)
    restored = make_deblurrer("wiener").restore(Pair("a/b", view, view), map_of(np.zeros((height, width))))
    assert restored.dtype == dtype
    assert restored.shape == view.shape
    assert psnr_db(restored, view) >= 45


@quick
@given(seed=seeds, level=st.floats(0.0, 1.0), coc_px=st.floats(-30, 30), channels=channel_counts)
def test_a_constant_picture_stays_constant(seed: int, level: float, coc_px: float, channels: int) -> None:
    view = quantise(torch.full((channels, 60, 80), level))
    bumps = np.random.default_rng(seed).normal(coc_px, 2, (60, 80))
    restored = make_deblurrer("wiener").restore(Pair("a/b", view, view), map_of(bumps))
    assert np.abs(restored.astype(int) - view).max() <= 1


@quick
@given(seed=seeds, coc_px=st.floats(-12, 12), channels=channel_counts)
def test_exchanged_views_with_a_negated_map_give_the_same(seed: int, coc_px: float, channels: int) -> None:
    left, right = (
        quantise(make_texture(70, 90, channels=channels, seed=seed + k), np.uint16) for k in (0, 1)
    )
    blur = np.full((70, 90), coc_px) + np.linspace(-2, 2, 90)
    deblurrer = make_deblurrer("wiener")
    once = deblurrer.restore(Pair("a/b", left, right), map_of(blur))
    swapped = deblurrer.restore(Pair("a/b", right, left), map_of(-blur))
    assert psnr_db(once, swapped) >= 60


def blur_views(sharp: Tensor, kernel: KernelSpec, coc_px: float) -> list[Tensor]:
    """Left and right view of a plane at one depth; `conv2d` correlates, so kernels are flipped."""
    views = []
    for point_spread in kernel_pair(kernel, coc_px):
        reach = point_spread.shape[-1] // 2
        padded = pad(sharp[:, None], (reach,) * 4, mode="reflect")
        views.append(conv2d(padded, point_spread.flip(0, 1)[None, None])[:, 0])
    return views


@quick
@given(seed=seeds, coc_px=st.sampled_from([-10.0, -4.0, 3.0, 6.0, 12.0]), channels=channel_counts)
def test_the_true_map_restores_a_simulated_pair(seed: int, coc_px: float, channels: int) -> None:
    sharp = make_texture(120, 160, channels=channels, seed=seed)
    views = blur_views(sharp, KernelSpec(family=KernelFamily.HALF_DISC, softness=1.0), coc_px)
    noise = torch.Generator().manual_seed(seed)
    left, right = (quantise(v + 0.002 * torch.randn(v.shape, generator=noise), np.uint16) for v in views)
    target = quantise(sharp, np.uint16)
    restored = make_deblurrer("wiener").restore(Pair("a/b", left, right), map_of(np.full((120, 160), coc_px)))
    plain = ((left.astype(np.uint32) + right) // 2).astype(np.uint16)
    assert psnr_db(restored, target) >= psnr_db(plain, target) + 1


def test_sixteen_bits_stay_sixteen_bits() -> None:
    view = quantise(make_texture(120, 160, channels=1, seed=1), np.uint16)
    restored = make_deblurrer("wiener").restore(Pair("a/b", view, view), map_of(np.full((120, 160), 5.0)))
    assert restored.dtype == np.uint16
    assert len(np.unique(restored)) > 256
