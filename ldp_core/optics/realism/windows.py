"""Windows of a flat target, seen sharp and seen defocused through both halves of the pixels.

Everything is compared within a band of spatial frequencies, so that neither shading nor noise counts:
windows are kept as the spectrum of the band-passed sharp picture and the band-passed views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ldp_core.errors import MetricError
from ldp_core.signals import irfft2, rfft2

INNER_PX = 144
MARGIN_PX = 40
SIDE_PX = INNER_PX + 2 * MARGIN_PX
REACH_PX = 6
_FINE_SIGMA_PX, _COARSE_SIGMA_PX = 1.0, 8.0


@dataclass(frozen=True, slots=True)
class Window:
    """`sharp` (s, s) and `views` (2, s, s), linear light 0..1, s = `SIDE_PX`.

    `x` and `y` are its place in the frame in half widths from the centre; windows of one `group` share
    a circle of confusion.
    """

    name: str
    group: str
    x: float
    y: float
    sharp: Tensor
    views: Tensor


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one camera. `spectra` (n, s, s // 2 + 1) of the sharp pictures; `views` (n, 2, i, i)."""

    names: tuple[str, ...]
    groups: tuple[str, ...]
    group_of: Tensor
    places: tuple[tuple[float, float], ...]
    spectra: Tensor
    views: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def blur(self, kernels: Tensor) -> Tensor:
        """Models (n, 2, i, i) of the views by kernels (n, 2, k, k)."""
        spectra = self.spectra[:, None] * rfft2(kernels, (SIDE_PX, SIDE_PX))
        return _inner(irfft2(spectra, (SIDE_PX, SIDE_PX)), delay=kernels.shape[-1] // 2)

    def moved(self, shift_px: Tensor) -> Windows:
        """With the sharp pictures moved by (n, 2) rows and columns."""
        rows, columns = (f(SIDE_PX) for f in (torch.fft.fftfreq, torch.fft.rfftfreq))
        turns = shift_px[:, 0, None, None] * rows[:, None] + shift_px[:, 1, None, None] * columns
        return replace(self, spectra=self.spectra * torch.exp(-2j * torch.pi * turns))

    def kept(self, chosen: Sequence[int]) -> Windows:
        """Only the windows of these indices."""
        groups = tuple(dict.fromkeys(self.groups[self.group_of[index]] for index in chosen))
        return Windows(
            names=tuple(self.names[index] for index in chosen),
            groups=groups,
            group_of=torch.tensor([groups.index(self.groups[self.group_of[index]]) for index in chosen]),
            places=tuple(self.places[index] for index in chosen),
            spectra=self.spectra[list(chosen)],
            views=self.views[list(chosen)],
        )

    def group_means(self, values: Tensor) -> Tensor:
        """Means (g,) per group of values (n,)."""
        sums = torch.zeros(len(self.groups)).index_add(0, self.group_of, values)
        return sums / torch.bincount(self.group_of, minlength=len(self.groups))


def stack_windows(windows: Sequence[Window]) -> Windows:
    """Windows of one camera, band-passed.

    Raises:
        MetricError: there are none.
    """
    if not windows:
        raise MetricError(
            "there is no window to compare the simulation with",
            expected="flat, textured parts of the photographs",
            remedy="check that pictures, defocus maps and their sizes belong together",
        )
    groups = tuple(dict.fromkeys(window.group for window in windows))
    views = _band_spectra(torch.stack([window.views for window in windows]))
    return Windows(
        names=tuple(window.name for window in windows),
        groups=groups,
        group_of=torch.tensor([groups.index(window.group) for window in windows]),
        places=tuple((window.x, window.y) for window in windows),
        spectra=_band_spectra(torch.stack([window.sharp for window in windows])),
        views=_inner(irfft2(views, (SIDE_PX, SIDE_PX))),
    )


def cut_window(sharp: Tensor, views: Tensor, *, top: int, left: int, window: Window) -> Window:
    """`window` filled from pictures (h, w) and (2, h, w), the sharp one moved by whole pixels to match."""
    seen = views[:, top : top + SIDE_PX, left : left + SIDE_PX]
    dy, dx = _whole_shift(sharp[top : top + SIDE_PX, left : left + SIDE_PX], seen.mean(0))
    rows, columns = slice(top - dy, top - dy + SIDE_PX), slice(left - dx, left - dx + SIDE_PX)
    return replace(window, sharp=sharp[rows, columns], views=seen)


def texture(picture: Tensor) -> float:
    """Standard deviation of a picture (s, s) within the band."""
    return float(_inner(irfft2(_band_spectra(picture), (SIDE_PX, SIDE_PX))).std())


def _whole_shift(sharp: Tensor, view: Tensor) -> tuple[int, int]:
    """Rows and columns, up to `REACH_PX`, by which the content of `view` lies beyond that of `sharp`."""
    spectra = _band_spectra(view) * _band_spectra(sharp).conj()
    lags = irfft2(spectra, (SIDE_PX, SIDE_PX)).roll((REACH_PX, REACH_PX), (0, 1))
    reach = 2 * REACH_PX + 1
    best = int(lags[:reach, :reach].argmax())
    return best // reach - REACH_PX, best % reach - REACH_PX


def _band_spectra(planes: Tensor) -> Tensor:
    rows, columns = torch.fft.fftfreq(SIDE_PX)[:, None], torch.fft.rfftfreq(SIDE_PX)[None]
    exponent = -2 * torch.pi**2 * (rows**2 + columns**2)
    band = torch.exp(exponent * _FINE_SIGMA_PX**2) - torch.exp(exponent * _COARSE_SIGMA_PX**2)
    return rfft2(planes.contiguous(), (SIDE_PX, SIDE_PX)) * band


def _inner(planes: Tensor, *, delay: int = 0) -> Tensor:
    start = MARGIN_PX + delay
    return planes[..., start : start + INNER_PX, start : start + INNER_PX]
