"""How badly a circle of confusion explains two views: the cross-blur mismatch.

If both views show the same sharp picture X through kernels k_l and k_r, then blurring each with the
kernel of the other gives the same picture twice:

    left * k_r = X * k_l * k_r = right * k_l.

The relative difference of the two sides is zero at the true circle of confusion whatever X is; no
shift needs to fit kernels that are not shifted copies of each other. The identity is that of
Punnappurath et al., ICCP 2020; the logarithmic, band-limited, windowed cost is our own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from ldp_core.blur.pyramid import smooth
from ldp_core.optics.kernels import KernelSpec, kernel_size, unit_psf

_FLOOR = 0.003
"""Relative mismatch below which kernels, not noise, are to blame."""
_POOL = 2
"""Samples of a point spread function taken together, each way."""


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
        """Log relative mismatch for each circle of confusion, about -6 (match) to 0, and its fading.

        Fading is the log of the contrast that the cross blur takes away. On a periodic texture a
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
            yield (mismatch / contrast + _FLOOR).log(), (seen / contrast).log()


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
        padded = (next_fast_len(height + 2 * margin, real=True), next_fast_len(width + 2 * margin, real=True))
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
    values = F.avg_pool2d(psf.values, _POOL, divisor_override=1).to(torch.complex64)
    y, x = (F.avg_pool1d(axis[None], _POOL)[0] * coc_px / 2 for axis in (psf.y, psf.x))
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
