"""Cells that LDP-tiny learns from: patches of both views, blurred once by one lens, and cut again and again.

A patch of a sharp picture is blurred in linear light, or cut from a layered scene (`scene_patches`); patch
number n of a seed is always the same. A pool of them lies in a folder, made once. Cells are cut from
patches, mirrored, degraded as cameras do, and laid out as the language-driven estimator sees them. Those of
a step depend on the seed, the step and the rank alone, once the pool is complete. All ranges are our own
choices.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ldp_core.errors import SettingsError
from ldp_core.optics.kernels import KernelSpec, disparity_per_coc, kernel_pair
from ldp_core.optics.render import render_views
from ldp_core.optics.sensor import Transfer, decode_light, encode_light
from ldp_core.settings import Settings
from ldp_core.storage import write_bytes
from ldp_core.training.frames import Bytes, add_noise, reduce_palette, to_bytes
from ldp_core.training.scenes import LensSettings, draw_kernel, draw_window, resize
from ldp_core.training.sources import Image, Photo, draw_layout, draw_picture, read_photo
from ldp_core.training.trainer import Batch

# A cell is 40 px a side: from a patch of 64 it can be cut at 625 places.
PATCH_PX = 64
CELL_PX = 40
_HEADER = "pool.json"
_REPORT_EVERY = 100
# Squared 8-bit levels per pixel: below half a level there is nothing but rounding.
_LEAST_CONTRAST = 0.25
# No lens like the fitted one in particular: the words should hold for any.
_LENSES = LensSettings(fitted_share=0.0)


class PatchSettings(Settings):
    """What patches are like. Shares are probabilities per patch."""

    lenses: int = Field(default=60, ge=1, le=64)
    """How many kernel specifications there are to draw from."""
    # The sentences name shifts of -8 to 8 px.
    largest_disparity_px: float = Field(default=8.5, gt=0)
    largest_coc_px: float = Field(default=32.0, gt=0)
    sharp_share: float = Field(default=0.1, ge=0, le=1)
    near_focus_share: float = Field(default=0.35, ge=0, le=1)
    """Share of patches within 2 px of disparity; the others are spread over the whole range."""
    edge_share: float = Field(default=0.12, ge=0, le=1)
    """Share of patches with depth edges inside."""
    flat_share: float = Field(default=0.03, ge=0, le=1)
    """Share of patches without any texture, where there is nothing to be seen."""
    procedural_share: float = Field(default=0.15, ge=0, le=1)
    procedural_pictures: int = Field(default=40, ge=1)
    palette_share: float = Field(default=0.06, ge=0, le=1)


@dataclass(frozen=True, slots=True)
class Patch:
    """`views` (2, 64, 64, 3) uint8, left and right; `coc_px` (64, 64) float16, signed diameters in pixels."""

    views: Bytes
    coc_px: NDArray[np.float16]
    disparity_per_coc: float


class Maker(Protocol):
    """Makes patches by number; the same number gives the same patch."""

    @property
    def settings(self) -> Settings:
        """What its patches are like."""
        ...

    def make(self, number: int) -> Patch:
        """Patch `number`."""
        ...


class PatchMaker:
    """Patches by number, from photographs and procedural pictures."""

    def __init__(self, photos: Sequence[Photo], settings: PatchSettings, *, seed: int) -> None:
        self.settings, self.seed = settings, seed
        rng = np.random.default_rng([seed, 0])
        self._lenses = [draw_kernel(rng, _LENSES) for _ in range(settings.lenses)]
        self._photos = [to_bytes(read_photo(photo.path)) for photo in photos]
        self._procedural = [
            to_bytes(draw_picture(rng, (256, 256))) for _ in range(settings.procedural_pictures)
        ]
        self._margin_px = int(np.ceil(settings.largest_coc_px / 2))

    def make(self, number: int) -> Patch:
        rng = np.random.default_rng([self.seed, 1, number])
        settings = self.settings
        side = PATCH_PX + 2 * self._margin_px
        sharp = self._draw_sharp(rng, side)
        lens = self._lenses[int(rng.integers(len(self._lenses)))]
        transfer = Transfer.SRGB if rng.random() < 0.5 else Transfer.GAMMA_22
        coc = np.full((side, side), draw_coc(rng, lens, settings), dtype=np.float32)
        if rng.random() < settings.edge_share:
            other = draw_coc(rng, lens, settings)
            coc += (other - coc) * draw_layout(rng, coc.shape)
            views = _blur_by_depth(sharp, coc, lens, transfer)
        else:
            views = _blur_evenly(sharp, float(coc[0, 0]), lens, transfer)
        inner = slice(self._margin_px, side - self._margin_px)
        pixels = to_bytes(views.permute(0, 2, 3, 1).numpy()[:, inner, inner])
        if rng.random() < settings.palette_share:
            colours = int(rng.integers(96, 257))
            pixels = np.stack([reduce_palette(view, colours=colours) for view in pixels])
        return Patch(pixels, coc[inner, inner].astype(np.float16), disparity_per_coc(lens))

    def _draw_sharp(self, rng: np.random.Generator, side: int) -> Tensor:
        """(3, side, side) in 0..1."""
        kind, settings = rng.random(), self.settings
        if kind < settings.flat_share:
            colour = rng.uniform(0, 1, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(0, 1))
            return torch.tensor(colour, dtype=torch.float32)[:, None, None].expand(3, side, side)
        procedural = not self._photos or kind < settings.flat_share + settings.procedural_share
        pictures = self._procedural if procedural else self._photos
        picture = cut_picture(rng, pictures[int(rng.integers(len(pictures)))], side)
        return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


def cut_picture(rng: np.random.Generator, picture: Bytes, side: int) -> Image:
    """A square (side, side, 3) in 0..1 from anywhere, often reduced, turned or mirrored."""
    scale = 1.0 if rng.random() < 0.4 else rng.uniform(0.4, 1)
    reach = min(round(side / scale), *picture.shape[:2])
    cut = picture[draw_window(rng, picture.shape[:2], (reach, reach))].astype(np.float32) / np.float32(255)
    square = resize(cut, (side, side))
    square = square[:, ::-1] if rng.random() < 0.5 else square
    return square if rng.random() < 0.8 else square.transpose(1, 0, 2)


def draw_coc(rng: np.random.Generator, lens: KernelSpec, settings: PatchSettings) -> float:
    """A signed circle of confusion in pixels; ranges are drawn as disparities."""
    kind, per_coc = rng.random(), disparity_per_coc(lens)
    reach = min(settings.largest_disparity_px, settings.largest_coc_px * per_coc)
    if kind < settings.sharp_share:
        disparity = rng.normal(0, 0.05)
    elif kind < settings.sharp_share + settings.near_focus_share:
        disparity = rng.uniform(-2, 2)
    else:
        disparity = rng.uniform(-reach, reach)
    return float(np.clip(disparity / per_coc, -settings.largest_coc_px, settings.largest_coc_px))


def _blur_evenly(sharp: Tensor, coc_px: float, lens: KernelSpec, transfer: Transfer) -> Tensor:
    """Views (2, 3, h, w) of a surface at one distance; it wraps around at the edges."""
    kernels = torch.stack(kernel_pair(lens, coc_px))
    size = sharp.shape[-2:]
    reach = kernels.shape[-1] // 2
    padded = torch.zeros(2, *size)
    padded[:, : kernels.shape[-2], : kernels.shape[-1]] = kernels
    spectra = torch.fft.rfft2(padded.roll((-reach, -reach), (-2, -1)))[:, None]
    light = torch.fft.irfft2(spectra * torch.fft.rfft2(decode_light(sharp, transfer)), s=size)
    return encode_light(light, transfer)


def _blur_by_depth(sharp: Tensor, coc_px: Image, lens: KernelSpec, transfer: Transfer) -> Tensor:
    views = render_views(sharp[None], torch.from_numpy(coc_px)[None], lens, slices=5, transfer=transfer)
    return torch.cat(views)


class PatchPool:
    """Patches of a folder, in order of their numbers."""

    def __init__(self, folder: Path, *, mode: Literal["r", "r+"] = "r") -> None:
        if not (folder / _HEADER).is_file():
            raise SettingsError(
                "there is no pool of patches",
                where=str(folder),
                expected=f"a folder with {_HEADER}",
                remedy="make one first: ldp train ldp-tiny patches FOLDER",
            )
        self.folder = folder
        self._views, self._coc, self._per_coc = (
            np.load(folder / f"{name}.npy", mmap_mode=mode) for name in ("views", "coc", "per_coc")
        )

    @classmethod
    def create(cls, folder: Path, *, capacity: int, origin: Mapping[str, Any] | None = None) -> PatchPool:
        """An empty pool for `capacity` patches, or the one already there; `origin` is told to readers."""
        if not (folder / _HEADER).exists():
            folder.mkdir(parents=True, exist_ok=True)
            _reserve(folder / "views.npy", np.uint8, (capacity, 2, PATCH_PX, PATCH_PX, 3))
            _reserve(folder / "coc.npy", np.float16, (capacity, PATCH_PX, PATCH_PX))
            _reserve(folder / "per_coc.npy", np.float32, (capacity,))
            _write_header(folder, {"complete": 0, "origin": dict(origin or {})})
        return cls(folder, mode="r+")

    def __len__(self) -> int:
        """Patches that are complete now."""
        return int(self._header["complete"])

    @property
    def origin(self) -> dict[str, Any]:
        """Settings, seed and folders that its patches were made with; empty where they were not noted."""
        return dict(self._header.get("origin", {}))

    @property
    def _header(self) -> dict[str, Any]:
        header: dict[str, Any] = json.loads((self.folder / _HEADER).read_text())
        return header

    def __getitem__(self, number: int) -> Patch:
        return Patch(self._views[number], self._coc[number], float(self._per_coc[number]))

    def fill(self, maker: Maker) -> Iterator[int]:
        """Make what is missing, and yield how many are complete now and then."""
        for number in range(len(self), len(self._views)):
            patch = maker.make(number)
            self._views[number], self._coc[number] = patch.views, patch.coc_px
            self._per_coc[number] = patch.disparity_per_coc
            if (number + 1) % _REPORT_EVERY == 0 or number + 1 == len(self._views):
                _write_header(self.folder, {**self._header, "complete": number + 1})
                yield number + 1


def _reserve(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()


def _write_header(folder: Path, content: Mapping[str, Any]) -> None:
    write_bytes(str(folder / _HEADER), json.dumps(content).encode())


class CellSettings(Settings):
    """How cells are degraded. Shares are probabilities per cell."""

    batch: int = Field(default=64, ge=2)
    grey_share: float = Field(default=0.4, ge=0, le=1)
    noise_share: float = Field(default=0.7, ge=0, le=1)
    largest_noise: float = Field(default=0.03, ge=0)
    """Of values 0..1; noise is drawn between this and a hundredth of it."""
    # Added after a look at the Pixel 4, most of whose cells are faint (infra/measurements.md, "Blur maps").
    faint_share: float = Field(default=0.4, ge=0, le=1)
    """Share of cells whose contrast is lowered, as that of most cells of a photograph is low."""
    lowest_contrast: float = Field(default=0.06, gt=0, le=1)
    gain_deviation: float = Field(default=0.03, ge=0)
    darkest_gain: float = Field(default=0.35, gt=0, le=1)


@dataclass(frozen=True)
class Cells(Batch):
    """`composites` (n, 3, 40, 80) in 0..1, the right half mirrored; `disparity_px`, `coc_px` (n,) signed."""

    composites: Tensor
    disparity_px: Tensor
    coc_px: Tensor


def draw_cells(
    pool: PatchPool, settings: CellSettings, *, seed: int, step: int, patches: int, rank: int = 0
) -> Cells:
    """The cells of one step and one process, from the first `patches` patches of a pool."""
    rng = np.random.default_rng([seed, step, rank])
    drawn = [_draw_cell(rng, pool[int(rng.integers(patches))], settings) for _ in range(settings.batch)]
    composites = np.stack([composite for composite, _, _ in drawn]).transpose(0, 3, 1, 2)
    disparity, coc = (torch.tensor([cell[i] for cell in drawn], dtype=torch.float32) for i in (1, 2))
    return Cells(torch.from_numpy(np.ascontiguousarray(composites)), disparity, coc)


def _draw_cell(rng: np.random.Generator, patch: Patch, settings: CellSettings) -> tuple[Image, float, float]:
    """One composite (40, 80, 3), its mean disparity and circle of confusion in pixels."""
    window = draw_window(rng, patch.coc_px.shape, (CELL_PX, CELL_PX))
    views = [view[window] for view in patch.views]
    coc_px = read_texture(views, patch.coc_px[window])
    if rng.random() < 0.5:
        views, coc_px = views[::-1], -coc_px
    if rng.random() < 0.5:
        views = [view[::-1] for view in views]
    left_cell, right_cell = _degrade(rng, views, settings)
    composite = np.concatenate([left_cell, right_cell[:, ::-1]], axis=1)
    return composite, coc_px * patch.disparity_per_coc, coc_px


def read_texture(views: Sequence[Bytes], coc_px: NDArray[np.float16]) -> float:
    """Mean circle of confusion (40, 40) of a cell, by how much contrast along x there is at each pixel.

    At a depth edge a cell shows the blur of what has texture; without any, all pixels count alike.
    """
    mean = np.mean(views, axis=(0, 3), dtype=np.float32)
    contrast = np.square(np.gradient(mean, axis=1)) + np.float32(_LEAST_CONTRAST)
    return float(np.average(coc_px.astype(np.float32), weights=contrast))


def _degrade(rng: np.random.Generator, views: Sequence[Bytes], settings: CellSettings) -> list[Image]:
    """The same colours for both views, gain and noise of each its own; in steps of 8 bit."""
    grey = rng.random() < settings.grey_share
    order = np.array([1]) if grey else rng.permutation(3)
    brightness = np.exp(rng.uniform(np.log(settings.darkest_gain), 0.1))
    ratio = 1 + rng.normal(0, settings.gain_deviation)
    faint = rng.random() < settings.faint_share
    contrast = np.float32(settings.lowest_contrast ** rng.uniform(0, 1) if faint else 1)
    mean = np.mean(views, axis=(0, 1, 2), dtype=np.float32)
    read, shot = settings.largest_noise * 100.0 ** rng.uniform(-1, 0, 2)
    noisy = rng.random() < settings.noise_share
    degraded = []
    for view, gain in zip(views, (ratio, 2 - ratio), strict=True):
        planes = (mean + contrast * (view - mean))[..., order] * np.float32(brightness * gain / 255)
        planes = planes.clip(0, 1)
        planes = add_noise(rng, planes, read=read, shot=shot) if noisy else planes
        planes = to_bytes(planes).astype(np.float32) / np.float32(255)
        degraded.append(np.repeat(planes, 3, axis=2) if grey else planes)
    return degraded
