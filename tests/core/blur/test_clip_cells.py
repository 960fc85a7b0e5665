"""Cells of any picture, and how they are shown to CLIP."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from clip_samples import draw_pair

from ldp_core.blur import make_estimator
from ldp_core.blur.clip_cells import CellGrid, compose, drop_repeats, fit, input_size, reflect
from ldp_core.blur.clip_settings import CellFormat
from ldp_core.tensors import to_rgb
from ldp_core.types import BlurMapKind, Pair

SIZES = [(80, 120), (1, 1), (3, 200), (41, 79), (119, 83)]


@pytest.mark.parametrize("stride_px", [40, 20, 10])
@pytest.mark.parametrize("size", SIZES)
def test_cells_cover_the_picture_and_nothing_is_invented(size: tuple[int, int], stride_px: int) -> None:
    grid = CellGrid(*size, stride_px=stride_px)
    picture = torch.arange(size[0] * size[1], dtype=torch.float32).view(1, *size)
    padded = grid.pad(picture)
    expected = np.pad(
        picture[0].numpy(), [(0, n - m) for n, m in zip(padded.shape[1:], size, strict=True)], "reflect"
    )
    np.testing.assert_array_equal(padded[0].numpy(), expected)
    assert set(grid.cut(padded, 0, len(grid)).unique().tolist()) == set(picture.unique().tolist())


def test_cells_come_in_reading_order() -> None:
    grid = CellGrid(100, 130, stride_px=20)
    padded = grid.pad(torch.rand(3, 100, 130))
    row, column = 2, 3
    cell = grid.cut(padded, row * grid.shape[1] + column, len(grid))[0]
    torch.testing.assert_close(cell, padded[:, 40:80, 60:100])


def test_an_image_of_the_published_size_has_the_published_grid() -> None:
    assert CellGrid(1120, 1680).shape == (28, 42)


@pytest.mark.parametrize("stride_px", [40, 20, 10])
@pytest.mark.parametrize("size", SIZES)
def test_spreading_keeps_a_constant_and_the_range(size: tuple[int, int], stride_px: int) -> None:
    grid = CellGrid(*size, stride_px=stride_px)
    assert grid.spread(torch.full(grid.shape, 0.3)).shape == size
    torch.testing.assert_close(grid.spread(torch.full(grid.shape, 0.3)), torch.full(size, 0.3))
    drawn = grid.spread(torch.rand(grid.shape, generator=torch.Generator().manual_seed(0)))
    assert drawn.min() >= 0
    assert drawn.max() <= 1


def test_values_of_a_cell_stand_at_its_centre_and_overlaps_are_averaged() -> None:
    values = torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
    joined = CellGrid(160, 200).spread(values)
    torch.testing.assert_close(joined[20::40, 20::40], values, atol=0.03, rtol=0)
    grid = CellGrid(80, 80, stride_px=20)
    overlapped = grid.spread(torch.tensor([[0.0, 3, 6], [0, 3, 6], [0, 3, 6]]))
    torch.testing.assert_close(
        overlapped[40, [9, 29, 49, 69]], torch.tensor([0.0, 1.5, 4.5, 6.0]), atol=0.1, rtol=0
    )


def test_strips_hold_the_right_view_mirrored() -> None:
    left, right = torch.rand(2, 1, 3, 40, 40)
    strip = compose(left, right, CellFormat.MIRROR)
    torch.testing.assert_close(strip[..., :40], left)
    torch.testing.assert_close(strip[..., 40:], right.flip(-1))
    torch.testing.assert_close(compose(left, right, CellFormat.SINGLE), (left + right) / 2)


@pytest.mark.parametrize("size", [224, 48])
def test_scaling_and_cropping_is_that_of_pictures(size: int) -> None:
    """The pipeline of open_clip on 8-bit pictures, cell by cell, within a grey level almost everywhere."""
    from ldp_core.blur.clip_model import open_clip

    open_clip()
    from PIL import Image
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize, ToTensor

    published = Compose([Resize(size, InterpolationMode.BICUBIC), CenterCrop(size), ToTensor()])
    pair = draw_pair(40, 80)
    strip = compose(*(to_rgb(v)[None, :, :, :40] for v in (pair.left, pair.right)), CellFormat.MIRROR)
    picture = Image.fromarray(np.concatenate([pair.left[:, :40], pair.right[:, 39::-1]], axis=1))
    ours = fit(strip, CellFormat.MIRROR, size=(size, size), peak=255)[0]
    levels = ((ours - published(picture)) * 255).abs()
    assert levels.max() < 2.01
    assert levels.mean() < 0.02


def test_the_middle_crop_drops_the_outer_halves_and_squash_keeps_them() -> None:
    strip = torch.zeros(1, 3, 40, 80)
    strip[..., :10] = 1
    seen = {layout: fit(strip, layout, size=(64, 64), peak=255).mean() for layout in CellFormat}
    assert seen[CellFormat.MIRROR] < 0.01
    assert seen[CellFormat.SQUASH] == pytest.approx(1 / 8, abs=0.01)
    assert seen[CellFormat.WIDE] == pytest.approx(1 / 8, abs=0.01)
    assert input_size(CellFormat.WIDE, size=(224, 224)) == (224, 448)


def test_a_network_trained_on_whole_strips_sees_them_unchanged() -> None:
    strip = torch.randint(0, 256, (2, 3, 40, 80)) / 255
    for layout in (CellFormat.MIRROR, CellFormat.SQUASH, CellFormat.WIDE):
        torch.testing.assert_close(fit(strip, layout, size=(40, 80), peak=255), strip)
    assert drop_repeats((CellFormat.WIDE, CellFormat.SQUASH), size=(40, 80)) == (CellFormat.MIRROR,)
    assert drop_repeats((CellFormat.WIDE, CellFormat.SQUASH), size=(64, 64)) == (
        CellFormat.WIDE,
        CellFormat.SQUASH,
    )


def test_one_minus_zncc_is_zero_for_equal_one_for_unlike_views() -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.integers(0, 256, (90, 130, 3), dtype=np.uint8) for _ in range(2))
    estimator = make_estimator("zncc", {"stride_px": 20})
    same = estimator.estimate(Pair("a", left, left // 2 + 9))
    assert same.kind is BlurMapKind.SIMILARITY
    assert same.values.shape == (90, 130)
    assert same.values.max() < 0.01
    assert estimator.estimate(Pair("a", left, right)).values.mean() > 0.9
    flat = np.full_like(left, 77)
    assert estimator.estimate(Pair("a", flat, flat)).values.max() < 1e-5


def test_reflecting_a_single_row_repeats_it() -> None:
    assert reflect(torch.tensor([[[1.0, 2.0]]]), height=3, width=4)[0].tolist() == [[1, 2, 1, 2]] * 3
