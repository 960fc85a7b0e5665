"""Point spread functions measured on a real camera, brought to a circle of confusion of radius one.

The calibration itself is not part of this project: Xin et al., "Defocus Map Estimation and
Deblurring from a Single Dual-Pixel Image" (ICCV 2021) publish one of a Pixel 4.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from torch import Tensor

from ldp_core.errors import ObjectMissingError, SettingsError
from ldp_core.storage import join, read_bytes

# Values under 3 % of the peak are calibration noise. Without a limit it is taken for light far out: kernels
# reach 2.5 radii instead of 1.7 and show 5 % less disparity; at 5 % the disparity is 2 % larger.
_NOISE_LIMIT = 0.03
# Samples per calibrated pixel and axis: kernels drawn larger than they were measured stay smooth.
_REFINEMENT = 3
_ROWS, _COLUMNS = 6, 8
_ASPECT = 0.75
_FILES = ("blur_kernels_left.npy", "blur_kernels_right.npy")


def read_calibrated_pair(folder: str, *, cell: int) -> Tensor:
    """One cell of a calibration grid: (2, k, k) float64, left and right, each summing to 1.

    Raises:
        SettingsError: no folder is named, or a file is not a grid of square kernels with that cell.
        ObjectMissingError: a file is absent.
    """
    if not folder:
        raise SettingsError(
            "measured kernels need the folder of a calibration",
            where="KernelSpec.measured_path",
            expected=f"a folder or URL with {' and '.join(_FILES)}",
            remedy="name the folder, or choose another kernel family",
        )
    return torch.stack([_read_kernel(join(folder, name), cell=cell) for name in _FILES])


def cell_at(x: float, y: float) -> int:
    """Cell of the Pixel 4 grid, 6 x 8 over a frame of 4:3, at a place in half widths from the centre."""
    column, row = int((x + 1) / 2 * _COLUMNS), int((y / _ASPECT + 1) / 2 * _ROWS)
    return _COLUMNS * min(max(row, 0), _ROWS - 1) + min(max(column, 0), _COLUMNS - 1)


def place_of_cell(cell: int) -> tuple[float, float]:
    """Centre x, y of a cell of that grid, in half widths from the frame's centre."""
    row, column = divmod(cell, _COLUMNS)
    return 2 * (column + 0.5) / _COLUMNS - 1, _ASPECT * (2 * (row + 0.5) / _ROWS - 1)


def measure_unit_grid(pair: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Values (2, m, n) and coordinates y (m,), x (n,) in radii of the circle of confusion.

    Origin and radius are those of `centre_on_moments`; noise is cut off and samples are refined.
    """
    kept = _refine(torch.where(pair >= _NOISE_LIMIT * pair.amax((1, 2), keepdim=True), pair, 0.0))
    values = kept / kept.sum((1, 2), keepdim=True)
    y, x = (torch.arange(n, dtype=torch.float64) for n in values.shape[1:])
    y, x = centre_on_moments(values, y, x)
    rows, columns = values.sum((0, 2)) > 0, values.sum((0, 1)) > 0
    return values[:, rows][:, :, columns], y[rows], x[columns]


def centre_on_moments(values: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates y (m,), x (n,) in radii of the two views `values` (2, m, n), each summing to 1.

    Our own convention: the origin is midway between the two centroids, and the radius is that of the
    uniform disc with the second moment of both views together.
    """
    both = values.mean(0)
    y, x = y - both.sum(1) @ y, x - both.sum(0) @ x
    radius = math.sqrt(2 * float(both.sum(1) @ y**2 + both.sum(0) @ x**2))
    return y / radius, x / radius


def _refine(pair: Tensor) -> Tensor:
    size = _REFINEMENT * pair.shape[-1]
    fine = torch.nn.functional.interpolate(pair[None], (size, size), mode="bilinear", align_corners=False)
    return fine[0]


def _read_kernel(url: str, *, cell: int) -> Tensor:
    try:
        grid = np.load(io.BytesIO(read_bytes(url)), allow_pickle=False)
    except ObjectMissingError as error:
        raise ObjectMissingError(
            "there are no calibrated kernels",
            where=url,
            remedy="correct `measured_path`, or choose another kernel family",
        ) from error
    except ValueError as error:
        raise SettingsError("not a file of calibrated kernels", where=url, got=str(error)) from error
    if grid.ndim != 3 or grid.shape[1] != grid.shape[2] or cell >= len(grid):
        raise SettingsError(
            "the calibration does not hold that kernel",
            where=url,
            expected=f"(n, k, k) with n > {cell}",
            got=str(grid.shape),
            remedy="choose a `measured_cell` of the grid",
        )
    return torch.from_numpy(grid[cell].astype(np.float64).clip(0) / grid[cell].clip(0).sum())
