"""Inversion of a spatially varying blur, level by level, with natural-image priors.

Two priors share the work. The spectrum of natural pictures falls with frequency: that makes the
Wiener filter. Their gradients are few and strong: half-quadratic splitting (Geman & Yang, IEEE TIP
1995) removes with it the ripples that a Wiener filter leaves beside edges. Both fade out where the
pair is in focus, so that sharp content passes unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch import Tensor

from ldp_core.signals import Canvas, interleave, join_parts, repeat_twice, unfold_rows

__all__ = ["Layer", "Penalty", "PulledLayer", "ViewSpectra", "add_inverse", "are_mirrored", "refine_edges"]

# Below about 1 px a kernel is narrower than the pixels: there is nothing to invert.
_IN_FOCUS_COC_PX: Final = 1.0
# Kernels are sums of thousands of float32: less than this part of their peak is rounding.
_ROUNDING: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Layer:
    """One level of blur: what the least-squares solution needs of it, in the Fourier domain.

    `weight` (h, w) is its share of each pixel; `adjoint` (c, rows, 2 * half) are the views through the
    adjoint of their kernels, interleaved; `power` (rows, 2 * half) is how much of a frequency they hold
    together, 0..2, each value twice.
    """

    coc_px: float
    weight: Tensor
    adjoint: Tensor
    power: Tensor

    @property
    def blurredness(self) -> float:
        """0 in focus .. 1 far out of it."""
        return self.coc_px**2 / (self.coc_px**2 + _IN_FOCUS_COC_PX**2)

    @property
    def rows(self) -> slice:
        """Rows of the picture that it has a share of."""
        held = self.weight.amax(1).nonzero()[:, 0]
        return slice(int(held[0]), int(held[-1]) + 1) if len(held) else slice(0, 0)


@dataclass(frozen=True, slots=True)
class Penalty:
    """Noise over signal at every frequency (rows, 2 * half): of the sensor, and of kernels known roughly."""

    noise: Tensor
    model: Tensor

    def at(self, layer: Layer) -> Tensor:
        return torch.add(self.noise, self.model, alpha=layer.blurredness)


@dataclass(frozen=True, slots=True)
class ViewSpectra:
    """Spectra of both views, and what the adjoint of mirrored kernels needs of them, computed once.

    `views` (2, c, rows, half); `total`: their sum, `turned`: their difference, right less left, times i,
    interleaved (c, rows, 2 * half).
    """

    views: Tensor
    total: Tensor
    turned: Tensor

    @classmethod
    def of(cls, views: Tensor) -> Self:
        left, right = views
        return cls(views, interleave(left + right), interleave((right - left).mul_(1j)))

    def apply_adjoint(self, canvas: Canvas, kernels: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor]:
        """Views through the adjoint of kernels that are known up to a few candidates.

        The least-squares solution over all candidates uses the mean transfer function but the mean
        *power*, which is larger wherever the candidates disagree: such frequencies are held back.

        Args:
            kernels: (n, 2, k, k) of the candidates.
            probabilities: (n,) of the candidates.

        Returns:
            `adjoint` and `power` of a `Layer`.
        """
        if are_mirrored(kernels):
            return self._apply_mirrored(canvas, kernels[:, 1], probabilities)
        transfers = canvas.transfer(kernels)
        mean = torch.einsum("n,nvij->vij", probabilities.to(transfers.dtype), transfers)
        power = torch.einsum("n,nvij->ij", probabilities, transfers.abs().square())
        return interleave(torch.einsum("vij,vcij->cij", mean.conj(), self.views)), repeat_twice(power)

    def _apply_mirrored(self, canvas: Canvas, right: Tensor, probabilities: Tensor) -> tuple[Tensor, Tensor]:
        """The same of candidates (n, k, k) of the right kernel: a quarter of the transfers, all real."""
        even, odd = canvas.mirrored_transfer(right)
        shares = probabilities[:, None, None]
        power = 2 * (shares * (even.square() + odd.square())).sum(0)
        gains = torch.stack([(shares * even).sum(0), (shares * odd).sum(0), power])
        even, odd, power = unfold_rows(gains, canvas.rows)
        return (self.total * even).addcmul_(self.turned, odd), power


def are_mirrored(kernels: Tensor) -> bool:
    """Whether left kernels mirror right ones, and all are even in y: (..., 2, k, k)."""
    left, right = kernels.unbind(-3)
    allowed = _ROUNDING * float(kernels.amax())
    return all(
        torch.allclose(one, other, rtol=0, atol=allowed)
        for one, other in ((left.flip(-1), right), (right.flip(-2), right))
    )


def add_inverse(
    restored: Tensor, canvas: Canvas, layer: Layer, penalty: Penalty, *, colour_strictness: float
) -> None:
    """Add a layer's part of the Wiener solution to a picture (c, h, w), in place.

    `colour_strictness` multiplies the penalty of all channels but the first.
    """
    rows, penalised = layer.rows, penalty.at(layer)
    weight = layer.weight[rows]
    for channels, strictness in ((slice(0, 1), 1.0), (slice(1, None), colour_strictness)):
        if len(adjoint := layer.adjoint[channels]):
            solved = adjoint / torch.add(layer.power, penalised, alpha=strictness)
            restored[channels, rows].addcmul_(weight, canvas.restore(join_parts(solved), rows))


@dataclass(frozen=True, slots=True)
class PulledLayer:
    """The first channel of a layer, drawn to given gradients: all that `refine_edges` keeps of it.

    `weight` is that of its `rows`; `unpulled` (1, rows, 2 * half) is its solution but for the gradients,
    `gain` (rows, 2 * half) how far it follows these.
    """

    rows: slice
    weight: Tensor
    unpulled: Tensor
    gain: Tensor

    @classmethod
    def of(cls, layer: Layer, penalty: Penalty, gradient_power: Tensor, *, stiffness: float) -> Self:
        """`gradient_power` (rows, 2 * half) holds each value twice; `stiffness` is against the views."""
        pull = stiffness * layer.blurredness
        penalised = penalty.at(layer).add_(layer.power).add_(gradient_power, alpha=pull)
        unpulled = layer.adjoint[:1] / penalised
        return cls(layer.rows, layer.weight[layer.rows], unpulled, penalised.reciprocal_().mul_(pull))


def refine_edges(
    canvas: Canvas, layers: Sequence[PulledLayer], picture: Tensor, *, threshold: float, rounds: int
) -> Tensor:
    """Solve again with gradients drawn to those of `picture` without the weak ones.

    Args:
        picture: (1, h, w) first solution, in 0..1.
        threshold: change per pixel below which a gradient counts as a ripple.

    Returns:
        (1, h, w)
    """
    for _ in range(rounds):
        edges = interleave(canvas.transform(_keep_strong_edges(picture, threshold=threshold)))
        picture = torch.zeros_like(picture)
        for layer in layers:
            solved = torch.addcmul(layer.unpulled, layer.gain, edges)
            picture[:, layer.rows].addcmul_(layer.weight, canvas.restore(join_parts(solved), layer.rows))
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
