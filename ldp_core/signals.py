"""Signal processing that methods share: Fourier transforms, canvases that hide edges, noise.

On a CPU SciPy's inverse transform is about three times as fast as torch's; where gradients or another
device are asked for, torch's are used. Both keep float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import torch
from scipy import fft
from torch import Tensor
from torch.nn.functional import conv2d

# Median of the absolute value of a normal distribution of deviation 1.
_MAD_OF_UNIT_NORMAL: Final = 0.6745
# The squares of the nine weights add up to 36: white noise keeps its deviation.
_LAPLACIAN: Final = torch.tensor([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6


def fast_size(height: int, width: int, *, margin: int = 0) -> tuple[int, int]:
    """The smallest rows and columns, at least ``margin`` larger than a picture, that transform fast."""
    rows, columns = (int(fft.next_fast_len(side + margin, real=True)) for side in (height, width))
    return rows, columns


def rfft2(planes: Tensor, size: Sequence[int]) -> Tensor:
    """Spectra (..., rows, columns // 2 + 1) of planes (..., h, w), zero-padded to ``size``."""
    if _needs_torch(planes):
        spectra: Tensor = torch.fft.rfft2(planes, s=list(size))
        return spectra
    return torch.from_numpy(fft.rfft2(planes.numpy(), s=tuple(size), workers=torch.get_num_threads()))


def irfft2(spectra: Tensor, size: Sequence[int]) -> Tensor:
    """Planes (..., rows, columns) of ``size`` from their spectra."""
    if _needs_torch(spectra):
        planes: Tensor = torch.fft.irfft2(spectra, s=list(size))
        return planes
    return torch.from_numpy(fft.irfft2(spectra.numpy(), s=tuple(size), workers=torch.get_num_threads()))


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture of ``height`` x ``width`` mirrored outwards to a size that transforms fast."""

    height: int
    width: int
    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def around(cls, picture: Tensor, *, margin: int) -> Self:
        """A canvas for (..., h, w) pictures with at least ``margin`` px of mirror image on each side."""
        height, width = picture.shape[-2:]
        rows, columns = fast_size(height, width, margin=2 * margin)
        return cls(height, width, (rows - height) // 2, (columns - width) // 2, rows, columns)

    def transform(self, pictures: Tensor) -> Tensor:
        """Half spectra (..., rows, columns // 2 + 1) of (..., h, w) pictures."""
        rows = _mirror(self.height, before=self.top, total=self.rows)
        columns = _mirror(self.width, before=self.left, total=self.columns)
        return rfft2(pictures[..., rows, :][..., columns], (self.rows, self.columns))

    def restore(self, spectra: Tensor) -> Tensor:
        """The (..., h, w) pictures of half spectra."""
        whole = irfft2(spectra, (self.rows, self.columns))
        return whole[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def transfer(self, kernels: Tensor) -> Tensor:
        """Transfer functions (..., rows, columns // 2 + 1) of centred (..., k, k) kernels, k odd."""
        size = kernels.shape[-1]
        spread = kernels.new_zeros((*kernels.shape[:-2], self.rows, self.columns))
        spread[..., :size, :size] = kernels
        centred = spread.roll((-(size // 2), -(size // 2)), (-2, -1))
        return rfft2(centred, (self.rows, self.columns))

    def frequencies(self) -> Tensor:
        """Radial frequency (rows, columns // 2 + 1) as a fraction of the Nyquist frequency of an axis."""
        down, across = torch.fft.fftfreq(self.rows), torch.fft.rfftfreq(self.columns)
        return 2 * torch.hypot(down[:, None], across[None, :])

    def gradient_power(self) -> Tensor:
        """|D_y|^2 + |D_x|^2 (rows, columns // 2 + 1) of the forward differences along both axes."""
        down, across = torch.fft.fftfreq(self.rows), torch.fft.rfftfreq(self.columns)
        power = [2 - 2 * torch.cos(2 * math.pi * axis) for axis in (down, across)]
        return power[0][:, None] + power[1][None, :]


def laplacian_noise(left: Tensor, right: Tensor) -> float:
    """Standard deviation of one view's noise, mean over channels; 0 below 3 x 3 pixels.

    The views differ by noise and by slow parallax; a difference of Laplacians (Immerkaer, CVIU 1996)
    passes the former, and the median ignores the edges where the latter still shows.

    Args:
        left, right: (c, h, w) in 0..1.
    """
    if min(left.shape[-2:]) < 3:
        return 0.0
    difference = (left - right)[:, None] / 2**0.5
    return _robust_deviation(conv2d(difference, _LAPLACIAN[None, None]).flatten(1))


def difference_noise(left: Tensor, right: Tensor) -> float:
    """The same from mixed differences of 2 x 2 pixels, which need no kernel; 0 below 2 x 2 pixels.

    `laplacian_noise` passes less parallax. Exchanging one for the other changes results in the last bits, so
    each method keeps its own.
    """
    mixed = (left - right).diff(dim=-1).diff(dim=-2)
    # Each value is a sum of four differences of two views: eight noises of one view.
    return _robust_deviation(mixed.reshape(1, -1)) / math.sqrt(8) if mixed.numel() else 0.0


def _robust_deviation(values: Tensor) -> float:
    """Standard deviation of noise (channels, n) by the median of its absolute value, mean over channels."""
    return float(values.abs().median(1).values.mean()) / _MAD_OF_UNIT_NORMAL


def _mirror(length: int, *, before: int, total: int) -> Tensor:
    """Indices that continue 0..length-1 by reflection, edge pixels repeated, to ``total`` places."""
    place = (torch.arange(total) - before) % (2 * length)
    return torch.minimum(place, 2 * length - 1 - place)


def _needs_torch(values: Tensor) -> bool:
    return values.requires_grad or values.device.type != "cpu"
