"""Sharp photographs and depth layouts that training scenes are made from.

A photograph comes with its own inverse depth, borrows a layout from a folder, or gets a procedural
one. Only folders that the caller names are read; with none, everything is procedural.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import CatalogueError
from ldp_core.types import Pixels

Image = NDArray[np.float32]
T = TypeVar("T")
_SUFFIXES = {".png", ".jpg", ".jpeg"}


@dataclass(frozen=True, slots=True)
class Photo:
    """A sharp picture `path`, and where there is one its map: inverse depth or depth, 0 = hole."""

    path: Path
    map_path: Path | None = None
    map_is_depth: bool = False


@dataclass(frozen=True, slots=True)
class Sources:
    """All that scenes are drawn from. `layouts` are inverse-depth maps without a picture."""

    photos: tuple[Photo, ...] = ()
    registered: tuple[Photo, ...] = ()
    layouts: tuple[Path, ...] = ()

    @property
    def names(self) -> dict[str, list[str]]:
        """Folders in use by kind, for the model card: the last two parts of their paths."""
        kinds = {
            "photos": [photo.path for photo in self.photos],
            "registered": [photo.path for photo in self.registered],
            "layouts": list(self.layouts),
        }
        return {
            kind: sorted({"/".join(path.parts[-3:-1]) for path in paths}) for kind, paths in kinds.items()
        }


def find_sources(
    *, photos: Sequence[Path] = (), registered: Sequence[Path] = (), layouts: Sequence[Path] = ()
) -> Sources:
    """Look through folders: of photographs, of pictures with `index.json` and maps, of layouts.

    Raises:
        CatalogueError: a folder holds nothing of its kind.
    """
    return Sources(
        photos=tuple(Photo(path) for path in _gather(photos, _list_pictures)),
        registered=tuple(_gather(registered, _list_registered)),
        layouts=tuple(_gather(layouts, _list_pictures)),
    )


def _gather(folders: Sequence[Path], find: Callable[[Path], list[T]]) -> list[T]:
    found = []
    for folder in folders:
        here = find(folder)
        if not here:
            raise CatalogueError(
                "a folder for training holds no usable picture",
                where=str(folder),
                expected=f"files ending in {', '.join(sorted(_SUFFIXES))}",
                remedy="name the folder that holds the pictures themselves",
            )
        found += here
    return found


def _list_pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)


def _list_registered(folder: Path) -> list[Photo]:
    """Pictures `*_rgb.png` whose map `*_disp.png` or `*_depth.png` lies beside them."""
    index = folder / "index.json"
    depth_names = _depth_names(json.loads(index.read_text())) if index.is_file() else set()
    found = []
    for picture in sorted(folder.glob("*_rgb.*")):
        stem = picture.name.rsplit("_rgb", 1)[0]
        for map_path in sorted(folder.glob(f"{stem}_d*.png")):
            is_depth = map_path.name in depth_names or map_path.stem.endswith("depth")
            found.append(Photo(picture, map_path, map_is_depth=is_depth))
    return found


def _depth_names(index: object) -> set[str]:
    entries = index if isinstance(index, list) else []
    return {entry["map"] for entry in entries if str(entry.get("kind", "")).startswith("depth")}


def read_pixels(path: Path) -> Pixels:
    """(h, w, c) as stored, c 1 or 3; an alpha channel is left out."""
    return np.ascontiguousarray(np.atleast_3d(iio.imread(path))[..., :3])


def read_photo(path: Path) -> Image:
    """(h, w, 3) float32 in 0..1; a grey picture is repeated."""
    raw = iio.imread(path)
    peak = float(np.iinfo(raw.dtype).max)
    picture = np.atleast_3d(raw).astype(np.float32)[..., :3] / peak
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def read_nearness(path: Path, *, is_depth: bool = False) -> Image:
    """Inverse depth of a map, scaled to 0 (farthest) .. 1 (nearest); holes take the farthest value."""
    raw = iio.imread(path).astype(np.float32)
    raw = raw[..., 0] if raw.ndim == 3 else raw
    known = raw > 0
    inverse = 1 / np.maximum(raw, 1) if is_depth else raw
    low, high = np.percentile(inverse[known], [1, 99]) if known.any() else (0.0, 1.0)
    scaled = (inverse - low) / max(float(high - low), 1e-6)
    return np.where(known, np.clip(scaled, 0, 1), 0).astype(np.float32)
