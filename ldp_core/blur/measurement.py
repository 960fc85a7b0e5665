"""From the costs of candidates to a measurement: a parabola at the minimum, and how far it reaches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ldp_core.blur.pyramid import enlarge

_LEAST_PRECISION = 1e-5
_REST = 1e-5
_FADING = 0.5
_LEAST_EVIDENCE = 0.05
_NO_MATCH = -1.0
_CLEAR_MATCH = -3.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """A disparity per pixel with what speaks for it; all (1, 1, h, w).

    `precision` (1/px^2) is the curvature of the cost around `disparity_px`; `evidence` is the most
    that this measurement can weigh against its neighbours: the cost of a candidate drawn by lot less
    that of the best.
    """

    disparity_px: Tensor
    precision: Tensor
    evidence: Tensor

    def join(self, other: Measurement) -> Measurement:
        """Two independent measurements of the same map as one."""
        precision = self.precision + other.precision
        mean = (self.precision * self.disparity_px + other.precision * other.disparity_px) / precision
        return Measurement(mean, precision, self.evidence + other.evidence)

    def enlarge(self, size: tuple[int, int]) -> Measurement:
        """Carried to the next finer grid, where four pixels share what one pixel knew."""
        parts = (self.disparity_px, self.precision / 4, self.evidence / 4)
        return Measurement(*(enlarge(part, size) for part in parts))


@dataclass(frozen=True, slots=True)
class CostVolume:
    """Costs (n, h, w) of n candidates, evenly spaced from `first_px` by `step_px`.

    `fading` (n, h, w) helps to choose among candidates; how well the chosen one matches is up to costs.
    """

    costs: Tensor
    fading: Tensor
    first_px: float
    step_px: float

    def measure(self, *, around: Tensor | None = None, pull: float = 0.0) -> Measurement:
        """The best candidate of each pixel, or the best once `pull` (1/px^2) draws it to `around`."""
        steps = torch.arange(len(self.costs), device=self.costs.device, dtype=self.costs.dtype)
        candidates = (self.first_px + self.step_px * steps)[:, None, None]
        costs = self.costs + _FADING * self.fading + _REST * candidates.square()
        if around is not None:
            costs += pull * (candidates - around[0]).square()
        index = costs.argmin(0).clamp(1, len(costs) - 2)
        low, mid, high = (self.costs.gather(0, (index + k)[None])[None] for k in (-1, 0, 1))
        offset, precision = fit_parabola(low, mid, high, step_px=self.step_px)
        disparity = self.first_px + self.step_px * index + offset
        evidence = (self.costs.mean(0) - mid).clamp_min(_LEAST_EVIDENCE)
        return Measurement(disparity, trust_match(precision, mid) + _LEAST_PRECISION, evidence)


def measure_near(
    costs: Iterable[Tensor], *, first_px: float, step_px: float, near: Tensor, reach_px: float
) -> Measurement:
    """The deepest minimum within `reach_px` of `near`, over costs that pass by one at a time.

    Precision is 0 where there is none.
    """
    disparity, precision = near, torch.zeros_like(near)
    best, total = torch.full_like(near, torch.inf), torch.zeros_like(near)
    window: list[Tensor] = []
    count = 0
    for count, cost in enumerate(costs, 1):
        total = total + cost
        window = [*window[-2:], cost]
        if len(window) < 3:
            continue
        low, mid, high = window
        place = first_px + step_px * (count - 2)
        better = (mid <= low) & (mid <= high) & (mid < best) & ((near - place).abs() <= reach_px)
        offset, curvature = fit_parabola(low, mid, high, step_px=step_px)
        best = torch.where(better, mid, best)
        disparity = torch.where(better, place + offset, disparity)
        precision = torch.where(better, curvature, precision)
    found = best.isfinite()
    best = torch.where(found, best, 0.0)
    evidence = torch.where(found, (total / max(count, 1) - best), 0.0).clamp_min(_LEAST_EVIDENCE)
    return Measurement(disparity, trust_match(precision, best), evidence)


def fit_parabola(low: Tensor, mid: Tensor, high: Tensor, *, step_px: float) -> tuple[Tensor, Tensor]:
    """Offset of the minimum from the middle candidate (px, within a step) and curvature (1/px^2)."""
    low_r, mid_r, high_r = low.exp(), mid.exp(), high.exp()
    bend = low_r + high_r - 2 * mid_r
    offset = (0.5 * (low_r - high_r) / bend.clamp_min(1e-6)).clamp(-1, 1) * step_px
    return offset, (low + high - 2 * mid).clamp_min(0) / step_px**2


def trust_match(precision: Tensor, cost: Tensor) -> Tensor:
    """Precision that fades to 0 where even the best candidate leaves most of the contrast unexplained."""
    return precision * ((cost - _NO_MATCH) / (_CLEAR_MATCH - _NO_MATCH)).clamp(0, 1)
