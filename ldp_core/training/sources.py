"""Sharp pictures and depth layouts that training scenes are made from: of folders, or procedural.

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
from scipy.ndimage import gaussian_filter

from ldp_core.errors import CatalogueError
from ldp_core.types import Pixels

Image = NDArray[np.float32]
T = TypeVar("T")
_SUFFIXES = {".png", ".jpg", ".jpeg"}
# The 300 photographs of BSDS then are drawn a third as often as the 124 of Kodak and Urban100.
SOFT_WEIGHT = 0.15


@dataclass(frozen=True, slots=True)
class Photo:
    """A sharp picture `path`, and where there is one its map: inverse depth or depth, 0 = hole.

    `weight` says how often it is drawn against others: less for pictures that are not quite sharp.
    """

    path: Path
    map_path: Path | None = None
    map_is_depth: bool = False
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Sources:
    """All that scenes are drawn from. `layouts` are inverse-depth maps without a picture."""

    photos: tuple[Photo, ...] = ()
    registered: tuple[Photo, ...] = ()
    layouts: tuple[Path, ...] = ()

    def draw_photo(self, rng: np.random.Generator) -> Photo:
        """One of `photos`, by their weights."""
        weights = np.array([photo.weight for photo in self.photos])
        if (weights == weights[0]).all():
            return self.photos[int(rng.integers(len(self.photos)))]
        return self.photos[int(rng.choice(len(self.photos), p=weights / weights.sum()))]

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
    *,
    photos: Sequence[Path] = (),
    soft_photos: Sequence[Path] = (),
    registered: Sequence[Path] = (),
    layouts: Sequence[Path] = (),
) -> Sources:
    """Look through folders: of photographs, of pictures with `index.json` and maps, of layouts.

    `soft_photos` are photographs that are not quite sharp.

    Raises:
        CatalogueError: a folder holds nothing of its kind.
    """
    crisp = [Photo(path) for path in _gather(photos, _list_pictures)]
    soft = [Photo(path, weight=SOFT_WEIGHT) for path in _gather(soft_photos, _list_pictures)]
    return Sources(
        photos=(*crisp, *soft),
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
    pixels = read_pixels(path)
    picture = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
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


def draw_layout(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Nearness (h, w) float32 in 0..1: a slanted ground with up to eight slanted things before it."""
    nearness = draw_slant(rng, shape)
    for _ in range(int(rng.integers(0, 9))):
        thing = draw_slant(rng, shape) * 0.3 + rng.uniform(0, 0.9)
        nearness = np.where(draw_outline(rng, shape), np.maximum(nearness, thing), nearness)
    return scale_to_unit(nearness)


def draw_slant(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """A plane of any inclination, 0..1."""
    y, x = unit_grid(shape)
    angle = rng.uniform(0, 2 * np.pi)
    return scale_to_unit(np.cos(angle) * x + np.sin(angle) * y) * np.float32(rng.uniform(0, 1))


def draw_outline(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """An ellipse, a bar or a wavy blob somewhere in the frame."""
    y, x = unit_grid(shape)
    angle = rng.uniform(0, np.pi)
    dy, dx = y - rng.uniform(-1, 1), x - rng.uniform(-1, 1)
    u = np.abs(np.cos(angle) * dx + np.sin(angle) * dy) / rng.uniform(0.05, 0.7)
    v = np.abs(np.cos(angle) * dy - np.sin(angle) * dx) / rng.uniform(0.05, 0.7)
    if rng.random() < 0.4:
        return np.asarray(np.maximum(u, v) < 1)
    wave = rng.uniform(0, 0.4) * np.sin(rng.integers(2, 9) * np.arctan2(dy, dx) + rng.uniform(0, 6))
    return np.asarray(np.hypot(u, v) < 1 + wave)


def draw_picture(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """A sharp picture (h, w, 3) float32 in 0..1: coloured shapes with texture of every scale."""
    picture = np.broadcast_to(draw_colour(rng), (*shape, 3)).copy()
    for _ in range(int(rng.integers(20, 60))):
        inside = draw_outline(rng, shape)[..., None]
        texture = draw_texture(rng, shape)[..., None] * rng.uniform(0, 0.5)
        picture = np.where(inside, draw_colour(rng) + texture, picture)
    return np.asarray(picture.clip(0, 1), dtype=np.float32)


def draw_texture(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Filtered noise (h, w) of zero mean and unit deviation, fine or coarse, often with a direction."""
    sigma = np.exp(rng.uniform(np.log(0.4), np.log(8), 2))
    noise = gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-6), dtype=np.float32)


def draw_colour(rng: np.random.Generator) -> Image:
    return (rng.uniform(0, 1) * rng.uniform(0.5, 1, 3)).astype(np.float32)


def unit_grid(shape: tuple[int, int]) -> tuple[Image, Image]:
    """Row and column coordinates in -1..1, each (h, w) or broadcastable to it."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    return y, x


def scale_to_unit(values: NDArray[np.floating]) -> Image:
    """Affinely onto 0..1; a constant gives 0."""
    low, high = values.min(), values.max()
    return np.asarray((values - low) / max(float(high - low), 1e-6), dtype=np.float32)
