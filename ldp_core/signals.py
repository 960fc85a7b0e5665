"""Signal processing that methods share: Fourier transforms, canvases that hide edges, noise.

On a CPU SciPy's inverse transform is about three times as fast as torch's; where gradients or another
device are asked for, torch's are used. Both keep float32. Torch multiplies a complex array by a real one by
making that complex too, which takes ten times as long as to multiply real and imaginary parts side by
side: so do `interleave` and `repeat_twice` lay them out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

import numpy as np
import torch
from scipy import fft
from torch import Tensor
from torch.nn.functional import pad

# Median of the absolute value of a normal distribution of deviation 1.
_MAD_OF_UNIT_NORMAL: Final = 0.6745
# The squares of the nine weights of a Laplacian, second differences along both axes, add up to 36.
_LAPLACIAN_GAIN: Final = 6.0


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


def irfft2_part(spectra: Tensor, size: Sequence[int], rows: slice, columns: slice) -> Tensor:
    """These rows and columns of `irfft2`; only rows that are kept are transformed along x."""
    if _needs_torch(spectra):
        whole: Tensor = torch.fft.irfft(torch.fft.ifft(spectra, dim=-2)[..., rows, :], n=size[1])
        return whole[..., columns]
    workers = torch.get_num_threads()
    lines = fft.ifft(spectra.numpy(), axis=-2, workers=workers)[..., rows, :]
    return torch.from_numpy(fft.irfft(lines, n=size[1], workers=workers)[..., columns])


def interleave(spectra: Tensor) -> Tensor:
    """Real and imaginary parts side by side: a view (..., 2 * half) of spectra (..., half)."""
    return torch.view_as_real(spectra).flatten(-2)


def join_parts(parts: Tensor) -> Tensor:
    """The inverse of `interleave`."""
    return torch.view_as_complex(parts.reshape(*parts.shape[:-1], -1, 2))


def repeat_twice(gains: Tensor) -> Tensor:
    """Real gains (..., half) for both parts of interleaved spectra: (..., 2 * half)."""
    return torch.stack((gains, gains), -1).flatten(-2)


def unfold_rows(plane: Tensor, rows: int) -> Tensor:
    """All rows of a plane (..., rows // 2 + 1, n) of a spectrum that is even in y."""
    return torch.cat([plane, plane[..., 1 : (rows + 1) // 2, :].flip(-2)], -2)


def mean_of_half(plane: Tensor, size: Sequence[int]) -> float:
    """Mean of a plane that is even in y, of which (rows // 2 + 1, n) are given."""
    twice = plane[1 : (size[0] + 1) // 2]
    return float(plane.sum() + twice.sum()) / (size[0] * plane.shape[-1])


def waves_at(frequencies: Tensor, size: int) -> Tensor:
    """Phases 2 pi f x, (n, size) float64, of frequencies (n,) in 1/px at pixels about the middle one."""
    pixels = torch.arange(size, dtype=torch.float64) - size // 2
    return 2 * math.pi * torch.outer(frequencies, pixels)


def spread_maxima(planes: Tensor, radii_px: Sequence[int]) -> Iterator[Tensor]:
    """The largest value within each radius of each pixel of (..., h, w): windows are squares.

    Each window is put together from two or three of the one before, so radii must ascend, each at most
    one more than twice the one before; the first is 1.
    """
    height, width = planes.shape[-2:]
    found = _repeat_borders(planes, radii_px[-1])
    for before, radius_px in pairwise((0, *radii_px)):
        for axis in (-1, -2):
            found = _larger_of_shifts(found, axis, radius_px - before, reach=before)
        margin = (found.shape[-1] - width) // 2
        yield found[..., margin : margin + height, margin : margin + width]


def _larger_of_shifts(planes: Tensor, axis: int, step: int, *, reach: int) -> Tensor:
    length = planes.shape[axis] - 2 * step
    larger = torch.maximum(planes.narrow(axis, 0, length), planes.narrow(axis, 2 * step, length))
    return torch.maximum(larger, planes.narrow(axis, step, length)) if step > reach else larger


def _repeat_borders(planes: Tensor, margin: int) -> Tensor:
    flat = planes.reshape(1, -1, *planes.shape[-2:])
    padded = pad(flat, (margin,) * 4, mode="replicate")
    return padded.reshape(*planes.shape[:-2], *padded.shape[-2:])


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
        wide = _mirror_out(pictures, -1, before=self.left, total=self.columns)
        return rfft2(_mirror_out(wide, -2, before=self.top, total=self.rows), (self.rows, self.columns))

    def restore(self, spectra: Tensor, rows: slice = slice(None)) -> Tensor:
        """The (..., h, w) pictures of half spectra; only these rows of them, where given."""
        first, last, _ = rows.indices(self.height)
        kept, width = slice(self.top + first, self.top + last), slice(self.left, self.left + self.width)
        return irfft2_part(spectra, (self.rows, self.columns), kept, width)

    def transfer(self, kernels: Tensor) -> Tensor:
        """Transfer functions (..., rows, columns // 2 + 1) of centred (..., k, k) kernels, k odd.

        Summed along one axis after the other, which takes less than to transform a whole canvas.
        """
        down, across = (
            torch.polar(torch.ones_like(phases), -phases).to(kernels.device, torch.complex64)
            for phases in (waves_at(axis, kernels.shape[-1]) for axis in self._axes())
        )
        return down @ (kernels.to(torch.complex64) @ across.mT)

    def mirrored_transfer(self, kernels: Tensor) -> tuple[Tensor, Tensor]:
        """A and B of centred (..., k, k) kernels that are even in y, for interleaved spectra.

        The transfer function is A - iB, that of the kernels mirrored in x A + iB, and both are even in y:
        (..., rows // 2 + 1, 2 * half).
        """
        half = kernels.shape[-1] // 2
        folded = torch.cat([kernels[..., half : half + 1, :], 2 * kernels[..., half + 1 :, :]], -2)
        rows, columns = self._axes()
        down, across = (waves_at(axis, kernels.shape[-1]) for axis in (rows, columns.repeat_interleave(2)))
        lines = down[: self.rows // 2 + 1, half:].cos().to(kernels)
        even, odd = (folded @ wave.mT.to(kernels) for wave in (across.cos(), across.sin()))
        return lines @ even, lines @ odd

    def _axes(self) -> tuple[Tensor, Tensor]:
        """Frequencies in 1/px of the rows and of the columns of spectra."""
        rows = torch.fft.fftfreq(self.rows, dtype=torch.float64)
        return rows, torch.fft.rfftfreq(self.columns, dtype=torch.float64)

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
    laplacian = (left - right).diff(n=2, dim=-1).diff(n=2, dim=-2)
    return _robust_deviation(laplacian.flatten(1)) / (_LAPLACIAN_GAIN * math.sqrt(2))


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
    middle = (values.shape[1] - 1) // 2
    sorted_so_far = np.partition(values.abs().numpy(force=True), middle, axis=1)
    return float(sorted_so_far[:, middle].mean()) / _MAD_OF_UNIT_NORMAL


def _mirror_out(pictures: Tensor, axis: int, *, before: int, total: int) -> Tensor:
    """Pictures continued along an axis by reflection to ``total`` places."""
    length = pictures.shape[axis]
    after = total - before - length
    if max(before, after) > length:
        places = _mirror(length, before=before, total=total)
        return pictures.index_select(axis, places.to(pictures.device))
    first, last = pictures.narrow(axis, 0, before), pictures.narrow(axis, length - after, after)
    return torch.cat([first.flip(axis), pictures, last.flip(axis)], axis)


def _mirror(length: int, *, before: int, total: int) -> Tensor:
    """Indices that continue 0..length-1 by reflection, edge pixels repeated, to ``total`` places."""
    place = (torch.arange(total) - before) % (2 * length)
    return torch.minimum(place, 2 * length - 1 - place)


def _needs_torch(values: Tensor) -> bool:
    return values.requires_grad or values.device.type != "cpu"
