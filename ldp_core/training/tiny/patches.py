"""Patches of both views, blurred once by one lens and cut into cells again and again.

A patch of a sharp picture is blurred in linear light. Patch number n of a seed is always the same.
All ranges are our own choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ldp_core.optics.kernels import KernelSpec, disparity_per_coc, kernel_pair
from ldp_core.optics.render import render_views
from ldp_core.optics.sensor import Transfer, decode_light, encode_light
from ldp_core.settings import Settings
from ldp_core.training.degrade import Bytes, reduce_palette, to_bytes
from ldp_core.training.layouts import draw_layout, draw_picture
from ldp_core.training.lenses import LensSettings, draw_kernel
from ldp_core.training.scenes import resize
from ldp_core.training.sources import Image, Photo, read_photo

PATCH_PX = 64


class PatchSettings(Settings):
    """What patches are like. Shares are probabilities per patch."""

    lenses: int = Field(default=60, ge=1, le=64)
    """How many kernel specifications there are to draw from."""
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


_LENSES = LensSettings(fitted_share=0.0)


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
    top, left = (int(rng.integers(n - reach + 1)) for n in picture.shape[:2])
    cut = picture[top : top + reach, left : left + reach].astype(np.float32) / np.float32(255)
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
