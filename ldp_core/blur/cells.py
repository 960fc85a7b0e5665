"""Square cells that cover a picture, and the way back from a value per cell to a value per pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.types import Pixels


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


def to_rgb(view: Pixels) -> Tensor:
    """(h, w, c) integer pixels -> (3, h, w) float32 in 0..1; one grey plane is shown three times."""
    scaled = torch.from_numpy(view.astype(np.float32) / np.float32(np.iinfo(view.dtype).max))
    return scaled.permute(2, 0, 1).expand(3, -1, -1).contiguous()
