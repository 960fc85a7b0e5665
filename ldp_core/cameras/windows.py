"""Windows of pairs as spectra: what a camera's kernels are fitted to where nobody measured them.

With X the sharp picture, the views are L = kL * X and R = kR * X, so that kR * L = kL * R whatever X is: in
every frequency the views tell kR / kL, and a blur common to both cancels. Where a truth is given, each view
is compared with the truth as that view's kernel blurs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final, Self

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from ldp_core.blur.disparity import equalise_gain
from ldp_core.cameras.profile import SensorFrame
from ldp_core.optics.kernels import UnitPsf
from ldp_core.optics.sensor import Transfer, decode_light
from ldp_core.signals import Canvas, difference_noise, rfft2

__all__ = ["WINDOW_PX", "Windows", "cut_windows", "transfer"]

WINDOW_PX: Final = 128
# Windows overlap by a quarter: Hann tapers leave little of their borders.
_STRIDE_PX: Final = 96
# Wider pictures are made smaller by a whole factor: a window must be much larger than the kernels. At 1344 px
# a Pixel 4's disparity per circle of confusion comes out 15 % too small at the sides, at 672 px within 3 %.
_WIDEST_PX: Final = 850
# In cycles per window. Below, the taper mixes what the kernels leave apart; above, little but noise is left
# of what is out of focus by 5 px or more.
_LOWEST: Final = 2.5
_HIGHEST: Final = 14
# Natural pictures fall as 1 / f in amplitude, and blur makes it steeper. Flattened, less of one frequency
# leaks into others through the taper.
_WHITENING: Final = 1.5
# Mismatch in parts of the power that tapers, depth within a window and transfer curves leave in any case.
_TOLERANCE: Final = 0.02
# Noise at low frequencies exceeds what differences of neighbours tell: demosaicing and compression pass it.
_LOW_NOISE: Final = 3.0
_LEAST_NOISE: Final = 0.3 / 255
_RINGS_PER_OCTAVE: Final = 3
_TINY: Final = 1e-9
# How far a truth may be displaced, and the steps in which that is sought; what is left is solved for.
_TRUTH_REACH_PX: Final = 8.0
_TRUTH_STEP_PX: Final = 0.5

_DOWN: Final = torch.arange(-_HIGHEST, _HIGHEST + 1)
_ACROSS: Final = torch.arange(_HIGHEST + 1)
_RADIUS: Final = torch.hypot(_DOWN[:, None].float(), _ACROSS[None, :].float())
_KEPT: Final = (_RADIUS >= _LOWEST) & (_RADIUS <= _HIGHEST) & ((_ACROSS > 0) | (_DOWN[:, None] > 0))
_FREQUENCY: Final = _RADIUS[_KEPT] / WINDOW_PX
_RING: Final = (_FREQUENCY.log2() * _RINGS_PER_OCTAVE).round().long()
_TURNS: Final = -2j * math.pi / WINDOW_PX


@dataclass(frozen=True, slots=True)
class Windows:
    """n windows at f frequencies.

    `spectra` (n, 2, f) of both views; `truth` (n, f) of the truth, or (n, 0) where the views stand alone;
    `weight` (n, f) one over the mismatch to be expected; `place` (n, 2) x and y in half widths of the
    frame; `picture` (n,) the number of their picture.
    """

    spectra: Tensor
    truth: Tensor
    weight: Tensor
    place: Tensor
    picture: Tensor

    def __len__(self) -> int:
        return len(self.place)

    def take(self, index: Tensor) -> Self:
        return type(self)(*(getattr(self, one.name)[index] for one in fields(self)))

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        return cls(*(torch.cat([getattr(part, one.name) for part in parts]) for one in fields(cls)))

    @property
    def power(self) -> Tensor:
        """(n,) of both views together, in what is to be expected as mismatch."""
        return (self.spectra.abs().square().sum(1) * self.weight).sum(1)

    @property
    def texture(self) -> Tensor:
        """(n,) the share of frequencies 0..1 in which more than noise is seen."""
        return (self.weight * self.spectra.abs().square().mean(1) * _TOLERANCE).clamp(0, 1).mean(1)

    def unexplained(self, transfers: Tensor) -> Tensor:
        """What kernels of these transfer functions (n, 2, f) leave of the windows, (n, r) real.

        Of two views it is what no sharp picture explains: at each frequency, the part across (kL, kR). With
        a truth it is what the blurred truth does not explain after its best displacement. The gain of each
        view is free in either case: an offset in the black level or stray light change it.
        """
        root = self.weight.sqrt()[:, None]
        if self.truth.shape[-1]:
            blurred = transfers * self.truth[:, None] * root
            nothing = torch.zeros_like(blurred[:, :1])
            gains = [torch.cat(side, 1) for side in ((blurred[:, :1], nothing), (nothing, blurred[:, 1:]))]
            slopes = [*gains, *(_TURNS * bins[_KEPT] * blurred for bins in _GRID)]
            rows = self.spectra * root - blurred
        else:
            norm = (transfers.abs().square().sum(1, keepdim=True) + _TINY).sqrt()
            right, left = (self.spectra.flip(1) * transfers * root / norm).unbind(1)
            rows, slopes = right - left, [right + left]
        return _project_out(_real(rows), torch.stack([_real(slope) for slope in slopes], -1))


def cut_windows(
    left: Tensor, right: Tensor, frame: SensorFrame, *, picture: int, truth: Tensor | None = None
) -> Windows:
    """All windows of a pair of grey views (1, 1, h, w) in 0..1, their axis along x; none of a tiny picture.

    Args:
        truth: the sharp picture, (1, 1, h, w); it may be displaced by 8 px and differ in gain.

    Raises:
        SettingsError: the picture is larger than the frame.
    """
    x, y = frame.places(*left.shape[-2:])
    light = [
        decode_light(one, Transfer.GAMMA_22) for one in (left, right, *([] if truth is None else [truth]))
    ]
    pictures = [*equalise_gain(*light[:2]), *light[2:]]
    reduction = math.ceil(left.shape[-1] / _WIDEST_PX)
    planes = torch.cat([avg_pool2d(one, reduction) for one in pictures])[:, 0]
    noise = max(difference_noise(planes[None, :1], planes[None, 1:2]), _LEAST_NOISE / reduction)
    canvas = Canvas.around(planes, margin=WINDOW_PX // 4)
    planes = canvas.restore(canvas.transform(planes) * (canvas.frequencies() / 2) ** _WHITENING)
    corners = [
        (top, side)
        for top in range(0, planes.shape[-2] - WINDOW_PX + 1, _STRIDE_PX)
        for side in range(0, planes.shape[-1] - WINDOW_PX + 1, _STRIDE_PX)
    ]
    cut = [planes[:, i : i + WINDOW_PX, j : j + WINDOW_PX] for i, j in corners]
    windows = torch.stack(cut) if cut else torch.zeros(0, len(planes), WINDOW_PX, WINDOW_PX)
    taper = torch.hann_window(WINDOW_PX)
    taper = taper[:, None] * taper[None, :]
    spectra = _keep(rfft2(windows * taper, (WINDOW_PX, WINDOW_PX))) if cut else _keep(windows + 0j)
    middle = [(reduction * (i + WINDOW_PX // 2), reduction * (j + WINDOW_PX // 2)) for i, j in corners]
    place = torch.tensor([[float(x[j]), float(y[i])] for i, j in middle]).reshape(-1, 2)
    views = spectra[:, :2]
    noise_power = _LOW_NOISE * noise**2 * taper.square().sum() * _FREQUENCY ** (2 * _WHITENING)
    weight = 1 / (noise_power + _TOLERANCE * _smooth_power(views))
    sharp = spectra[:, 2] if truth is not None else spectra[:, 0, :0]
    sharp = _align(sharp, views, weight) if truth is not None and corners else sharp
    return Windows(views, sharp, weight, place, torch.full((len(corners),), picture))


def transfer(psf: UnitPsf, coc_px: Tensor) -> Tensor:
    """Transfer functions (n, 2, f) of both views for signed diameters (n,), at the frequencies of windows."""
    down, across = (
        torch.exp(_TURNS / 2 * coc_px.float()[:, None, None] * (bins[:, None] * axis.float())[None])
        for bins, axis in ((_DOWN, psf.y), (_ACROSS, psf.x))
    )
    values = psf.values.to(torch.complex64)
    return torch.einsum("nym,vmk,nxk->nvyx", down, values, across)[:, :, _KEPT]


_GRID: Final = torch.meshgrid(_DOWN, _ACROSS, indexing="ij")


def _align(truth: Tensor, views: Tensor, weight: Tensor) -> Tensor:
    """The truth's spectra (n, f) with the displacement and gain at which they are most like the views."""
    steps = torch.arange(-_TRUTH_REACH_PX, _TRUTH_REACH_PX + _TRUTH_STEP_PX / 2, _TRUTH_STEP_PX)
    cross = (views.sum(1) * truth.conj()) * weight
    best = torch.full((len(truth),), -torch.inf)
    aligned = truth
    for dy in steps.tolist():
        turn = torch.exp(-_TURNS * (_GRID[0][_KEPT] * dy + _GRID[1][_KEPT] * steps[:, None]))
        match, index = (cross @ turn.T).real.max(1)
        better = match > best
        best = torch.where(better, match, best)
        aligned = torch.where(better[:, None], truth * turn[index].conj(), aligned)
    gain = (views.mean(1) * aligned.conj()).real.sum(1) / aligned.abs().square().sum(1).clamp_min(_TINY)
    return aligned * gain[:, None]


def _project_out(rows: Tensor, columns: Tensor) -> Tensor:
    """Rows (n, r) without what a sum of the columns (n, r, q) explains."""
    basis: Tensor = torch.linalg.qr(columns).Q
    return rows - (basis @ (basis.transpose(1, 2) @ rows[..., None]))[..., 0]


def _real(spectra: Tensor) -> Tensor:
    """(n, r) real and imaginary parts of (n, ..., f)."""
    return torch.view_as_real(spectra).flatten(1)


def _keep(spectra: Tensor) -> Tensor:
    """The kept frequencies (..., f) of half spectra (..., WINDOW_PX, WINDOW_PX // 2 + 1)."""
    low = spectra[..., : _HIGHEST + 1]
    return torch.cat([low[..., -_HIGHEST:, :], low[..., : _HIGHEST + 1, :]], -2)[..., _KEPT]


def _smooth_power(views: Tensor) -> Tensor:
    """Power (n, f) of one view, mean over rings of like frequency."""
    ring = _RING - _RING.min()
    power = torch.zeros(len(views), int(ring.max()) + 1).index_add_(1, ring, views.abs().square().mean(1))
    return (power / torch.bincount(ring))[:, ring]
