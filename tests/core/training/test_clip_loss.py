"""L_bal: a sentence about blur as a term of the loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from clip_samples import write_clip
from network_samples import TINY

from ldp_core.blur.clip_cells import CellGrid, PaddedViews, score_cells
from ldp_core.blur.clip_model import load_clip
from ldp_core.blur.clip_settings import CellFormat
from ldp_core.cameras.kernel_numbers import NUMBERS
from ldp_core.optics.kernels import DEFAULT_KERNEL
from ldp_core.training.frames import FrameCache, FrameSettings
from ldp_core.training.ldp import (
    CELL_PX,
    PROMPT,
    ClipLoss,
    LdpBatch,
    LdpBatchSettings,
    LdpFitSettings,
    LdpTask,
    cut_cells,
)
from ldp_core.training.sources import Sources


@pytest.fixture(scope="module")
def clip_loss(tmp_path_factory: pytest.TempPathFactory) -> ClipLoss:
    return ClipLoss(load_clip(**write_clip(tmp_path_factory.mktemp("clip"))))


@pytest.mark.parametrize("size", [(40, 40), (64, 97)])
def test_nine_cells_reach_every_border(size: tuple[int, int]) -> None:
    images = torch.arange(2 * 3 * size[0] * size[1], dtype=torch.float32).view(2, 3, *size)
    cells = cut_cells(images)
    assert cells.shape == (18, 3, CELL_PX, CELL_PX)
    torch.testing.assert_close(cells[0], images[0, :, :CELL_PX, :CELL_PX])
    torch.testing.assert_close(cells[17], images[1, :, -CELL_PX:, -CELL_PX:])


def test_the_score_of_a_cell_is_that_of_the_estimator(clip_loss: ClipLoss) -> None:
    image = torch.rand(3, 120, 120, generator=torch.Generator().manual_seed(0))
    grid = CellGrid(120, 120, CELL_PX, CELL_PX)
    views = PaddedViews.of(image, image, grid=grid, peak=65535, device=torch.device("cpu"))
    expected = score_cells(clip_loss.model, views, prompts=[PROMPT], layout=CellFormat.SINGLE).flatten()
    torch.testing.assert_close(clip_loss.score(image[None])[0], expected, atol=1e-2, rtol=0)


def test_it_moves_the_network_and_never_the_clip(clip_loss: ClipLoss, tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    left, right, sharp = torch.rand(3, 1, 3, 48, 48, generator=generator)
    coc_px, told = torch.zeros(1, 1, 48, 48), torch.zeros(1, len(NUMBERS), 48, 48)
    batch = LdpBatch(left, right, sharp, coc_px, None, None, kernel=told, kernels=(DEFAULT_KERNEL,))
    cache = FrameCache.create(tmp_path, capacity=1, seed=0, settings=FrameSettings(), sources=Sources())
    task = LdpTask(TINY, LdpFitSettings(clip_weight=10.0), cache, LdpBatchSettings(), clip_loss=clip_loss)
    with torch.no_grad():
        term = float(clip_loss((left + right) / 2))
    loss = task.loss(task.network, batch)
    loss.backward()
    without = replace(task, clip_loss=None)
    plain = without.loss(without.network, batch)
    assert float(loss.detach()) == pytest.approx(float(plain.detach()) + 10 * term, rel=1e-3)
    gradient = task.network.head.weight.grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert all(parameter.grad is None for parameter in clip_loss.model.network.parameters())
