"""Masked photographs: which belong together, what white means, which are kept for validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from detection_samples import write_photographs
from numpy.typing import NDArray
from picture_samples import pil_bytes
from PIL import Image

from ldp_core.errors import CatalogueError
from ldp_core.masked import (
    iterate_masked,
    list_masked,
    read_all_in_focus,
    read_masked,
    split_masked,
)


def test_every_tenth_by_name_validates(tmp_path: Path) -> None:
    write_photographs(tmp_path, 21)
    train, validation = split_masked(tmp_path)
    assert [photograph.name for photograph in validation] == ["a09", "a19"]
    assert len(train) == 19
    assert [ref.name for ref in list_masked(tmp_path, split="validation")] == ["a09", "a19"]
    assert len(list_masked(tmp_path)) == 21


def test_white_is_in_focus_in_a_folder_of_that_name(tmp_path: Path) -> None:
    write_photographs(tmp_path, 1)
    [photograph] = iterate_masked(tmp_path)
    assert photograph.image.shape == (24, 32, 3)
    np.testing.assert_array_equal(photograph.in_focus, photograph.image[..., 0] > 128)


def test_original_naming_has_to_be_told_what_white_means(tmp_path: Path) -> None:
    write_photographs(tmp_path, 1, masks="gt", white="blur")
    with pytest.raises(CatalogueError, match="what white means") as caught:
        list_masked(tmp_path)
    assert "--white" in caught.value.remedy
    [photograph] = iterate_masked(tmp_path, white="blur")
    np.testing.assert_array_equal(photograph.in_focus, photograph.image[..., 0] > 128)
    [wrong] = iterate_masked(tmp_path, white="focus")
    np.testing.assert_array_equal(wrong.in_focus, ~photograph.in_focus)


def test_an_address_may_be_a_url(tmp_path: Path) -> None:
    write_photographs(tmp_path, 1)
    assert [p.name for p in iterate_masked(tmp_path.as_uri())] == ["a00"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="not complete"):
        list_masked(tmp_path)
    write_photographs(tmp_path, 3)
    (tmp_path / "in_focus" / "a01.png").unlink()
    with pytest.raises(CatalogueError) as caught:
        list_masked(tmp_path)
    assert "a01.png" in caught.value.got


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    write_photographs(tmp_path, 2)
    for folder in ("image", "in_focus"):
        (tmp_path / folder / "._a00.png").write_bytes(b"\0\5\x16\7")
    assert [p.name for p in iterate_masked(tmp_path)] == ["a00", "a01"]


def put_mask(folder: Path, mask: NDArray[Any] | Image.Image, kind: str = "PNG") -> None:
    """One photograph of 8 x 8 with this mask."""
    for name in ("image", "in_focus"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "image" / "a.png").write_bytes(pil_bytes(np.zeros((8, 8), np.uint8), "PNG"))
    suffix = {"PNG": "png", "JPEG": "jpg"}[kind]
    (folder / "in_focus" / f"a.{suffix}").write_bytes(pil_bytes(mask, kind))


HALF = np.arange(8)[None, :].repeat(8, 0) < 4


@pytest.mark.parametrize(
    "mask",
    [
        HALF.astype(np.uint8),
        HALF.astype(np.uint8) * 200,
        HALF.astype(np.uint16) * 255,
        HALF.astype(np.uint16),
        HALF[..., None].astype(np.uint8) * np.array([255, 0, 0], np.uint8),
    ],
    ids=["0/1", "0/200", "255 of 16 bit", "0/1 of 16 bit", "red"],
)
def test_masks_of_two_values_are_read_by_them(
    tmp_path: Path, mask: NDArray[Any], caplog: pytest.LogCaptureFixture
) -> None:
    put_mask(tmp_path, mask)
    with caplog.at_level("INFO"):
        [photograph] = iterate_masked(tmp_path)
    np.testing.assert_array_equal(photograph.in_focus, HALF)
    assert mask.max() == 200 or "is read as white" in caplog.text


@pytest.mark.parametrize(
    "mask",
    [
        np.full((8, 8), 1, np.uint8),
        np.arange(64).reshape(8, 8).astype(np.uint8) % 3,
        np.arange(64).reshape(8, 8).astype(np.uint16) * 4,
    ],
    ids=["all 1", "three labels", "8 bit in 16"],
)
def test_masks_without_black_and_white_are_refused(tmp_path: Path, mask: NDArray[Any]) -> None:
    put_mask(tmp_path, mask)
    with pytest.raises(CatalogueError, match="black from white"):
        list(iterate_masked(tmp_path))


@pytest.mark.parametrize(("level", "expected"), [(0, False), (255, True), (5, False), (250, True)])
def test_uniform_masks_are_read(tmp_path: Path, level: int, expected: bool) -> None:
    put_mask(tmp_path, np.full((8, 8), level, np.uint8), "PNG" if level in (0, 255) else "JPEG")
    [photograph] = iterate_masked(tmp_path)
    assert (photograph.in_focus == expected).all()


def test_soft_masks_are_cut_in_the_middle(tmp_path: Path) -> None:
    put_mask(tmp_path, np.linspace(0, 255, 64).reshape(8, 8).astype(np.uint8))
    [photograph] = iterate_masked(tmp_path)
    assert photograph.in_focus.sum() == 32


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    write_photographs(tmp_path, 2)
    (tmp_path / "in_focus" / "a00.png").write_bytes((tmp_path / "in_focus" / "a01.png").read_bytes())
    with pytest.raises(CatalogueError, match="does not fit"):
        read_masked(list_masked(tmp_path)[0])


def test_grey_becomes_rgb_and_16_bit_is_refused(tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    (tmp_path / "a.png").write_bytes(pil_bytes(grey, "PNG"))
    [photograph] = read_all_in_focus(tmp_path)
    np.testing.assert_array_equal(photograph.image, np.repeat(grey[..., None], 3, axis=2))
    assert photograph.in_focus.all()
    (tmp_path / "a.png").write_bytes(pil_bytes(grey.astype(np.uint16), "PNG"))
    with pytest.raises(CatalogueError, match="8 bit"):
        list(read_all_in_focus(tmp_path))
    with pytest.raises(CatalogueError, match="no photographs"):
        list(read_all_in_focus(tmp_path / "none"))


@pytest.mark.real
def test_the_cuhk_training_split_reads_as_pillow_reads_it(real_data: Path) -> None:
    folder = real_data / "dbd" / "cuhk_train_320"
    refs = list_masked(folder)
    assert len(refs) == 604
    assert len(list_masked(folder, split="validation")) == 60
    for ref in refs[::151]:
        photograph = read_masked(ref)
        np.testing.assert_array_equal(photograph.image, Image.open(ref.image).convert("RGB"))
        np.testing.assert_array_equal(
            photograph.in_focus, np.asarray(Image.open(ref.mask).convert("L")) > 127
        )
