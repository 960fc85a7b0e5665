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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from ldp_core.optics.kernels import KernelSpec, kernel_size, unit_psf
from ldp_core.signals import (
    fast_size,
    interleave,
    irfft2_part,
    join_parts,
    mean_of_half,
    rfft2,
    unfold_rows,
)

# Figures as in `disparity`. Relative mismatch below which kernels, not noise, are to blame. .001 suits
# simulated pairs, whose kernels are known: .419, .0251. .01: .718, .0257.
_LEAST_MISMATCH: Final = 0.003
# Samples of a point spread function taken together, each way, to save time.
_POOLED: Final = 2
# Breaks ties: without texture all candidates cost the same, and the map goes to 0. 1e-3 changes no figure.
_REST: Final = 1e-5
_LEAST_PRECISION: Final = 1e-5
# Less than this part of the peak of a point spread function is rounding.
_ROUNDING: Final = 1e-6
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
            a, b, power = views.cross_blur(self.kernel, diameter)
            noise_power = noise**2 * power
            mismatch = smooth((a - b).square_(), self.window_px).add_(noise_power)
            contrast = smooth(a.square_().add_(b.square_()), self.window_px).add_(noise_power)
            yield mismatch.div_(contrast).add_(_LEAST_MISMATCH).log_(), torch.div(seen, contrast).log_()


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
    infinite = torch.full_like(near, torch.inf)
    below, best, above, place_px = infinite, infinite, infinite, near
    total = torch.zeros_like(near)
    window: list[Tensor] = []
    count = 0
    for count, cost in enumerate(costs, 1):
        total.add_(cost)
        window = [*window[-2:], cost]
        if len(window) < 3:
            continue
        low, mid, high = window
        place = first_px + step_px * (count - 2)
        better = (mid <= low) & (mid <= high) & (mid < best) & ((near - place).abs_() <= reach_px)
        below, best, above = (
            torch.where(better, *pair) for pair in ((low, below), (mid, best), (high, above))
        )
        place_px = torch.where(better, place, place_px)
    found = best.isfinite()
    below, best, above = (torch.where(found, cost, 0.0) for cost in (below, best, above))
    offset, curvature = fit_parabola(below, best, above, step_px=step_px)
    evidence = torch.where(found, (total / max(count, 1) - best), 0.0).clamp_min(_LEAST_EVIDENCE)
    return Measurement(place_px + offset, discount_mismatch(curvature, best), evidence)


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
    """Both views in the frequency domain, padded by repeated borders.

    `turned`: the left one times -i, the right one times i.
    """

    views: Tensor
    turned: Tensor
    shape: tuple[int, int]
    padded: tuple[int, int]
    margin: int

    @classmethod
    def of(cls, left: Tensor, right: Tensor, *, margin: int) -> _Spectra:
        height, width = left.shape[-2:]
        padded = fast_size(height, width, margin=2 * margin)
        planes = torch.cat([F.pad(view, (margin,) * 4, mode="replicate")[0] for view in (left, right)])
        views = rfft2(planes, padded)
        turned = torch.stack([views[0] * -1j, views[1] * 1j])
        return cls(views, turned, shape=(height, width), padded=padded, margin=margin)

    def cross_blur(self, kernel: KernelSpec, coc_px: float) -> tuple[Tensor, Tensor, float]:
        """Left view under the right kernel, right view under the left one; (1, 1, h, w) each.

        With them the noise power that white noise of power 1 in both views leaves in their difference.
        """
        if (half := _half_psf(kernel)) is None:
            transfer = sample_transfer(kernel, coc_px, size=self.padded).to(self.views.device)
            products, power = self.views * transfer.flip(0), 2 * float(transfer.abs().square().mean())
        else:
            even, odd = (plane.to(self.views.device) for plane in half.sample(coc_px, size=self.padded))
            whole = [unfold_rows(plane, self.padded[0]) for plane in (even, odd)]
            parts = (interleave(self.views) * whole[0]).addcmul_(interleave(self.turned), whole[1])
            products, power = join_parts(parts), 2 * mean_of_half(even.square() + odd.square(), self.padded)
        rows, columns = (slice(self.margin, self.margin + n) for n in self.shape)
        a, b = irfft2_part(products, self.padded, rows, columns)[:, None, None]
        return a, b, power


@dataclass(frozen=True, slots=True)
class _HalfPsf:
    """A point spread function that the left view mirrors and that is even in y: the right one, folded.

    `values` (m / 2, m) of samples at `y` > 0 and `x`, in radii.
    """

    values: Tensor
    y: Tensor
    x: Tensor

    def sample(self, coc_px: float, *, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """A and B for interleaved spectra: transfer functions are A - iB, right, and A + iB, left.

        Each is (h // 2 + 1, 2 * half).
        """
        down = torch.arange(size[0] // 2 + 1, dtype=torch.float64) / size[0]
        rows = _phases(down, self.y * coc_px / 2).cos().float() @ self.values
        across = torch.fft.rfftfreq(size[1], dtype=torch.float64).repeat_interleave(2)
        columns = _phases(across, self.x * coc_px / 2)
        return rows @ columns.cos().float().mT, rows @ columns.sin().float().mT


@lru_cache(maxsize=32)
def _half_psf(kernel: KernelSpec) -> _HalfPsf | None:
    """None where the views do not mirror each other, or are not even in y."""
    values, y, x = _pool_psf(kernel)
    half, tolerance = len(y) // 2, _ROUNDING * float(values.max())
    mirrored = (
        ((values[0].flip(-1), values[1]), (values[1].flip(-2), values[1]))
        if len(y) % 2 == 0 and torch.allclose(y.flip(0), -y) and torch.allclose(x.flip(0), -x)
        else ()
    )
    if not mirrored or not all(torch.allclose(*pair, rtol=0, atol=tolerance) for pair in mirrored):
        return None
    return _HalfPsf((2 * values[1, half:]).float(), y[half:], x)


def _pool_psf(kernel: KernelSpec) -> tuple[Tensor, Tensor, Tensor]:
    """Values (2, m, m), y (m,) and x (m,), in radii, of samples taken together."""
    psf = unit_psf(kernel)
    values = F.avg_pool2d(psf.values, _POOLED, divisor_override=1)
    y, x = (F.avg_pool1d(axis[None], _POOLED)[0] for axis in (psf.y, psf.x))
    return values, y, x


def sample_transfer(kernel: KernelSpec, coc_px: float, *, size: tuple[int, int]) -> Tensor:
    """Transfer functions (2, h, w // 2 + 1) of both kernels, centred on pixel 0, for an (h, w) picture.

    Summed at the true frequencies: a kernel laid onto pixels first would shift fine detail too little.
    """
    values, y, x = _pool_psf(kernel)
    rows = _waves(torch.fft.fftfreq(size[0], dtype=torch.float64), y * coc_px / 2)
    columns = _waves(torch.fft.rfftfreq(size[1], dtype=torch.float64), x * coc_px / 2)
    return rows @ values.to(torch.complex64) @ columns.mT


def _waves(frequency: Tensor, place: Tensor) -> Tensor:
    """exp(-2 pi i f x), (frequencies, places)."""
    phases = _phases(frequency, place)
    return torch.polar(torch.ones_like(phases), -phases).to(torch.complex64)


def _phases(frequency: Tensor, place: Tensor) -> Tensor:
    return 2 * math.pi * torch.outer(frequency, place)


def smooth(plane: Tensor, sigma_px: float) -> Tensor:
    """Gaussian smoothing with repeated borders; the shape is kept."""
    middle, *weights = _gaussian(sigma_px)
    for axis in (-1, -2):
        plane = _smooth_along(plane, axis, middle, weights)
    return plane


def _smooth_along(plane: Tensor, axis: int, middle: float, weights: Sequence[float]) -> Tensor:
    """Sums of shifted planes: on a CPU they take a third of the time of a convolution of one channel."""
    radius, length = len(weights), plane.shape[axis]
    margins = (radius, radius, 0, 0) if axis == -1 else (0, 0, radius, radius)
    padded = F.pad(plane, margins, mode="replicate")
    smoothed = plane * middle
    for distance, weight in enumerate(weights, 1):
        before, after = (padded.narrow(axis, radius + off, length) for off in (-distance, distance))
        smoothed.add_(before + after, alpha=weight)
    return smoothed


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
def _gaussian(sigma_px: float) -> tuple[float, ...]:
    """Weights of the middle and of one side, at distances of 1, 2 ... px."""
    radius = max(1, math.ceil(3 * sigma_px))
    weights = torch.exp(-(torch.arange(-radius, radius + 1.0) ** 2) / (2 * sigma_px**2))
    return tuple((weights / weights.sum())[radius:].tolist())


def _read_columns(plane: Tensor, place: Tensor) -> Tensor:
    """Linear interpolation along the last axis at the given places, the border repeated."""
    last = plane.shape[-1] - 1
    low = place.long().clamp_max(last)
    return torch.lerp(plane[..., low], plane[..., (low + 1).clamp_max(last)], place - place.floor())
