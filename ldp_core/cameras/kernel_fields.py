"""Kernels over the frame of a sensor: one everywhere, those of a lens model, or a measured grid.

Places in the frame are in half widths from its centre, x to the right along the dual-pixel axis, y down.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Annotated, Final, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ldp_core.cameras.pupil import PupilModel, pupil_psf
from ldp_core.errors import SettingsError
from ldp_core.optics.calibration import measure_unit_grid
from ldp_core.optics.kernels import KernelSpec, UnitPsf, unit_psf
from ldp_core.settings import Settings

KernelsAt = Callable[[float, float], UnitPsf]
"""The kernel at a place x, y of the frame."""
ReadArray = Callable[[str], bytes]
"""The bytes of a file that lies beside the profile, by its name."""

# Radii from a kernel's centre, and their distance, on which measured cells are brought to mix neighbours. The
# largest cells of a Pixel 4 end at 1.7 radii; steps of .05 change a kernel of 26 px by 1 % of its peak.
_REACH: Final = 1.9
_STEP: Final = 0.05


class UniformKernels(Settings):
    """The same kernel at every place."""

    kind: Literal["uniform"] = "uniform"
    kernel: KernelSpec = KernelSpec()

    def open(self, read: ReadArray, *, aspect: float) -> KernelsAt:
        """What gives the kernel of a place; ``aspect`` is the frame's height over its width."""
        psf = unit_psf(self.kernel)
        return lambda x, y: psf


class PupilKernels(Settings):
    """Kernels of a lens model whose parameters hold over the whole frame."""

    kind: Literal["pupil"] = "pupil"
    pupil: PupilModel

    def open(self, read: ReadArray, *, aspect: float) -> KernelsAt:
        """What gives the kernel of a place."""
        return lambda x, y: pupil_psf(self.pupil, x, y)


class GridKernels(Settings):
    """Kernels measured at the middles of the cells of a grid over the frame, mixed linearly between them."""

    kind: Literal["grid"] = "grid"
    rows: int = Field(ge=1, le=64)
    columns: int = Field(ge=1, le=64)
    file: str = Field(min_length=1, pattern=r"^[^/\\]+\.npy$")
    """Beside the profile: (rows * columns, 2, k, k), left and right view of every cell, row by row."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Digest of that file."""

    def open(self, read: ReadArray, *, aspect: float) -> KernelsAt:
        """What gives the kernel of a place.

        Raises:
            SettingsError: the file is no such array.
        """
        kernels = read_grid(read(self.file), cells=self.rows * self.columns, name=self.file)
        return MeasuredGrid(kernels, rows=self.rows, columns=self.columns, aspect=aspect)


KernelsModel = Annotated[UniformKernels | PupilKernels | GridKernels, Field(discriminator="kind")]


class MeasuredGrid:
    """Measured kernels (n, 2, k, k) over a frame; each is brought to unit radius before neighbours mix."""

    def __init__(self, kernels: Tensor, *, rows: int, columns: int, aspect: float) -> None:
        self.rows, self.columns, self.aspect = rows, columns, aspect
        self._kernels = kernels
        self._cells: dict[int, Tensor] = {}

    def __call__(self, x: float, y: float) -> UnitPsf:
        row, down = _between((y / self.aspect + 1) / 2 * self.rows - 0.5, self.rows)
        column, across = _between((x + 1) / 2 * self.columns - 0.5, self.columns)
        values = sum(
            (
                share * self._cell(min(row + i, self.rows - 1), min(column + j, self.columns - 1))
                for i, part in ((0, 1 - down), (1, down))
                for j, share in ((0, part * (1 - across)), (1, part * across))
                if share > 0
            ),
            torch.zeros(()),
        )
        return UnitPsf(values / values.sum((1, 2), keepdim=True), y=_AXIS, x=_AXIS)

    def _cell(self, row: int, column: int) -> Tensor:
        """A cell (2, m, m) on the common coordinates."""
        index = row * self.columns + column
        if index not in self._cells:
            values, y, x = measure_unit_grid(self._kernels[index])
            self._cells[index] = _lay(y) @ values @ _lay(x).T
        return self._cells[index]


def read_grid(content: bytes, *, cells: int, name: str, views: int = 2) -> Tensor:
    """Measured kernels (cells, views, k, k) float64, each summing to 1, from the bytes of a .npy file.

    Files of one view may leave its dimension out.

    Raises:
        SettingsError: it is none, has another shape, or a kernel holds no light.
    """
    try:
        grid = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise SettingsError(
            "not a file of measured kernels", where=name, expected="an array of numbers as .npy"
        ) from error
    grid = grid[:, None] if views == 1 and grid.ndim == 3 else grid
    square = grid.ndim == 4 and grid.shape[:2] == (cells, views) and grid.shape[2] == grid.shape[3] > 0
    if not square or grid.dtype.kind not in "fiu" or not np.isfinite(grid).all():
        raise SettingsError(
            "the measured kernels do not fit their profile",
            where=name,
            expected=f"finite numbers ({cells}, {views}, k, k)",
            got=f"{grid.shape} {grid.dtype}",
            remedy="correct `rows` and `columns`, or make the profile again",
        )
    light = torch.from_numpy(grid.astype(np.float64)).clamp_min(0)
    sums = light.sum((2, 3), keepdim=True)
    if not bool((sums > 0).all()):
        raise SettingsError("a measured kernel holds no light", where=name, expected="a positive sum")
    return light / sums


_AXIS: Final = torch.arange(-_REACH, _REACH + _STEP / 2, _STEP, dtype=torch.float64)


def _lay(samples: Tensor) -> Tensor:
    """Linear weights (m, n) with which n samples in radii fall onto the common coordinates."""
    return (1 - (_AXIS[:, None] - samples[None, :]).abs() / _STEP).clamp_min(0)


def _between(place: float, count: int) -> tuple[int, float]:
    """The cell before a place, and how far it is on the way to the next one."""
    place = min(max(place, 0.0), count - 1.0)
    cell = min(int(place), max(count - 2, 0))
    return cell, place - cell
