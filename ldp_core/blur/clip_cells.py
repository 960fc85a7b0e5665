"""Cells of a pair as CLIP is shown them, and the logits of all of them in large batches.

A cell is a square of both views. The published form shows each one by itself. The format `shared` is our
own: the strip of a window of cells goes through the image tower at a few patches per cell; every cell has
a class token that attends, in every layer, only to itself and to its own patches in both halves. Patches
attend to the whole window. About a tenth of the operations of a pass per cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.blur.clip_model import ClipModel, encode_prompts, resize_positions
from ldp_core.blur.clip_settings import CellFormat
from ldp_core.errors import SettingsError
from ldp_core.tensors import autocast

# Input pixels of a batch; larger batches leave the cache of a CPU.
_BATCH_PIXELS: Final = {"cpu": 16 * 224**2, "cuda": 512 * 224**2}
# Tokens of a pass per cell over those of a shared one: measured 10.4 times fewer operations, 7 times faster.
_SAVING: Final = 10
# Cells along a side of a window, the preferred first; one of these leaves little over of nearly every grid.
_SIDES: Final = (4, 3, 5)
_WINDOWS_AT_ONCE: Final = {"cpu": 8, "cuda": 64}


@dataclass(frozen=True, slots=True)
class CellGrid:
    """Cells of `cell_px` every `stride_px`, from the top left; what they overrun is reflected picture.

    `stride_px` divides `cell_px`.
    """

    height: int
    width: int
    cell_px: int = 40
    stride_px: int = 40

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        rows, columns = (
            1 + math.ceil(max(0, n - self.cell_px) / self.stride_px) for n in (self.height, self.width)
        )
        return rows, columns

    def __len__(self) -> int:
        return math.prod(self.shape)

    def pad(self, picture: Tensor) -> Tensor:
        """(c, h, w) -> whole cells, by reflection at the bottom and the right, however small it is."""
        rows, columns = self.shape
        return reflect(
            picture,
            height=self.cell_px + (rows - 1) * self.stride_px,
            width=self.cell_px + (columns - 1) * self.stride_px,
        )

    def cut(self, padded: Tensor, first: int, last: int) -> Tensor:
        """Cells `first`..`last` - 1 in reading order, (n, c, cell_px, cell_px), of a padded picture."""
        cells = padded.unfold(1, self.cell_px, self.stride_px).unfold(2, self.cell_px, self.stride_px)
        numbers = torch.arange(first, min(last, len(self)), device=padded.device)
        columns = self.shape[1]
        return cells.permute(1, 2, 0, 3, 4)[numbers // columns, numbers % columns]

    def spread(self, values: Tensor) -> Tensor:
        """(rows, columns) -> (height, width): overlapping cells averaged, centres joined linearly."""
        covers = self.cell_px // self.stride_px
        stamp = values.new_ones(1, 1, covers, covers)
        total, count = (F.conv_transpose2d(v[None, None], stamp) for v in (values, torch.ones_like(values)))
        fine = F.interpolate(total / count, scale_factor=self.stride_px, mode="bilinear")
        return fine[0, 0, : self.height, : self.width]


@dataclass(frozen=True, slots=True)
class PaddedViews:
    """Both views (3, h, w) in 0..1, padded to whole cells, and the grid of those cells.

    `peak` is the largest value of the integer pixels they came from.
    """

    left: Tensor
    right: Tensor
    grid: CellGrid
    peak: int

    @classmethod
    def of(
        cls, left: Tensor, right: Tensor, *, grid: CellGrid, peak: int, device: torch.device
    ) -> PaddedViews:
        a, b = (grid.pad(view.to(device)) for view in (left, right))
        return cls(a, b, grid, peak)


def reflect(picture: Tensor, *, height: int, width: int) -> Tensor:
    """(c, h, w) extended to (c, height, width) by reflection about its last row and column."""
    rows, columns = (
        torch.from_numpy(np.pad(np.arange(n), (0, wanted - n), mode="reflect")).to(picture.device)
        for n, wanted in zip(picture.shape[1:], (height, width), strict=True)
    )
    return picture[:, rows][:, :, columns]


def score_cells(
    model: ClipModel, views: PaddedViews, *, prompts: Sequence[str], layout: CellFormat
) -> Tensor:
    """exp(logit_scale) * cos(cell, prompt) for every cell: (rows, columns, p) float32 on the CPU."""
    text = encode_prompts(model, tuple(prompts))
    with torch.inference_mode():
        if layout is CellFormat.SHARED:
            return model.logits(encode_windows(model, views), text).cpu()
        pixels = math.prod(input_size(layout, size=model.image_size))
        step = max(1, _BATCH_PIXELS[model.device.type] // pixels)
        logits = [
            model.logits(encode_cells(model, views, layout, first, first + step), text)
            for first in range(0, len(views.grid), step)
        ]
    return torch.cat(logits).cpu().view(*views.grid.shape, len(prompts))


def encode_cells(model: ClipModel, views: PaddedViews, layout: CellFormat, first: int, last: int) -> Tensor:
    """Unit features (n, d) of cells `first`..`last` - 1 in reading order."""
    left, right = (views.grid.cut(view, first, last) for view in (views.left, views.right))
    images = fit(compose(left, right, layout), layout, size=model.image_size, peak=views.peak)
    return model.encode_images(model.normalise(images))


def compose(left: Tensor, right: Tensor, layout: CellFormat) -> Tensor:
    """Cells (n, c, h, w) of both views -> the strip [left | mirrored right], or their mean."""
    if layout is CellFormat.SINGLE:
        return (left + right) / 2
    return torch.cat([left, right.flip(-1)], dim=-1)


def fit(strips: Tensor, layout: CellFormat, *, size: tuple[int, int], peak: int) -> Tensor:
    """Strips (n, c, h, w) in 0..1 -> (n, c, *input_size) in 0..1, as Pillow resizes integer pictures.

    Bicubic along x, then along y; after each, overshoot is clipped and values are rounded to `peak` levels.
    """
    height, width = input_size(layout, size=size)
    inner = (height, width) if layout is CellFormat.SQUASH else _cover(strips.shape[-2:], height, width)
    top, left = (round((n - wanted) / 2) for n, wanted in zip(inner, (height, width), strict=True))
    wide = _resize(strips, (strips.shape[-2], inner[1]), peak=peak)[..., left : left + width]
    return _resize(wide, (inner[0], width), peak=peak)[..., top : top + height, :]


def input_size(layout: CellFormat, *, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width given to a network trained at `size`."""
    return (size[0], 2 * size[0]) if layout is CellFormat.WIDE else size


def drop_repeats(formats: Sequence[CellFormat], *, size: tuple[int, int]) -> tuple[CellFormat, ...]:
    """Each format once; a network trained on whole strips sees `squash` and `wide` as it sees `mirror`."""
    whole = {CellFormat.SQUASH: CellFormat.MIRROR, CellFormat.WIDE: CellFormat.MIRROR}
    alike = whole if size[1] == 2 * size[0] else {}
    return tuple(dict.fromkeys(alike.get(layout, layout) for layout in formats))


def _resize(images: Tensor, size: tuple[int, int], *, peak: int) -> Tensor:
    if tuple(images.shape[-2:]) == size:
        return images
    scaled = F.interpolate(images, size=size, mode="bicubic", antialias=True)
    return (scaled.clamp(0, 1) * peak).round() / peak


def _cover(strip: torch.Size, height: int, width: int) -> tuple[int, int]:
    """The smallest size of the strip's proportions that covers (height, width)."""
    if height * strip[1] >= width * strip[0]:
        return height, int(height * strip[1] / strip[0])
    return int(width * strip[0] / strip[1]), width


@dataclass(frozen=True, slots=True)
class Window:
    """`rows` x `columns` cells, `patches` x `patches` patches per cell and view."""

    rows: int
    columns: int
    patches: int

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches of the strip of both views."""
        return self.rows * self.patches, 2 * self.columns * self.patches

    @classmethod
    def choose(cls, shape: tuple[int, int], *, full_tokens: int) -> Window:
        """The window that leaves least over, at a tenth of `full_tokens` tokens per cell."""
        rows, columns = (min(_SIDES, key=lambda side: -n % side) for n in shape)
        patches = max(1, math.isqrt(max(0, int((full_tokens / _SAVING - 1) / 2))))
        return cls(rows, columns, patches)

    def owners(self) -> Tensor:
        """Which cell each patch of the strip shows, in reading order; mirrored in the right half."""
        cells = torch.arange(self.rows * self.columns).view(self.rows, self.columns)
        fine = cells.repeat_interleave(self.patches, 0).repeat_interleave(self.patches, 1)
        return torch.cat([fine, fine.flip(1)], 1).flatten()

    def attention_mask(self) -> Tensor:
        """(t, t), class tokens first, then patches: 0 where a row may attend to a column, else -inf."""
        cells, patches = torch.arange(self.rows * self.columns), self.owners()
        tokens = torch.cat([cells, patches])
        allowed = torch.ones(len(tokens), len(tokens), dtype=torch.bool)
        allowed[: len(cells)] = tokens[None, :] == cells[:, None]
        allowed[len(cells) :, : len(cells)] = False
        return torch.zeros(allowed.shape).masked_fill(~allowed, -math.inf)


def encode_windows(model: ClipModel, views: PaddedViews) -> Tensor:
    """Unit features (rows, columns, d) float32 of cells that lie side by side.

    Raises:
        SettingsError: a patch of this network spans both views, so that cells have nothing to share.
    """
    _require_patches(model)
    grid = views.grid
    window = Window.choose(grid.shape, full_tokens=1 + math.prod(model.visual.grid_size))
    left, right = (cut_windows(view, window, cell_px=grid.cell_px) for view in (views.left, views.right))
    strips = compose(left.flatten(0, 1), right.flatten(0, 1), CellFormat.SHARED)
    stacks = torch.split(strips, _WINDOWS_AT_ONCE[model.device.type])
    features = [encode_window(model, stack, window) for stack in stacks]
    cells = torch.cat(features).view(*left.shape[:2], window.rows, window.columns, -1)
    rows, columns = grid.shape
    return cells.transpose(1, 2).flatten(2, 3).flatten(0, 1)[:rows, :columns]


def _require_patches(model: ClipModel) -> None:
    if model.visual.grid_size[1] < 2:
        raise SettingsError(
            "cells cannot share the features of this network",
            where="format 'shared'",
            expected="patches that lie within one view",
            got=f"patches of {model.visual.patch_size} in an input of {model.image_size}",
            remedy="use the format 'mirror', or weights of a network with smaller patches",
        )


def cut_windows(view: Tensor, window: Window, *, cell_px: int) -> Tensor:
    """(c, h, w) -> (rows of windows, columns of windows, c, height, width), padded by reflection."""
    height, width = window.rows * cell_px, window.columns * cell_px
    tall, wide = (
        n * math.ceil(length / n) for n, length in zip((height, width), view.shape[1:], strict=True)
    )
    padded = reflect(view, height=tall, width=wide)
    return padded.unfold(1, height, height).unfold(2, width, width).permute(1, 2, 0, 3, 4)


def encode_window(model: ClipModel, strips: Tensor, window: Window) -> Tensor:
    """Unit features (n, cells, d) float32 of the cells of (n, 3, h, w) strips in 0..1."""
    visual = model.visual
    size = [patches * px for patches, px in zip(window.grid, visual.patch_size, strict=True)]
    images = F.interpolate(strips, size=size, mode="bicubic", antialias=True).clamp(0, 1)
    cells = window.rows * window.columns
    with autocast(model.device):
        patches = visual.conv1(model.normalise(images)).flatten(2).transpose(1, 2)
        places = resize_positions(visual, window.grid)
        token = (visual.class_embedding + places[0]).to(patches.dtype).expand(len(strips), cells, -1)
        tokens = visual.ln_pre(torch.cat([token, patches + places[1:].to(patches.dtype)], 1))
        seen = visual.transformer(tokens, attn_mask=window.attention_mask().to(model.device))
        features = _pool(visual, visual.ln_post(seen), window) @ visual.proj
    return F.normalize(features.float(), dim=-1)


def _pool(visual: Any, seen: Tensor, window: Window) -> Tensor:
    """Of each cell its class token, or the mean of its patches where the tower averages patches."""
    cells = window.rows * window.columns
    if visual.pool_type != "avg":
        return seen[:, :cells]
    share = F.one_hot(window.owners(), cells).T.to(seen) / (2 * window.patches**2)
    return share @ seen[:, cells:]
