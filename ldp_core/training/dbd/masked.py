"""Photographs with a mask of what is in focus, as the CUHK training split comes: `image/`, `in_focus/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

from ldp_core.errors import CatalogueError

VALIDATION_EVERY = 10
"""Every tenth photograph, by name, is kept out of training."""
_PICTURES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True, slots=True)
class Masked:
    """`image` (h, w, 3) uint8 and `in_focus` (h, w) bool."""

    name: str
    image: NDArray[np.uint8]
    in_focus: NDArray[np.bool_]


def list_masked(folder: Path) -> list[tuple[Path, Path]]:
    """Pictures and their masks, white = in focus, in order of their names.

    Raises:
        CatalogueError: there are none, or a picture has no mask.
    """
    masks = {path.stem: path for path in (folder / "in_focus").glob("*") if path.suffix in _PICTURES}
    images = sorted(path for path in (folder / "image").glob("*") if path.suffix.lower() in _PICTURES)
    lacking = [image.name for image in images if image.stem not in masks]
    if lacking or not images:
        raise CatalogueError(
            "masked photographs are not complete",
            where=str(folder),
            expected="image/NAME.jpg or .png, and in_focus/NAME.png for each, white = in focus",
            got=f"{len(lacking)} pictures without a mask, such as {lacking[0]}" if lacking else "no picture",
            remedy="add the missing masks, or name the folder that holds image/ and in_focus/",
        )
    return [(image, masks[image.stem]) for image in images]


def read_masked(image: Path, mask: Path) -> Masked:
    """One photograph with its mask.

    Raises:
        CatalogueError: the two have different sizes.
    """
    pixels = np.asarray(PilImage.open(image).convert("RGB"))
    truth = np.asarray(PilImage.open(mask).convert("L")) > 127
    if pixels.shape[:2] != truth.shape:
        raise CatalogueError(
            "a mask does not fit its picture",
            where=str(mask),
            expected=f"{pixels.shape[:2]}",
            got=f"{truth.shape}",
            remedy="give the mask at the size of its picture",
        )
    return Masked(image.stem, pixels, truth)


def split_masked(folder: Path) -> tuple[list[Masked], list[Masked]]:
    """Photographs to train on, and those kept for validation."""
    read = [read_masked(*paths) for paths in list_masked(folder)]
    return [m for k, m in enumerate(read) if not _validates(k)], [
        m for k, m in enumerate(read) if _validates(k)
    ]


def _validates(index: int) -> bool:
    return index % VALIDATION_EVERY == VALIDATION_EVERY - 1
