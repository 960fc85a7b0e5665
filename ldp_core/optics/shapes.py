"""Pieces that point spread functions are made of, on a grid in radii of the circle of confusion."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cover_disc(radius: Tensor, *, spacing: float) -> Tensor:
    """Coverage 0..1 of each sample cell by the unit disc; `radius` is the distance from its centre."""
    return ((1 - radius) / spacing + 0.5).clamp(0, 1)


def soft_edge(x: Tensor, *, softness: float) -> Tensor:
    """Ramp from 0 at -softness to 1 at +softness; its mirror image adds up to 1 with it."""
    half_width = max(softness, spacing_of(x) / 2)
    return (0.5 + x / (2 * half_width)).clamp(0, 1)


def smooth(values: Tensor, *, axis: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of samples (m, m) whose coordinates both ways are `axis` (m,); 0 leaves them."""
    if sigma == 0:
        return values
    weights = torch.exp(-((axis[:, None] - axis[None, :]) ** 2) / (2 * sigma**2))
    weights = weights / (sigma * math.sqrt(2 * math.pi)) * float(axis[1] - axis[0])
    return weights @ values @ weights.T


def centre_on_moments(values: Tensor, y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates y (m,), x (n,) in radii of the two views `values` (2, m, n), each summing to 1.

    Our own convention: the origin is midway between the two centroids, and the radius is that of the
    uniform disc with the second moment of both views together.
    """
    both = values.mean(0)
    y, x = y - both.sum(1) @ y, x - both.sum(0) @ x
    radius = math.sqrt(2 * float(both.sum(1) @ y**2 + both.sum(0) @ x**2))
    return y / radius, x / radius


def spacing_of(x: Tensor) -> float:
    """Distance of neighbouring samples of coordinates (1, m)."""
    return float(x[0, 1] - x[0, 0])
