"""A lens model from measured kernels: shape and scale together.

Every measured kernel shows a disparity and a size. The model's kernel is scaled until it shows the measured
disparity; it then fits only if its size fits as well, and with it the pixels of disparity per pixel of circle
of confusion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from torch import Tensor

from ldp_core.cameras.kernel_fields import MeasuredGrid
from ldp_core.cameras.pupil import PupilModel, pupil_psf
from ldp_core.errors import SettingsError
from ldp_core.optics.kernels import UnitPsf

__all__ = ["FREE", "GridFit", "fit_grid"]

FREE: Final = (
    "softness",
    "crosstalk",
    "shift",
    "rim",
    "ring",
    "ring_growth",
    "coma",
    "stretch",
    "spread",
)
"""What is fitted. The second stop of the model is left out: with it nothing fits better on a Pixel 4."""

_Floats = NDArray[np.float64]
_START: Final = PupilModel(softness=0.8, crosstalk=0.1, shift=0.3, rim=0.15, ring=0.3, coma=0.8, stretch=0.2)
# Calibration noise, as in `ldp_core.optics.calibration`.
_NOISE_LIMIT: Final = 0.03
# A lens with 48 samples across differs by less than .1 % from one with 96, and takes half the time.
_SAMPLES: Final = 48
_LEAST_DISPARITY_PX: Final = 0.5


@dataclass(frozen=True, slots=True)
class GridFit:
    """A fitted lens, and how well it fits each cell: correlation of both views, and the ratio of its
    disparity per px of circle of confusion to the measured one."""

    model: PupilModel
    correlation: _Floats
    scale: _Floats

    @property
    def residuals(self) -> dict[str, float]:
        """Of all cells, as a card tells them."""
        return {
            "correlation_mean": round(float(self.correlation.mean()), 4),
            "correlation_least": round(float(self.correlation.min()), 4),
            "scale_error_rms": round(float(np.sqrt(np.square(self.scale - 1).mean())), 4),
            "scale_error_largest": round(float(np.abs(self.scale - 1).max()), 4),
        }


@dataclass(frozen=True, slots=True)
class _Cell:
    """A measured kernel (2, k, k) without noise, at a place, with what its moments say."""

    x: float
    y: float
    kernel: Tensor
    disparity_px: float
    centre: tuple[float, float]
    radius_px: float

    @property
    def factor(self) -> float:
        """Its disparity per px of circle of confusion."""
        return self.disparity_px / (2 * self.radius_px)


def fit_grid(kernels: Tensor, *, rows: int, columns: int, aspect: float, step: int = 3) -> GridFit:
    """The lens that fits measured kernels (rows * columns, 2, k, k) best.

    Args:
        aspect: height of the frame over its width.
        step: every so many cells are fitted, all are compared; 3 gives what 1 gives within .001.

    Raises:
        SettingsError: too few kernels show a disparity.
    """
    grid = MeasuredGrid(kernels, rows=rows, columns=columns, aspect=aspect)
    cells = [cell for i in range(rows) for j in range(columns) if (cell := _read_cell(grid, kernels, i, j))]
    fitted = cells[::step] if len(cells) >= 2 * step else cells
    if len(fitted) < 2:
        raise SettingsError(
            "too few measured kernels show a disparity between the views",
            where="kernels",
            expected=f"at least 2 with {_LEAST_DISPARITY_PX} px or more",
            got=str(len(fitted)),
            remedy="measure kernels farther out of focus",
        )

    def residuals(values: _Floats) -> _Floats:
        return np.concatenate([_residual(_model(values), cell) for cell in fitted])

    low, high = (np.array([_bounds(name)[side] for name in FREE]) for side in (0, 1))
    start = np.array([getattr(_START, name) for name in FREE])
    solved = least_squares(
        residuals, start, bounds=(low, high), diff_step=np.full(len(FREE), 1e-3), x_scale=0.3, max_nfev=25
    )
    model = _model(np.round(solved.x, 4))
    return GridFit(
        model,
        np.array([_correlate(model, cell) for cell in cells]),
        np.array([pupil_psf(model, cell.x, cell.y).disparity / 2 / cell.factor for cell in cells]),
    )


def _read_cell(grid: MeasuredGrid, kernels: Tensor, row: int, column: int) -> _Cell | None:
    kernel = kernels[row * grid.columns + column].to(torch.float64)
    kernel = torch.where(kernel >= _NOISE_LIMIT * kernel.amax((1, 2), keepdim=True), kernel, 0.0)
    kernel = kernel / kernel.sum((1, 2), keepdim=True)
    axis = _axis(kernel.shape[-1])
    left, right = (kernel.sum(1) @ axis).tolist()
    both = kernel.mean(0)
    x, y = float(both.sum(0) @ axis), float(both.sum(1) @ axis)
    spread = float(both.sum(0) @ (axis - x) ** 2 + both.sum(1) @ (axis - y) ** 2)
    if right - left < _LEAST_DISPARITY_PX:
        return None
    place = 2 * (column + 0.5) / grid.columns - 1, grid.aspect * (2 * (row + 0.5) / grid.rows - 1)
    return _Cell(*place, kernel, right - left, (x, y), (2 * spread) ** 0.5)


def _residual(model: PupilModel, cell: _Cell) -> _Floats:
    """Difference of the model's kernels from the measured ones, in parts of these."""
    difference = _lay(pupil_psf(model, cell.x, cell.y, samples=_SAMPLES), cell) - cell.kernel
    norm = cell.kernel.square().sum((1, 2), keepdim=True).sqrt()
    residual: _Floats = (difference / norm).flatten().numpy()
    return residual


def _lay(psf: UnitPsf, cell: _Cell) -> Tensor:
    """The model's kernels (2, k, k) where the cell's lie, as large as its disparity asks for."""
    radius = cell.disparity_px / max(psf.disparity, 0.05)
    axis = _axis(cell.kernel.shape[-1])
    x, y = (
        (1 - (axis[:, None] - radius * samples[None, :] - centre).abs()).clamp_min(0)
        for samples, centre in zip((psf.x, psf.y), cell.centre, strict=True)
    )
    return y @ psf.values @ x.T


def _correlate(model: PupilModel, cell: _Cell) -> list[float]:
    laid = _lay(pupil_psf(model, cell.x, cell.y), cell)
    return [
        float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])
        for a, b in zip(laid, cell.kernel, strict=True)
    ]


def _axis(size: int) -> Tensor:
    return torch.arange(size, dtype=torch.float64) - (size - 1) / 2


def _model(values: Sequence[float] | _Floats) -> PupilModel:
    return PupilModel(**{name: float(value) for name, value in zip(FREE, values, strict=True)})


def _bounds(name: str) -> tuple[float, float]:
    limits = {type(limit).__name__: limit for limit in PupilModel.model_fields[name].metadata}
    return limits["Ge"].ge, limits["Le"].le
