"""Thresholds of the CLIP map: what a sharp cell scores and what a fully blurred one scores.

They belong to one checkpoint, one prompt and one format. The published pair is for OpenAI's ViT-B/16;
for anything else they are fitted here, a step that is our own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.blur.cells import CellGrid, PaddedViews
from ldp_core.blur.clip_card import CellFormat, Thresholds
from ldp_core.blur.clip_model import ClipModel
from ldp_core.blur.clip_scoring import score_cells
from ldp_core.errors import WeightsError
from ldp_core.optics.kernels import KernelSpec, kernel_pair
from ldp_core.optics.scenes import SceneKind, make_scene

STRONG_COC_PX = 24.0
_SCENES = (SceneKind.LEAVES, SceneKind.CHART, SceneKind.ROOM)
_SIZE = (240, 320)
_TEXTURED = 0.02
_CELL_PX = 40
_PEAK = 255


def calibrate(
    model: ClipModel,
    pictures: Sequence[Tensor],
    *,
    prompt: str,
    layout: CellFormat,
    kernel: KernelSpec,
    coc_px: float = STRONG_COC_PX,
) -> Thresholds:
    """Fit A and B to these weights: median logits of cells in focus and far out of it.

    A comes from each picture taken for both views, B from the picture through the kernels of
    `coc_px` on either side of the focal plane. Cells without texture are left out.

    Args:
        pictures: sharp pictures (3, h, w) in 0..1.

    Raises:
        WeightsError: the two logits do not differ, so this prompt can tell nothing.
    """
    sharp = torch.cat([_logits(model, p, p, prompt=prompt, layout=layout)[_textured(p)] for p in pictures])
    blurred = torch.cat(
        [
            _logits(model, *blur_views(p, kernel, sign * coc_px), prompt=prompt, layout=layout)[_textured(p)]
            for p in pictures
            for sign in (-1, 1)
        ]
    )
    a, b = (float(logits.quantile(0.5)) for logits in (sharp, blurred))
    if not abs(a - b) > 1e-6:
        raise WeightsError(
            "with these weights the prompt does not tell sharp from blurred",
            where=f"'{prompt}' in format '{layout}'",
            got=f"logit {a:g} for both",
            remedy="use another prompt or other weights",
        )
    return Thresholds(A=a, B=b)


@lru_cache(maxsize=64)
def calibrate_on_scenes(model: ClipModel, prompt: str, layout: CellFormat, kernel: KernelSpec) -> Thresholds:
    """Thresholds from a few procedural scenes, the same ones every time; kept for the process."""
    scenes = [make_scene(seed, size=_SIZE, kind=kind).sharp for seed, kind in enumerate(_SCENES)]
    return calibrate(model, scenes, prompt=prompt, layout=layout, kernel=kernel)


def blur_views(picture: Tensor, kernel: KernelSpec, coc_px: float) -> tuple[Tensor, Tensor]:
    """Left and right view (3, h, w) of a flat scene at one circle of confusion, borders repeated."""
    left, right = (_convolve(picture, side) for side in kernel_pair(kernel, coc_px))
    return left, right


def _convolve(picture: Tensor, kernel: Tensor) -> Tensor:
    margin = len(kernel) // 2
    padded = F.pad(picture[:, None], (margin,) * 4, mode="replicate")
    return F.conv2d(padded, kernel.flip(0, 1)[None, None])[:, 0]


def _logits(model: ClipModel, left: Tensor, right: Tensor, *, prompt: str, layout: CellFormat) -> Tensor:
    views = PaddedViews.of(left, right, grid=_grid(left), peak=_PEAK, device=model.device)
    return score_cells(model, views, prompts=[prompt], layout=layout).flatten()


def _textured(picture: Tensor) -> Tensor:
    """Which cells, in reading order, hold any texture; all of them where none does."""
    grid = _grid(picture)
    deviation = grid.cut(grid.pad(picture), 0, len(grid)).mean(1).flatten(1).std(1)
    return (deviation > _TEXTURED) | ~(deviation > _TEXTURED).any()


def _grid(picture: Tensor) -> CellGrid:
    return CellGrid(picture.shape[1], picture.shape[2], _CELL_PX, _CELL_PX)
