"""What the fidelity measures and the shift search refuse, and what a region means to them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ldp_core.errors import MetricError
from ldp_core.metrics import align, find_shift, mae, psnr_db, ssim
from ldp_core.metrics.fidelity import Picture
from ldp_core.types import Region

METRICS = (psnr_db, ssim, mae)


def paint(height: int = 24, width: int = 32, channels: int = 3, *, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("metric", [*METRICS, find_shift])
@pytest.mark.parametrize(
    "reference",
    [paint(24, 31), paint(channels=1), paint()[..., 0]],
    ids=["another size", "other channels", "two dimensions"],
)
def test_refuses_pictures_that_do_not_match(metric: object, reference: Picture) -> None:
    with pytest.raises(MetricError, match="does not match its reference") as caught:
        metric(paint(), reference)  # type: ignore[operator]
    assert str(reference.shape) in caught.value.expected


@pytest.mark.parametrize(
    "picture",
    [
        paint().astype(np.int64),
        paint().astype(np.float32),
        paint() / 255.0 - 0.01,
        np.full(paint().shape, np.nan),
        paint() > 100,
    ],
    ids=["int64", "float above 1", "float below 0", "nan", "bool"],
)
@pytest.mark.parametrize("metric", METRICS)
def test_refuses_pictures_without_a_scale(metric: object, picture: Picture) -> None:
    with pytest.raises(MetricError, match=r"no 0\.\.1 scale"):
        metric(picture, paint())  # type: ignore[operator]


@pytest.mark.parametrize("metric", METRICS)
def test_a_region_is_a_crop(metric: object) -> None:
    a, b = paint(seed=1), paint(seed=2)
    region = Region(top=3, left=5, bottom=-4, right=25)
    assert metric(a, b, region=region) == metric(a[3:-4, 5:25], b[3:-4, 5:25])  # type: ignore[operator]


@pytest.mark.parametrize("metric", METRICS)
def test_pixels_outside_the_region_do_not_count(metric: object) -> None:
    a, b = paint(seed=1), paint(seed=2)
    region = Region(top=8)
    before = metric(a, b, region=region)  # type: ignore[operator]
    a[:8] = 0
    assert metric(a, b, region=region) == before  # type: ignore[operator]


def test_refuses_regions_without_enough_pixels() -> None:
    with pytest.raises(MetricError, match="holds no pixel"):
        psnr_db(paint(), paint(), region=Region(top=24))
    with pytest.raises(MetricError, match="too small for SSIM"):
        ssim(paint(), paint(), region=Region(top=18))
    with pytest.raises(MetricError, match="too small for a shift search"):
        find_shift(paint(), paint(), region=Region(top=16))


def test_psnr_of_a_known_error() -> None:
    reference = np.full((16, 16, 1), 100, np.uint8)
    assert psnr_db(reference + np.uint8(51), reference) == pytest.approx(20 * np.log10(5))
    assert mae(reference + np.uint8(51), reference) == pytest.approx(0.2)


def test_one_step_of_sixteen_bits_is_seen() -> None:
    reference = np.full((16, 16, 1), 30_000, np.uint16)
    assert psnr_db(reference + np.uint16(1), reference) == pytest.approx(20 * np.log10(65_535))


def test_the_score_of_a_tall_picture_does_not_depend_on_the_bands() -> None:
    """700 rows are measured in several bands; the mean over two halves needs none of them."""
    a, b = paint(700, 20, seed=1), paint(700, 20, seed=2)
    halves = [mae(a[:350], b[:350]), mae(a[350:], b[350:])]
    assert mae(a, b) == pytest.approx(np.mean(halves), rel=1e-12)


def test_equal_shifts_are_settled_for_the_smallest() -> None:
    flat = np.full((20, 20, 1), 90, np.uint8)
    assert find_shift(flat, flat) == (0, 0)
    stripes = np.tile(np.array([0, 200], np.uint8), 10)[None, :, None].repeat(20, axis=0)
    assert find_shift(stripes, stripes) == (0, 0)
    assert abs(find_shift(np.roll(stripes, 1, axis=1), stripes).dx) == 1


def test_aligned_pictures_are_the_common_interior() -> None:
    scene = paint(40, 50)
    image, reference = align(scene[6:36, 3:43], scene[5:35, 5:45])
    assert image.shape == reference.shape == (22, 32, 3)
    assert (image == reference).all()


def test_shift_search_keeps_to_its_region() -> None:
    image, reference = paint(60, 60, seed=3), paint(60, 60, seed=4)
    image[20:, 2:] = reference[20:, :-2]
    assert find_shift(image, reference, region=Region(top=20)) == (0, 2)
