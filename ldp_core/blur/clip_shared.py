"""Cells that share their features: one pass over a window of cells, each cell read by its own token.

Our own: the strip of a window goes through the image tower at a few patches per cell; every cell has
a class token that attends, in every layer, only to itself and to its own patches in both halves.
Patches attend to the whole window. About a tenth of the operations of a pass per cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.blur.cells import PaddedViews, reflect
from ldp_core.blur.clip_card import CellFormat
from ldp_core.blur.clip_formats import compose
from ldp_core.blur.clip_model import ClipModel, resize_positions
from ldp_core.devices import autocast
from ldp_core.errors import SettingsError

_SAVING = 10
_SIDES = (4, 3, 5)
_BATCH = {"cpu": 8, "cuda": 64}


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
    features = [encode_window(model, part, window) for part in torch.split(strips, _BATCH[model.device.type])]
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
