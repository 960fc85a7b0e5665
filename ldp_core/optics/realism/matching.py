"""How well kernels turn the sharp windows into what the camera saw.

Each view may differ from its model by a gain, both views together by a small shift and a change of
magnification (focus breathing); the disparity between them must come from the kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ldp_core.optics.kernels import KernelFamily, KernelSpec, kernel_bank
from ldp_core.optics.realism.windows import Windows

_LARGEST_SHIFT_PX = 1.5
_TRIAL_COC_PX = (1.0, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0, 12.5, 15.0, 18.0, 22.0, 26.0, 32.0)
_STEPS = (0.14, 0.05)
_SOFT = KernelSpec(softness=1.5)

Placed = Callable[[KernelSpec, float, float], KernelSpec]
"""A kernel at a place x, y of the frame."""


@dataclass(frozen=True, slots=True)
class Match:
    """Per window and view: `zncc` (n, 2) -1..1, `psnr_db` (n, 2) against full scale in linear light;
    per window `shift_px` (n, 2), rows and columns from the model to the camera."""

    zncc: Tensor
    psnr_db: Tensor
    shift_px: Tensor


def compare(model: Tensor, views: Tensor) -> Match:
    """Models (n, 2, i, i) against the camera's views of the same shape."""
    shift, moved = _move_together(model, views)
    product, power = (moved * views).sum((2, 3)), (moved**2).sum((2, 3)).clamp_min(1e-20)
    zncc = product / (power * (views**2).sum((2, 3))).sqrt()
    rest = views - (product / power)[..., None, None] * moved
    return Match(zncc, -10 * (rest**2).mean((2, 3)).clamp_min(1e-12).log10(), shift)


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
    trials = torch.stack([mismatch(windows, disc, _all(windows, coc)) for coc in _TRIAL_COC_PX])
    size = torch.tensor(_TRIAL_COC_PX)[trials.argmin(0)]
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


def _vertex(below: Tensor, here: Tensor, above: Tensor) -> Tensor:
    """Where the parabola through values at -1, 0, 1 is least, within -2..2; downhill where it is hollow."""
    bend, slope = below + above - 2 * here, (above - below) / 2
    place = -slope / bend.clamp_min(1e-12)
    return torch.where(bend > 0, place.clamp(-2, 2), -2 * slope.sign())


def _all(windows: Windows, coc_px: float) -> Tensor:
    return torch.full((len(windows.groups),), coc_px)
