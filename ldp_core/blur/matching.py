"""How well each circle of confusion explains two views: costs of candidates, and the best one per pixel.

If both views show the same sharp picture X through kernels k_l and k_r, then blurring each with the
kernel of the other gives the same picture twice:

    left * k_r = X * k_l * k_r = right * k_l.

The relative difference of the two sides is zero at the true circle of confusion whatever X is; no
shift needs to fit kernels that are not shifted copies of each other. The identity is that of
Punnappurath et al., ICCP 2020; the logarithmic, band-limited, windowed cost is our own.

Planes are (1, 1, h, w) float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.optics.kernels import KernelSpec, kernel_size, unit_psf
from ldp_core.signals import fast_size

# Figures as in `disparity`. Relative mismatch below which kernels, not noise, are to blame. .001 suits
# simulated pairs, whose kernels are known: .419, .0251. .01: .718, .0257.
_LEAST_MISMATCH: Final = 0.003
# Samples of a point spread function taken together, each way, to save time.
_POOLED: Final = 2
# Breaks ties: without texture all candidates cost the same, and the map goes to 0. 1e-3 changes no figure.
_REST: Final = 1e-5
_LEAST_PRECISION: Final = 1e-5
# Keeps periodic textures from a match one period too far; elsewhere 0 and 1 do as well.
_ATTENUATION_WEIGHT: Final = 0.5
# Least that a measurement may weigh against its neighbours. From .005 to .3 no figure changes.
_LEAST_EVIDENCE: Final = 0.05
# Log mismatch from which nothing is believed (37 % of the contrast unexplained), and to which all is (5 %).
# One unit more or less changes AI(1) by .001 px, .0001 at most.
_NO_MATCH: Final = -1.0
_CLEAR_MATCH: Final = -3.0


@dataclass(frozen=True, slots=True)
class Matcher:
    """What matching depends on besides the views. Lengths in pixels of the level it works on."""

    kernel: KernelSpec
    window_px: float
    """Standard deviation of the Gaussian window over which mismatch is gathered."""
    band_px: float
    """Only what varies faster than this Gaussian is compared."""

    def costs(
        self, left: Tensor, right: Tensor, coc_px: Tensor, *, noise: float
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Log relative mismatch for each circle of confusion, about -6 (match) to 0, and its attenuation.

        The attenuation is the log of the contrast that the cross blur takes away. On a periodic texture a
        circle too large by a period matches as well as the true one, but would have left no texture.

        Args:
            left, right: (1, 1, h, w).
            coc_px: (n,) signed diameters in pixels of this level.
            noise: standard deviation of one view's noise.

        Returns:
            Pairs of (1, 1, h, w).
        """
        margin = kernel_size(self.kernel, float(coc_px.abs().max())) // 2 + 1
        fine = [view - smooth(view, self.band_px) for view in (left, right)]
        seen = smooth(fine[0].square() + fine[1].square(), self.window_px) + 2 * noise**2
        views = _Spectra.of(*fine, margin=margin)
        for diameter in coc_px.tolist():
            transfer = sample_transfer(self.kernel, diameter, size=views.padded).to(left.device)
            a, b = views.cross_blur(transfer)
            noise_power = noise**2 * _power(transfer)
            mismatch = smooth((a - b).square(), self.window_px) + noise_power
            contrast = smooth(a.square() + b.square(), self.window_px) + noise_power
            yield (mismatch / contrast + _LEAST_MISMATCH).log(), (seen / contrast).log()


@dataclass(frozen=True, slots=True)
class Measurement:
    """A disparity per pixel with what speaks for it; all (1, 1, h, w).

    `precision` (1/px^2) is the curvature of the cost around `disparity_px`; `evidence` is the most
    that this measurement can weigh against its neighbours: the mean cost of all candidates less that of
    the best.
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

    `attenuation` (n, h, w) helps to choose among candidates; how well the chosen one matches is up to costs.
    """

    costs: Tensor
    attenuation: Tensor
    first_px: float
    step_px: float

    def measure(self, *, around: Tensor | None = None, coupling: float = 0.0) -> Measurement:
        """The best candidate of each pixel; with `coupling` (1/px^2), nearer to the map `around`."""
        steps = torch.arange(len(self.costs), device=self.costs.device, dtype=self.costs.dtype)
        candidates = (self.first_px + self.step_px * steps)[:, None, None]
        costs = self.costs + _ATTENUATION_WEIGHT * self.attenuation + _REST * candidates.square()
        if around is not None:
            costs += coupling * (candidates - around[0]).square()
        index = costs.argmin(0).clamp(1, len(costs) - 2)
        low, mid, high = (self.costs.gather(0, (index + k)[None])[None] for k in (-1, 0, 1))
        offset, precision = fit_parabola(low, mid, high, step_px=self.step_px)
        disparity = self.first_px + self.step_px * index + offset
        evidence = (self.costs.mean(0) - mid).clamp_min(_LEAST_EVIDENCE)
        return Measurement(disparity, discount_mismatch(precision, mid) + _LEAST_PRECISION, evidence)


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
    return Measurement(disparity, discount_mismatch(precision, best), evidence)


def fit_parabola(low: Tensor, mid: Tensor, high: Tensor, *, step_px: float) -> tuple[Tensor, Tensor]:
    """Offset of the minimum from the middle candidate (px, within a step) and curvature (1/px^2)."""
    # The mismatch itself is a parabola near its minimum; its logarithm has a cusp there.
    low_r, mid_r, high_r = low.exp(), mid.exp(), high.exp()
    bend = low_r + high_r - 2 * mid_r
    offset = (0.5 * (low_r - high_r) / bend.clamp_min(1e-6)).clamp(-1, 1) * step_px
    return offset, (low + high - 2 * mid).clamp_min(0) / step_px**2


def discount_mismatch(precision: Tensor, cost: Tensor) -> Tensor:
    """Precision that fades to 0 where even the best candidate leaves most of the contrast unexplained."""
    return precision * ((cost - _NO_MATCH) / (_CLEAR_MATCH - _NO_MATCH)).clamp(0, 1)


@dataclass(frozen=True, slots=True)
class _Spectra:
    """Both views in the frequency domain, padded by repeated borders."""

    left: Tensor
    right: Tensor
    shape: tuple[int, int]
    padded: tuple[int, int]
    margin: int

    @classmethod
    def of(cls, left: Tensor, right: Tensor, *, margin: int) -> _Spectra:
        height, width = left.shape[-2:]
        padded = fast_size(height, width, margin=2 * margin)
        first, second = (
            torch.fft.rfft2(F.pad(view, (margin,) * 4, mode="replicate")[0, 0], s=padded)
            for view in (left, right)
        )
        return cls(first, second, shape=(height, width), padded=padded, margin=margin)

    def cross_blur(self, transfer: Tensor) -> tuple[Tensor, Tensor]:
        """Left view under the right kernel, right view under the left one; (1, 1, h, w) each."""
        products = torch.stack([self.left * transfer[1], self.right * transfer[0]])
        rows, columns = (slice(self.margin, self.margin + n) for n in self.shape)
        a, b = torch.fft.irfft2(products, s=self.padded)[:, None, None, rows, columns]
        return a, b


def sample_transfer(kernel: KernelSpec, coc_px: float, *, size: tuple[int, int]) -> Tensor:
    """Transfer functions (2, h, w // 2 + 1) of both kernels, centred on pixel 0, for an (h, w) picture.

    Summed at the true frequencies: a kernel laid onto pixels first would shift fine detail too little.
    """
    psf = unit_psf(kernel)
    values = F.avg_pool2d(psf.values, _POOLED, divisor_override=1).to(torch.complex64)
    y, x = (F.avg_pool1d(axis[None], _POOLED)[0] * coc_px / 2 for axis in (psf.y, psf.x))
    rows = _waves(torch.fft.fftfreq(size[0], dtype=torch.float64), y)
    columns = _waves(torch.fft.rfftfreq(size[1], dtype=torch.float64), x)
    return rows @ values @ columns.mT


def _waves(frequency: Tensor, place: Tensor) -> Tensor:
    """exp(-2 pi i f x), (frequencies, places)."""
    angle = -2 * math.pi * torch.outer(frequency, place)
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)


def _power(transfer: Tensor) -> float:
    """Noise power that white noise of power 1 in both views leaves in the difference."""
    return 2 * float(transfer.abs().square().mean())


def smooth(plane: Tensor, sigma_px: float) -> Tensor:
    """Gaussian smoothing with repeated borders; the shape is kept."""
    kernel = _gaussian(sigma_px).to(plane)
    radius = len(kernel) // 2
    rows = F.conv2d(F.pad(plane, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    return F.conv2d(F.pad(rows, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))


def build_pyramid(plane: Tensor, *, levels: int) -> list[Tensor]:
    """The plane and `levels` halvings of it, rounded up: pixel i lies where pixel 2i lay."""
    planes = [plane]
    for _ in range(levels):
        planes.append(smooth(planes[-1], 1.0)[..., ::2, ::2])
    return planes


def enlarge(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """Twice the size, bilinear, on the grid that halving left: pixel i goes to pixel 2i."""
    height, width = size
    rows = _read_columns(plane.mT, torch.arange(height, device=plane.device) / 2).mT
    return _read_columns(rows, torch.arange(width, device=plane.device) / 2)


@lru_cache(maxsize=32)
def _gaussian(sigma_px: float) -> Tensor:
    radius = max(1, math.ceil(3 * sigma_px))
    weights = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * sigma_px**2))
    return weights / weights.sum()


def _read_columns(plane: Tensor, place: Tensor) -> Tensor:
    """Linear interpolation along the last axis at the given places, the border repeated."""
    last = plane.shape[-1] - 1
    low = place.long().clamp_max(last)
    return torch.lerp(plane[..., low], plane[..., (low + 1).clamp_max(last)], place - place.floor())
