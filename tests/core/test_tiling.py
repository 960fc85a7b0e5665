"""Tiles give what the whole picture gives, without seams, whatever the size."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from ldp_core.deblur import make_deblurrer
from ldp_core.errors import SettingsError
from ldp_core.tiling import apply_tiled, plan_tiles
from ldp_core.types import BlurMap, BlurMapKind, Pair


def make_texture(height: int, width: int, *, channels: int = 3, seed: int = 0) -> Tensor:
    """Noise with the 1/f spectrum of natural pictures, in 0.1..0.9."""
    noise = torch.rand(channels, height, width, generator=torch.Generator().manual_seed(seed))
    radial = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    texture = torch.fft.irfft2(torch.fft.rfft2(noise) / (radial + 0.01), s=(height, width))
    low, high = texture.min(), texture.max()
    return 0.1 + 0.8 * (texture - low) / (high - low)


def blur(radius: int) -> Callable[[Tensor], Tensor]:
    side = 2 * radius + 1
    kernel = torch.full((1, 1, side, side), 1 / side**2)

    def apply(pictures: Tensor) -> Tensor:
        padded = pad(pictures.flatten(0, 1)[:, None], (radius,) * 4, mode="reflect")
        return conv2d(padded, kernel)[:, 0].unflatten(0, pictures.shape[:2])

    return apply


@pytest.mark.parametrize(("height", "width"), [(300, 411), (97, 500), (64, 64), (65, 200)])
@pytest.mark.parametrize("at_once", [1, 3])
def test_tiles_of_a_short_reach_equal_the_whole(height: int, width: int, at_once: int) -> None:
    picture = make_texture(height, width)
    tiled = apply_tiled(blur(4), [picture], tile_px=64, overlap_px=20, at_once=at_once)
    assert torch.allclose(tiled, blur(4)(picture[None])[0], atol=1e-6)


def test_several_arrays_are_cut_alike() -> None:
    picture, other = make_texture(200, 150), make_texture(200, 150, channels=1, seed=1)[0]
    tiled = apply_tiled(lambda a, b: a * b, [picture, other], tile_px=70, overlap_px=10)
    assert torch.allclose(tiled, picture * other, atol=1e-6)


@pytest.mark.parametrize(("length", "tile_px", "overlap_px"), [(1, 8, 2), (640, 640, 64), (5180, 640, 96)])
def test_tiles_cover_everything_and_stay_within_their_size(
    length: int, tile_px: int, overlap_px: int
) -> None:
    tiles = list(plan_tiles(1, length, tile_px=tile_px, overlap_px=overlap_px))
    assert tiles[0].left == 0
    assert tiles[-1].right == length
    assert all(tile.right - tile.left <= tile_px for tile in tiles)
    for before, after in itertools.pairwise(tiles):
        assert before.right - after.left >= overlap_px


def test_an_overlap_as_large_as_the_tile_is_refused() -> None:
    with pytest.raises(SettingsError, match="tiles are too small"):
        list(plan_tiles(100, 100, tile_px=32, overlap_px=32))


def test_no_call_sees_more_than_a_tile() -> None:
    seen: list[tuple[int, ...]] = []

    def record(pictures: Tensor) -> Tensor:
        seen.append(tuple(pictures.shape))
        return pictures

    apply_tiled(record, [torch.rand(1, 500, 900)], tile_px=128, overlap_px=32, at_once=2)
    assert len(seen) > 10
    assert max(max(shape[1:]) for shape in seen) <= 128
    assert {shape[0] for shape in seen} <= {1, 2}


@pytest.fixture(scope="module")
def whole_and_tiled() -> tuple[np.ndarray, np.ndarray, int]:
    """The same noisy pair restored at once and in tiles, and the side of the tiles."""
    height, width, tile_px = 300, 420, 160
    left, right = (make_texture(height, width, seed=seed) for seed in (3, 3))
    right = right + 0.02 * torch.randn(right.shape, generator=torch.Generator().manual_seed(5))
    views = [(v.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy() for v in (left, right)]
    across = np.linspace(-3, 5, width, dtype=np.float32)[None, :].repeat(height, 0)
    pair, blur_map = Pair("a/b", *views), BlurMap(across, BlurMapKind.SIGNED_COC_PX)
    whole, tiled = (
        make_deblurrer("wiener", {"tile_px": side}).restore(pair, blur_map) for side in (4096, tile_px)
    )
    return whole.astype(np.float64), tiled.astype(np.float64), tile_px


def test_restored_tiles_equal_the_restored_whole(
    whole_and_tiled: tuple[np.ndarray, np.ndarray, int],
) -> None:
    whole, tiled, _ = whole_and_tiled
    psnr_db = 20 * math.log10(255) - 10 * math.log10(np.mean((whole - tiled) ** 2) + 1e-12)
    assert psnr_db >= 45


def test_restored_tiles_show_no_seam(whole_and_tiled: tuple[np.ndarray, np.ndarray, int]) -> None:
    whole, tiled, _ = whole_and_tiled
    steps, reference = (np.abs(np.diff(picture, axis=1)).mean((0, 2)) for picture in (tiled, whole))
    assert (steps / reference).max() <= 1.05
    rows, reference = (np.abs(np.diff(picture, axis=0)).mean((1, 2)) for picture in (tiled, whole))
    assert (rows / reference).max() <= 1.05
