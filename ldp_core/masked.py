"""Photographs with a mask of what is in focus: `image/NAME.*` beside `in_focus/NAME.*` or `gt/NAME.*`.

What white means differs: the original CUHK masks are white = blurred, redistributions of them often the
reverse, and nothing in a file tells. A folder `in_focus` says it by its name (white = in focus); for
`gt` it has to be said.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import CatalogueError, count_of
from ldp_core.storage import join, list_folder
from ldp_core.types import Pixels

_log = logging.getLogger(__name__)

White = Literal["focus", "blur"]
"""What white stands for in a mask."""
Split = Literal["all", "train", "validation"]

VALIDATION_EVERY: Final = 10
"""Every tenth photograph, by name, is kept out of training."""
_PICTURES: Final = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}
_LOSSY: Final = {".jpg", ".jpeg", ".webp"}
# Lossy coding moves the values of a uniform mask by some levels of 255. Lossless ones are held exactly.
_LOSSY_SHARE: Final = 1 / 16
_END_SHARE: Final = 1 / 8  # soft masks often stop short of an end; at 1/2 every grey picture would pass
IN_FOCUS: Final = "in_focus"
_MASKS: Final[dict[str, White | None]] = {IN_FOCUS: "focus", "gt": None}
"""Folders of masks, the first that is there counts, and what white means in them where the name tells."""


@dataclass(frozen=True, slots=True)
class Masked:
    """`image` (h, w, 3) uint8 and `in_focus` (h, w) bool."""

    name: str
    image: NDArray[np.uint8]
    in_focus: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MaskedRef:
    """A photograph and its mask where they lie, and what white means in the mask."""

    image: str
    mask: str
    white: White

    @property
    def name(self) -> str:
        return PurePosixPath(self.image).stem


def list_masked(
    folder: Path | str, *, white: White | None = None, split: Split = "all"
) -> tuple[MaskedRef, ...]:
    """Photographs and their masks in order of their names.

    Args:
        folder: a path or a URL.
        white: what white means in the masks; the name of their folder decides, if not given.
        split: all, every tenth by name (`validation`), or the others (`train`).

    Raises:
        CatalogueError: there are none, one has no mask, or nothing says what white means.
    """
    root = str(folder)
    images = _list_pictures(join(root, "image"))
    masks_name = next((name for name in _MASKS if _list_pictures(join(root, name))), IN_FOCUS)
    masks = {PurePosixPath(mask).stem: mask for mask in _list_pictures(join(root, masks_name))}
    lacking = [image for image in images if PurePosixPath(image).stem not in masks]
    if lacking or not images:
        raise CatalogueError(
            "masked photographs are not complete",
            where=root,
            expected="image/NAME.jpg or .png, and for each in_focus/NAME.png or gt/NAME.png",
            got=f"{count_of(len(lacking), 'picture')} without a mask, such as {lacking[0]}"
            if lacking
            else "no picture",
            remedy="add the missing masks, or name the folder that holds image/ and in_focus/ or gt/",
        )
    meaning = white or _MASKS[masks_name] or _require_meaning(root, masks_name)
    refs = [MaskedRef(image, masks[PurePosixPath(image).stem], meaning) for image in images]
    return tuple(ref for place, ref in enumerate(refs) if _belongs(place, split))


def read_masked(ref: MaskedRef) -> Masked:
    """One photograph with its mask; grey pictures as RGB of three equal channels.

    Raises:
        CatalogueError: the two have different sizes, the picture is not of 8 bit, or nothing tells black from
            white in the mask.
        ImageError: one of them cannot be read.
    """
    image, mask = _read(ref.image), _read(ref.mask)
    if image.shape[:2] != mask.shape[:2]:
        raise CatalogueError(
            "a mask does not fit its picture",
            where=ref.mask,
            expected=f"{image.shape[:2]}",
            got=f"{mask.shape[:2]}",
            remedy="give the mask at the size of its picture",
        )
    is_white = _find_white(mask, where=ref.mask)
    return Masked(ref.name, _require_rgb(image, where=ref.image), is_white == (ref.white == "focus"))


def iterate_masked(
    folder: Path | str, *, white: White | None = None, split: Split = "all"
) -> Iterator[Masked]:
    """The photographs that `list_masked` names, one in memory at a time.

    Raises:
        CatalogueError: as for `list_masked` and `read_masked`.
    """
    return map(read_masked, list_masked(folder, white=white, split=split))


def split_masked(folder: Path | str) -> tuple[list[Masked], list[Masked]]:
    """Photographs to train on, and those kept for validation.

    Raises:
        CatalogueError: as for `list_masked` and `read_masked`.
    """
    return list(iterate_masked(folder, split="train")), list(iterate_masked(folder, split="validation"))


def read_all_in_focus(folder: Path | str) -> Iterator[Masked]:
    """Pictures of a folder or URL, taken to be in focus all over, one in memory at a time.

    Raises:
        CatalogueError: there is none, or one is not of 8 bit.
        ImageError: one cannot be read.
    """
    urls = _list_pictures(str(folder))
    if not urls:
        raise CatalogueError(
            "there are no photographs", where=str(folder), expected=", ".join(sorted(_PICTURES))
        )
    for url in urls:
        image = _require_rgb(_read(url), where=url)
        yield Masked(PurePosixPath(url).stem, image, np.ones(image.shape[:2], np.bool_))


def _read(url: str) -> Pixels:
    """Decoders are imported late: training is started on machines that lack some of them."""
    from ldp_core.images import read_image

    return read_image(url)


def _find_white(mask: Pixels, *, where: str) -> NDArray[np.bool_]:
    """Where a mask is white, `(h, w)`: above half of its range.

    Masks of 0 and one other value, such as 0/1, are read by their two values. Others must have values on both
    sides of the middle and reach an end, or lie at one end all over.
    """
    grey = mask.mean(axis=2)
    peak = float(np.iinfo(mask.dtype).max)
    low, high = float(grey.min()), float(grey.max())
    near = peak * (_LOSSY_SHARE if PurePosixPath(where).suffix.lower() in _LOSSY else 0)
    at_low, at_high = low <= max(near, peak * _END_SHARE), high >= peak - max(near, peak * _END_SHARE)
    if low <= peak / 2 < high and (at_low or at_high):
        return np.asarray(grey > peak / 2)
    if high <= near or low >= peak - near:
        return np.full(grey.shape, low > peak / 2)
    if low == 0 and bool(((grey == 0) | (grey == high)).all()):
        _log.warning("%s: a mask of 0 and %g; %g is read as white", where, high, high)
        return np.asarray(grey == high)
    raise CatalogueError(
        "nothing tells black from white in this mask",
        where=where,
        expected=f"black and white as 0 and {peak:.0f}, one of them all over, or 0 and one other value",
        got=f"values from {low:g} to {high:g}",
        remedy=f"store the mask with 0 for black and {peak:.0f} for white",
    )


def _belongs(place: int, split: Split) -> bool:
    validates = place % VALIDATION_EVERY == VALIDATION_EVERY - 1
    return split == "all" or validates == (split == "validation")


def _list_pictures(folder: str) -> list[str]:
    """Pictures directly in a folder, by name; hidden files (`._a.png` of macOS) are none."""
    found = [file for file in list_folder(folder).objects if PurePosixPath(file).suffix.lower() in _PICTURES]
    return [join(folder, file) for file in found if not file.startswith(".")]


def _require_rgb(image: Pixels, *, where: str) -> NDArray[np.uint8]:
    if image.dtype != np.uint8:
        raise CatalogueError(
            "masked photographs are of 8 bit",
            where=where,
            got=f"{image.dtype}",
            remedy="convert the picture to 8 bit",
        )
    rgb = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    return rgb.astype(np.uint8, copy=False)


def _require_meaning(root: str, masks: str) -> White:
    raise CatalogueError(
        "nothing says what white means in these masks",
        where=join(root, masks),
        expected="white = blurred in the original CUHK masks; often the reverse in redistributions",
        got=f"a folder named {masks}",
        remedy="look at one, then give --white blur or --white focus",
    )
