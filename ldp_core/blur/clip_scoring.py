"""Logits of all cells of a pair, in large batches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ldp_core.blur.cells import PaddedViews
from ldp_core.blur.clip_card import CellFormat
from ldp_core.blur.clip_formats import compose, fit, input_size
from ldp_core.blur.clip_model import ClipModel, encode_prompts
from ldp_core.blur.clip_shared import encode_windows

_BATCH_PIXELS = {"cpu": 16 * 224**2, "cuda": 512 * 224**2}
"""Input pixels of a batch; larger batches leave the cache of a CPU."""


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
