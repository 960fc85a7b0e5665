"""Real two-dimensional Fourier transforms over the last two axes.

On a CPU SciPy's inverse is about three times as fast as torch's; where gradients or another device
are asked for, torch's are used. Both keep float32.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy import fft
from torch import Tensor


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


def _needs_torch(values: Tensor) -> bool:
    return values.requires_grad or values.device.type != "cpu"
