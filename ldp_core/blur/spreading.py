"""Measurements spread edge-aware over a map: robust data, and total variation that edges loosen.

Every estimator that knows something in places and nothing between them uses this. The energy is minimised by
reweighted least squares; each round is solved by preconditioned conjugate gradients. The form and its
constants are our own choices. Maps are (..., h, w) float32; values are in pixels of disparity, or in
units that are brought to such.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ldp_core.blur.matching import Measurement

__all__ = ["EdgeWeights", "spread"]

# Figures as in `disparity`. Reweightings. One round: .706, .0317.
_ROUNDS: Final = 3
# Total variation is quadratic below this step. .003: .576, .0262. .05: .500, .0313.
_CORNER_PX: Final = 0.01
# Without them the system is singular where a pixel has neither a measurement nor a neighbour.
_LEAST_WEIGHT: Final = 1e-5
_LEAST_EDGE: Final = 0.01
_TINY: Final = 1e-30


def spread(
    measured: Measurement,
    edges: EdgeWeights,
    *,
    start: Tensor,
    smoothness: float,
    steps: int,
    robust: bool = True,
) -> Tensor:
    """Minimise, over the map v and from `start` on,

        sum E u / (1 + u),  u = precision (v - measured)^2 / E      E = evidence
        + smoothness sum edge |v_i - v_j|.

    A measurement outvotes its surroundings by its evidence at most, so wrong ones without support are
    overruled, and places without any take the value of what surrounds them.

    Args:
        steps: of the solver, in each round.
        robust: whether a measurement is doubted where it disagrees; else each is taken at its word.
    """
    values = start
    for _ in range(_ROUNDS):
        weight = _weigh(measured, values) if robust else measured.precision
        reweighted = edges.reweight(values, smoothness=smoothness)
        values = _solve(weight, measured.disparity_px, reweighted, start=values, steps=steps)
    return values


@dataclass(frozen=True, slots=True)
class EdgeWeights:
    """Weights between neighbouring pixels: `right` (..., h, w-1) and `below` (..., h-1, w)."""

    right: Tensor
    below: Tensor

    @classmethod
    def of(cls, guide: Tensor, *, edge: float) -> EdgeWeights:
        """About 1, falling as the guide (values 0..1) changes by `edge` and more."""
        right, below = (torch.exp(-guide.diff(dim=axis).abs() / edge) + _LEAST_EDGE for axis in (-1, -2))
        return cls(right, below)

    def reweight(self, values: Tensor, *, smoothness: float) -> EdgeWeights:
        """Weights whose squares of differences stand for total variation around `values`."""
        right, below = (
            weight * smoothness / (values.diff(dim=axis).square() + _CORNER_PX**2).sqrt()
            for weight, axis in ((self.right, -1), (self.below, -2))
        )
        return EdgeWeights(right, below)

    def add_laplacian(self, values: Tensor, onto: Tensor) -> Tensor:
        """Add the graph Laplacian of a map to another one, in place."""
        across, down = values.diff(dim=-1).mul_(self.right), values.diff(dim=-2).mul_(self.below)
        onto[..., :-1] -= across
        onto[..., 1:] += across
        onto[..., :-1, :] -= down
        onto[..., 1:, :] += down
        return onto

    def degree(self, like: Tensor) -> Tensor:
        """Sum of each pixel's weights."""
        out = torch.zeros_like(like)
        out[..., :-1] += self.right
        out[..., 1:] += self.right
        out[..., :-1, :] += self.below
        out[..., 1:, :] += self.below
        return out


def _weigh(measured: Measurement, values: Tensor) -> Tensor:
    """Precision, less where the measurement disagrees with `values` by more than its evidence allows."""
    residual = measured.precision * (values - measured.disparity_px).square() / measured.evidence
    return measured.precision / (1 + residual).square() + _LEAST_WEIGHT


def _solve(weight: Tensor, target: Tensor, edges: EdgeWeights, *, start: Tensor, steps: int) -> Tensor:
    """Minimise sum weight (v - target)^2 + sum edge (v_i - v_j)^2: Jacobi-preconditioned CG."""
    values = start.clone()
    scale = weight + edges.degree(weight)
    residual = weight * (target - values) - edges.add_laplacian(values, torch.zeros_like(values))
    direction = residual / scale
    energy = _dot(residual, direction)
    image, ahead = torch.empty_like(values), torch.empty_like(values)
    for _ in range(steps):
        edges.add_laplacian(direction, torch.mul(weight, direction, out=image))
        length = energy / (_dot(direction, image) + _TINY)
        values.add_(direction, alpha=length)
        residual.sub_(image, alpha=length)
        torch.div(residual, scale, out=ahead)
        next_energy = _dot(residual, ahead)
        direction.mul_(next_energy / (energy + _TINY)).add_(ahead)
        energy = next_energy
    return values


def _dot(one: Tensor, other: Tensor) -> float:
    return float(torch.dot(one.flatten(), other.flatten()))
