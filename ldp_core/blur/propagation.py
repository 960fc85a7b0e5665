"""Edge-aware spreading of measurements: robust data, total variation loosened along edges of a guide.

    minimise  sum E u / (1 + u),  u = precision (v - measured)^2 / E      E = evidence
            + smoothness sum bond |v_i - v_j|

by reweighted least squares; each round is solved by preconditioned conjugate gradients. A
measurement can outvote its surroundings by its evidence at most, so wrong matches without support
are overruled, and places without texture take the value of what surrounds them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ldp_core.blur.measurement import Measurement

_CORNER_PX = 0.01
_LEAST_WEIGHT = 1e-5
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Bonds:
    """How strongly neighbours are held together: `right` (..., h, w-1) and `below` (..., h-1, w)."""

    right: Tensor
    below: Tensor

    def loosen(self, values: Tensor, *, smoothness: float) -> Bonds:
        """Quadratic bonds that stand for total variation around `values`."""
        right, below = (
            bond * smoothness / (values.diff(dim=axis).square() + _CORNER_PX**2).sqrt()
            for bond, axis in ((self.right, -1), (self.below, -2))
        )
        return Bonds(right, below)

    def pull(self, values: Tensor) -> Tensor:
        """The graph Laplacian applied to a map."""
        across, down = self.right * values.diff(dim=-1), self.below * values.diff(dim=-2)
        out = torch.zeros_like(values)
        out[..., :-1] -= across
        out[..., 1:] += across
        out[..., :-1, :] -= down
        out[..., 1:, :] += down
        return out

    def degree(self, like: Tensor) -> Tensor:
        """Sum of each pixel's bonds."""
        out = torch.zeros_like(like)
        out[..., :-1] += self.right
        out[..., 1:] += self.right
        out[..., :-1, :] += self.below
        out[..., 1:, :] += self.below
        return out


def bond_by_guide(guide: Tensor, *, edge: float, floor: float = 0.01) -> Bonds:
    """Bonds of about 1 that weaken to `floor` as the guide (values 0..1) changes by `edge` and more."""
    right, below = (torch.exp(-guide.diff(dim=axis).abs() / edge) + floor for axis in (-1, -2))
    return Bonds(right, below)


def propagate(
    measured: Measurement,
    bonds: Bonds,
    *,
    start: Tensor,
    smoothness: float,
    rounds: int,
    steps: int,
    robust: bool = True,
) -> Tensor:
    """The map (1, 1, h, w) that follows measurements and bonds best, from `start` on.

    Args:
        smoothness: cost of a step of one pixel of disparity along one pixel of contour.
        rounds, steps: reweightings, and steps of the linear solver in each.
        robust: bound each measurement by its evidence; otherwise they are all taken at their word.
    """
    values = start
    for _ in range(rounds):
        weight = _weigh(measured, values) if robust else measured.precision
        held = bonds.loosen(values, smoothness=smoothness)
        values = _solve(weight, measured.disparity_px, held, start=values, steps=steps)
    return values


def _weigh(measured: Measurement, values: Tensor) -> Tensor:
    """Precision, less where the measurement disagrees with `values` by more than its evidence allows."""
    strain = measured.precision * (values - measured.disparity_px).square() / measured.evidence
    return measured.precision / (1 + strain).square() + _LEAST_WEIGHT


def _solve(weight: Tensor, target: Tensor, bonds: Bonds, *, start: Tensor, steps: int) -> Tensor:
    """Minimise sum weight (v - target)^2 + sum bond (v_i - v_j)^2: Jacobi-preconditioned CG."""
    values = start
    scale = weight + bonds.degree(weight)
    residual = weight * (target - values) - bonds.pull(values)
    direction = residual / scale
    energy = (residual * direction).sum()
    for _ in range(steps):
        image = weight * direction + bonds.pull(direction)
        length = energy / ((direction * image).sum() + _TINY)
        values = values + length * direction
        residual = residual - length * image
        ahead = residual / scale
        next_energy = (residual * ahead).sum()
        direction = ahead + next_energy / (energy + _TINY) * direction
        energy = next_energy
    return values
