"""Inversion of a spatially varying blur, level by level, with natural-image priors.

Two priors share the work. The spectrum of natural pictures falls with frequency: that makes the
Wiener filter. Their gradients are few and strong: half-quadratic splitting (Geman & Yang, IEEE TIP
1995) removes with it the ripples that a Wiener filter leaves beside edges. Both fade out where the
pair is in focus, so that sharp content passes unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ldp_core.signals import Canvas

__all__ = ["Layer", "Penalty", "apply_adjoint", "invert_layers", "refine_edges"]

# Below about 1 px a kernel is narrower than the pixels: there is nothing to invert.
_IN_FOCUS_COC_PX: Final = 1.0


@dataclass(frozen=True, slots=True)
class Layer:
    """One level of blur: what the least-squares solution needs of it, in the Fourier domain.

    `weight` (h, w) is its share of each pixel; `adjoint` (c, rows, half) are the views through the
    adjoint of their kernels; `power` (rows, half) is how much of a frequency they hold together, 0..2.
    """

    coc_px: float
    weight: Tensor
    adjoint: Tensor
    power: Tensor

    @property
    def blurredness(self) -> float:
        """0 in focus .. 1 far out of it."""
        return self.coc_px**2 / (self.coc_px**2 + _IN_FOCUS_COC_PX**2)

    def take_channel(self, index: int) -> Layer:
        return Layer(self.coc_px, self.weight, self.adjoint[index : index + 1], self.power)


@dataclass(frozen=True, slots=True)
class Penalty:
    """Noise over signal at every frequency (rows, half): of the sensor, and of kernels known roughly."""

    noise: Tensor
    model: Tensor

    def at(self, layer: Layer) -> Tensor:
        return self.noise + layer.blurredness * self.model


def apply_adjoint(spectra: Tensor, transfers: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """Views through the adjoint of kernels that are known up to a few candidates.

    The least-squares solution over all candidates uses the mean transfer function but the mean
    *power*, which is larger wherever the candidates disagree: such frequencies are held back.

    Args:
        spectra: (2, c, rows, half) of the two views.
        transfers: (n, 2, rows, half) of the candidates.
        probabilities: (n,) of the candidates.

    Returns:
        `adjoint` (c, rows, half) and `power` (rows, half) of a `Layer`.
    """
    mean = torch.einsum("n,nvij->vij", probabilities.to(transfers.dtype), transfers)
    power = torch.einsum("n,nvij->ij", probabilities, transfers.abs().square())
    return torch.einsum("vij,vcij->cij", mean.conj(), spectra), power


def invert_layers(canvas: Canvas, layers: Sequence[Layer], penalty: Penalty, *, strictness: Tensor) -> Tensor:
    """Wiener solution (c, h, w); `strictness` (c, 1, 1) multiplies the penalty of each channel."""
    restored = layers[0].weight.new_zeros(layers[0].adjoint.shape[0], *layers[0].weight.shape)
    for layer in layers:
        solved = layer.adjoint / (layer.power + strictness * penalty.at(layer))
        restored += layer.weight * canvas.restore(solved)
    return restored


def refine_edges(
    canvas: Canvas,
    layers: Sequence[Layer],
    penalty: Penalty,
    picture: Tensor,
    *,
    threshold: float,
    stiffness: float,
    rounds: int,
) -> Tensor:
    """Solve again with gradients drawn to those of `picture` without the weak ones.

    Args:
        picture: (c, h, w) first solution, in 0..1.
        threshold: change per pixel below which a gradient counts as a ripple.
        stiffness: weight of the gradients against the views.

    Returns:
        (c, h, w)
    """
    gradient_power = canvas.gradient_power()
    for _ in range(rounds):
        edges = canvas.transform(_keep_strong_edges(picture, threshold=threshold))
        picture = torch.zeros_like(picture)
        for layer in layers:
            pull = stiffness * layer.blurredness
            solved = (layer.adjoint + pull * edges) / (
                layer.power + penalty.at(layer) + pull * gradient_power
            )
            picture += layer.weight * canvas.restore(solved)
    return picture


def _keep_strong_edges(picture: Tensor, *, threshold: float) -> Tensor:
    """Negative divergence of the soft-thresholded gradient, (c, h, w)."""
    down, across = torch.zeros_like(picture), torch.zeros_like(picture)
    down[:, :-1] = picture[:, 1:] - picture[:, :-1]
    across[:, :, :-1] = picture[:, :, 1:] - picture[:, :, :-1]
    keep = (1 - threshold / (torch.hypot(down, across) + 1e-8)).clamp_min(0)
    down, across = down * keep, across * keep
    divergence = down + across
    divergence[:, 1:] -= down[:, :-1]
    divergence[:, :, 1:] -= across[:, :, :-1]
    return -divergence
