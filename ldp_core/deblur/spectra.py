"""Fourier transforms of pictures on a padded canvas that hides their edges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ldp_core.optics.fourier import irfft2, rfft2

__all__ = ["Canvas"]


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture of `height` x `width` mirrored outwards to a size that transforms fast."""

    height: int
    width: int
    top: int
    left: int
    rows: int
    columns: int

    @classmethod
    def around(cls, picture: Tensor, *, margin: int) -> Self:
        """A canvas for (..., h, w) pictures with at least `margin` px of mirror image on each side."""
        height, width = picture.shape[-2:]
        rows, columns = (int(next_fast_len(side + 2 * margin, True)) for side in (height, width))
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


def _mirror(length: int, *, before: int, total: int) -> Tensor:
    """Indices that continue 0..length-1 by reflection, edge pixels repeated, to `total` places."""
    place = (torch.arange(total) - before) % (2 * length)
    return torch.minimum(place, 2 * length - 1 - place)
