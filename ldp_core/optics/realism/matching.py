"""Kernels fitted to what cameras recorded: to windows of photographs, and to calibrated kernels.

Each view of a window may differ from its model by a gain, both views together by a small shift and a change
of magnification (focus breathing); the disparity between them must come from the kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional as F

from ldp_core.metrics.fidelity import psnr_of_mse
from ldp_core.optics.calibration import place_of_cell
from ldp_core.optics.kernels import KernelFamily, KernelSpec, kernel_bank
from ldp_core.optics.realism.photographs import Windows

# One Gauss-Newton step holds for small moves only; whole pixels are taken out before.
_LARGEST_SHIFT_PX = 1.5
# Where the search starts; blur of the photographs reaches about 20 px.
_FIRST_COC_PX = (1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0, 12.5, 15.0, 18.0, 22.0, 26.0, 32.0)
# Relative steps of the parabolas through three circles of confusion: coarse, then fine.
_STEPS = (0.14, 0.05)
# Softer than any camera, so that the side of the focus is found whatever the kernel.
_SOFT = KernelSpec(softness=1.5)
# A smaller gain in loss is rounding: the simpler parameters stay.
_LEAST_GAIN = 1e-6
CELLS = range(48)
# About the diameter that the calibration was taken at.
_CALIBRATED_COC_PX = 22.0
_CALIBRATED_STEPS = (0.08,)
# Far above any camera; a model that equals its view stays finite.
_PSNR_CEILING_DB = 120.0

Placed = Callable[[KernelSpec, float, float], KernelSpec]
"""A kernel at a place x, y of the frame."""


Loss = Callable[[KernelSpec], float]


@dataclass(frozen=True, slots=True)
class Match:
    """Per window and view: `zncc` (n, 2) -1..1, `mse` (n, 2) mean squared error in linear light;
    per window `shift_px` (n, 2), rows and columns from the model to the camera."""

    zncc: Tensor
    mse: Tensor
    shift_px: Tensor

    @property
    def psnr_db(self) -> Tensor:
        """(n, 2), against full scale in linear light; at most 120 dB."""
        rows = self.mse.tolist()
        return torch.tensor([[psnr_of_mse(mse, ceiling_db=_PSNR_CEILING_DB) for mse in row] for row in rows])


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kernel family to fit: where it starts, the values to try per parameter, how its place matters."""

    name: str
    start: KernelSpec
    values: Mapping[str, Sequence[float]]
    placed: Placed | None = None


class Calibration:
    """The measured kernels of some cells of the grid, each (2, k, k), and where they lie in the frame.

    Kernels are compared by Pearson correlation over the pixels of the square that just holds the measured
    kernel, at one diameter for all cells (our own measure).
    """

    def __init__(self, folder: str, *, cells: Sequence[int] = CELLS) -> None:
        measured = KernelSpec(family=KernelFamily.MEASURED, measured_path=folder)
        specs = [measured.model_copy(update={"measured_cell": cell}) for cell in cells]
        self._kernels = [_draw(spec, torch.tensor([_CALIBRATED_COC_PX])) for spec in specs]
        self._places = [place_of_cell(cell) for cell in cells]

    def correlations(self, spec: KernelSpec, coc_px: Tensor, *, placed: Placed | None = None) -> Tensor:
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
            return 1 - self.correlations(spec, coc_px, placed=placed).mean()[None]

        return fit_scale(mismatch, torch.tensor([_CALIBRATED_COC_PX]), steps=_CALIBRATED_STEPS)


def compare(model: Tensor, views: Tensor) -> Match:
    """Models (n, 2, i, i) against the camera's views of the same shape."""
    shift, moved = _move_together(model, views)
    product, power = (moved * views).sum((2, 3)), (moved**2).sum((2, 3)).clamp_min(1e-20)
    zncc = product / (power * (views**2).sum((2, 3))).sqrt()
    rest = views - (product / power)[..., None, None] * moved
    return Match(zncc, (rest**2).mean((2, 3)), shift)


def simulate_windows(windows: Windows, spec: KernelSpec, coc_px: Tensor, *, placed: Placed | None) -> Tensor:
    """Models (n, 2, i, i) at circles of confusion (g,) per group; `placed` puts the kernel in the frame."""
    diameters = coc_px[windows.group_of]
    if placed is None:
        return windows.blur(kernel_bank(spec, diameters))
    specs = [placed(spec, x, y) for x, y in windows.places]
    banks = [kernel_bank(one, diameter[None])[0] for one, diameter in zip(specs, diameters, strict=True)]
    side = max(bank.shape[-1] for bank in banks)
    return windows.blur(torch.stack([F.pad(bank, ((side - bank.shape[-1]) // 2,) * 4) for bank in banks]))


def mismatch(windows: Windows, spec: KernelSpec, coc_px: Tensor, *, placed: Placed | None = None) -> Tensor:
    """1 - ZNCC (g,), mean over the windows and both views of each group."""
    match = compare(simulate_windows(windows, spec, coc_px, placed=placed), windows.views)
    return windows.group_means(1 - match.zncc.mean(1))


def register(windows: Windows) -> tuple[Windows, Tensor]:
    """Windows moved by parts of a pixel, and a first signed circle of confusion (g,) of each group.

    The size is that of the best disc; the sign is the one with which a soft half disc fits better.
    """
    disc = KernelSpec(family=KernelFamily.DISC)
    misfits = torch.stack([mismatch(windows, disc, _all(windows, coc)) for coc in _FIRST_COC_PX])
    size = torch.tensor(_FIRST_COC_PX)[misfits.argmin(0)]
    coc = size
    for spec in (disc, _SOFT, _SOFT, _SOFT):
        far, near = (mismatch(windows, spec, sign * coc.abs()) for sign in (1, -1))
        coc, _ = fit_coc(windows, spec, torch.where(far <= near, 1, -1) * coc.abs())
        match = compare(simulate_windows(windows, spec, coc, placed=None), windows.views)
        windows = windows.moved(match.shift_px)
    return windows, coc


def fit_coc(
    windows: Windows,
    spec: KernelSpec,
    start_px: Tensor,
    *,
    placed: Placed | None = None,
    steps: Sequence[float] = _STEPS,
) -> tuple[Tensor, Tensor]:
    """Circles of confusion (g,) near `start_px` of least mismatch, and that mismatch (g,)."""
    return fit_scale(lambda coc: mismatch(windows, spec, coc, placed=placed), start_px, steps=steps)


def fit_scale(
    loss: Callable[[Tensor], Tensor], start: Tensor, *, steps: Sequence[float] = _STEPS
) -> tuple[Tensor, Tensor]:
    """Where each of the losses (g,) of g independent values is least near `start` (g,), and how small.

    One parabola per relative step.
    """
    value = start
    for step in steps:
        below, here, above = (loss(value * factor) for factor in (1 - step, 1.0, 1 + step))
        value = value * (1 + step * _vertex(below, here, above))
    return value, loss(value)


def search(candidate: Candidate, loss: Loss) -> tuple[KernelSpec, float]:
    """Kernel of least loss, and that loss; the same steps every time.

    The first two parameters, which may stand in for each other, are tried in all combinations; then all
    in turn, once over their values and once halfway to the neighbours.
    """
    state = candidate.start, loss(candidate.start)
    names = list(candidate.values)
    for combined in product(*(candidate.values[name] for name in names[:2])):
        state = _try(state, dict(zip(names, combined, strict=False)), loss)
    for name in names[2:] + names[:2] if len(names) > 2 else []:
        for value in candidate.values[name]:
            state = _try(state, {name: value}, loss)
    for name, values in candidate.values.items():
        for value in _halfway(getattr(state[0], name), values):
            state = _try(state, {name: value}, loss)
    return state


def _move_together(model: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
    """One Gauss-Newton step for a shift and a magnification that both views share."""
    gain = (model * views).sum((2, 3), keepdim=True) / (model**2).sum((2, 3), keepdim=True).clamp_min(1e-20)
    slopes = _slopes(model)
    scaled = slopes * gain
    normal = torch.einsum("anvij,bnvij->nab", scaled, scaled)
    target = torch.einsum("anvij,nvij->na", scaled, views - gain * model)
    ridge = 1e-9 * torch.eye(len(slopes)) * (1 + normal.diagonal(dim1=1, dim2=2).mean(1))[:, None, None]
    move = torch.linalg.solve(normal + ridge, target).clamp(-_LARGEST_SHIFT_PX, _LARGEST_SHIFT_PX)
    return move[:, :2], model + torch.einsum("na,anvij->nvij", move, slopes)


def _slopes(model: Tensor) -> Tensor:
    """Changes (3, n, 2, i, i) for one pixel down, one to the right, and one outwards at the edge."""
    down, right = (-gradient for gradient in torch.gradient(model, dim=(2, 3)))
    place = torch.linspace(-1, 1, model.shape[-1])
    return torch.stack([down, right, place[:, None] * down + place * right])


def _vertex(below: Tensor, here: Tensor, above: Tensor) -> Tensor:
    """Where the parabola through values at -1, 0, 1 is least, within -2..2; downhill where it is hollow."""
    bend, slope = below + above - 2 * here, (above - below) / 2
    place = -slope / bend.clamp_min(1e-12)
    return torch.where(bend > 0, place.clamp(-2, 2), -2 * slope.sign())


def _all(windows: Windows, coc_px: float) -> Tensor:
    return torch.full((len(windows.groups),), coc_px)


def _try(
    state: tuple[KernelSpec, float], update: Mapping[str, float], loss: Loss
) -> tuple[KernelSpec, float]:
    best, least = state
    changed = best.model_copy(update=dict(update))
    found = least if changed == best else loss(changed)
    return (changed, found) if found < least - _LEAST_GAIN else state


def _halfway(value: float, values: Sequence[float]) -> list[float]:
    if any(isinstance(one, int) for one in values):
        return []
    ordered = sorted({*values, value})
    place = ordered.index(value)
    return [(value + ordered[near]) / 2 for near in (place - 1, place + 1) if 0 <= near < len(ordered)]


def _draw(spec: KernelSpec, coc_px: Tensor) -> Tensor:
    return kernel_bank(spec, coc_px)[0]


def _correlate(model: Tensor, measured: Tensor) -> Tensor:
    """(2,) per view, on the measured kernel's grid."""
    margin = (measured.shape[-1] - model.shape[-1]) // 2
    pairs = torch.stack([F.pad(model, (margin,) * 4), measured]).flatten(2)
    a, b = pairs - pairs.mean(2, keepdim=True)
    return F.cosine_similarity(a, b, dim=1)
