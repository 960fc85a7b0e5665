"""How alike the kernels of a family and those of the Pixel 4 calibration are.

Our own measure: the Pearson correlation over the pixels of the square that just holds the measured
kernel, at one diameter for all cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ldp_core.optics.calibration import place_of_cell
from ldp_core.optics.kernels import KernelFamily, KernelSpec, kernel_bank
from ldp_core.optics.realism.matching import Placed, fit_scale

CELLS = range(48)
_STEPS = (0.08,)
_COC_PX = 22.0
"""About the diameter the calibration was taken at."""


class Calibration:
    """The measured kernels of some cells of the grid, each (2, k, k), and where they lie in the frame."""

    def __init__(self, folder: str, *, cells: Sequence[int] = CELLS) -> None:
        measured = KernelSpec(family=KernelFamily.MEASURED, measured_path=folder)
        specs = [measured.model_copy(update={"measured_cell": cell}) for cell in cells]
        self._kernels = [_draw(spec, torch.tensor([_COC_PX])) for spec in specs]
        self._places = [place_of_cell(cell) for cell in cells]

    def likeness(self, spec: KernelSpec, coc_px: Tensor, *, placed: Placed | None = None) -> Tensor:
        """Correlation (n, 2) of a family's kernels at a diameter (1,) with each measured one."""
        specs = [placed(spec, *place) if placed else spec for place in self._places]
        drawn = {one: _draw(one, coc_px) for one in dict.fromkeys(specs)}
        pairs = zip(specs, self._kernels, strict=True)
        return torch.stack([_correlate(drawn[one], kernel) for one, kernel in pairs])

    def fit_coc(self, spec: KernelSpec, *, placed: Placed | None = None) -> Tensor:
        """The diameter (1,) common to all cells that fits best."""
        return self._fit(spec, placed)[0]

    def mismatch(self, spec: KernelSpec, *, placed: Placed | None = None) -> float:
        """1 - the mean correlation at that diameter."""
        return float(self._fit(spec, placed)[1])

    def _fit(self, spec: KernelSpec, placed: Placed | None) -> tuple[Tensor, Tensor]:
        def mismatch(coc_px: Tensor) -> Tensor:
            return 1 - self.likeness(spec, coc_px, placed=placed).mean()[None]

        return fit_scale(mismatch, torch.tensor([_COC_PX]), steps=_STEPS)


def _draw(spec: KernelSpec, coc_px: Tensor) -> Tensor:
    return kernel_bank(spec, coc_px)[0]


def _correlate(model: Tensor, measured: Tensor) -> Tensor:
    """(2,) per view, on the measured kernel's grid."""
    margin = (measured.shape[-1] - model.shape[-1]) // 2
    pairs = torch.stack([F.pad(model, (margin,) * 4), measured]).flatten(2)
    a, b = pairs - pairs.mean(2, keepdim=True)
    return F.cosine_similarity(a, b, dim=1)
