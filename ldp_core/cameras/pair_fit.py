"""A lens model from pairs, fitted to what their windows leave unexplained.

In every window the circle of confusion is free, and where a truth is given so are its gain and displacement;
the lens is common to all. Windows count by the logarithm of the share that stays unexplained, so that those
with two depths or little texture do not rule. Where the pairs say nothing a parameter stays near that of a
generic lens: each has a prior. Gauss-Newton with what is free per window projected out (variable projection,
Golub and Pereyra 1973).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ldp_core.cameras.pupil import PupilModel, pupil_psf
from ldp_core.cameras.windows import WINDOW_PX, Windows, transfer
from ldp_core.errors import SettingsError
from ldp_core.optics.kernels import UnitPsf

__all__ = ["GENERIC_LENS", "PRIOR", "PairFit", "fit_pairs"]

_Floats = NDArray[np.float64]

GENERIC_LENS: Final = PupilModel()
PRIOR: Final[Mapping[str, float]] = MappingProxyType(
    {
        "softness": 0.5,
        "crosstalk": 0.1,
        "crosstalk_growth": 0.15,
        "shift": 0.4,
        "ring": 0.4,
        "ring_growth": 0.4,
        "coma": 0.6,
        "stretch": 0.15,
        "spread": 0.15,
    }
)
"""What is fitted, and how far a lens may lie from the generic one: a standard deviation each. Those fitted to
a Pixel 4 and two Canon lenses lie within 1.3 of them. The rim, common to both views, is not fitted."""

# Circles of confusion that are tried, in px of a window; the sign is that of the blur map.
_TRIED_PX: Final = (4.0, 5.5, 7.5, 10.0, 13.5, 18.0, 24.0, 30.0, 36.0)
_LEAST_COC_PX: Final = 4.0
_LARGEST_COC_PX: Final = 0.3 * WINDOW_PX
# Windows are used of which this share is unexplained at most, and at most so much of what focus leaves.
_MOST_UNEXPLAINED: Final = 0.35
_OF_FOCUS: Final = 0.7
# Less texture, and a window tells nothing.
_LEAST_TEXTURE: Final = 0.25
_LEAST_WINDOWS: Final = 16
# Beyond so many windows, evenly chosen, the interval over pictures no longer narrows.
_MOST_WINDOWS: Final = 400
# Windows overlap, frequencies leak into each other, and a model of few numbers is never quite right: a
# window counts as so many independent figures, though it has hundreds.
_FIGURES: Final = 4.0
# Of the share unexplained, what counts as fully explained.
_FLOOR: Final = 0.01
# Blocks of the frame that share kernels, per half width: these change by less than 1 % within one.
_BLOCKS: Final = 6
# A window's frequencies see no finer: 48 give the same parameters within .01 for twice the time.
_SAMPLES: Final = 32
_STEP: Final = 0.02
_ROUNDS: Final = 8
_DAMPING: Final = (1e-3, 1e-2, 0.1, 1.0)
_LEAST_GAIN: Final = 0.2
_DRAWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A parameter with its 95 % interval over pictures (null: there is one picture), and the share of it
    that the pairs decide, 0..1: the rest is the prior's."""

    value: float
    low: float | None
    high: float | None
    told: float


@dataclass(frozen=True, slots=True)
class PairFit:
    """A fitted lens. Shares unexplained are medians over windows, for the generic lens and for this one."""

    model: PupilModel
    estimates: dict[str, Estimate]
    windows: int
    pictures: int
    unexplained_before: float
    unexplained_after: float


def fit_pairs(windows: Windows, *, prior: Mapping[str, float] = PRIOR) -> PairFit:
    """The lens that explains the windows of a camera's pairs best.

    Raises:
        SettingsError: too few windows have texture and are out of focus.
    """
    with torch.inference_mode():
        windows, coc_px = _choose(windows)
        fit = _Fit(windows, prior)
        coc_px, before = fit.refine(GENERIC_LENS, coc_px, span=0.3)
        model, coc_px, normal = fit.solve(coc_px)
        after = fit.refine(model, coc_px, span=0.05)[1]
    return PairFit(
        model,
        normal.estimates(fit.values_of(model), fit.deviations, windows.picture, tuple(prior)),
        windows=len(windows),
        pictures=len(set(windows.picture.tolist())),
        unexplained_before=round(float(before.median()), 4),
        unexplained_after=round(float(after.median()), 4),
    )


@dataclass(frozen=True, slots=True)
class _Normal:
    """Normal equations by window: `curvature` (n, p, p) and `slope` (n, p) at the solution, data alone."""

    curvature: Tensor
    slope: Tensor

    def total(self, picture: Tensor) -> tuple[_Floats, _Floats]:
        """Sums by picture, (k, p, p) and (k, p)."""
        numbers = sorted(set(picture.tolist()))
        parts = [(self.curvature[picture == k].sum(0), self.slope[picture == k].sum(0)) for k in numbers]
        curvature, slope = (torch.stack(side).numpy() for side in zip(*parts, strict=True))
        return curvature, slope

    def estimates(
        self, values: _Floats, deviations: _Floats, picture: Tensor, names: tuple[str, ...]
    ) -> dict[str, Estimate]:
        """One Gauss-Newton step from the solution for every draw of pictures; of one picture no interval."""
        curvature, slope = self.total(picture)
        prior = np.diag(deviations**-2)
        offset = values - _values_of(GENERIC_LENS, names)
        told = 1 - np.diag(np.linalg.inv(curvature.sum(0) + prior)) * deviations**-2
        count = len(slope)
        random = np.random.default_rng(0)
        drawn = random.multinomial(count, np.full(count, 1 / count), size=_DRAWS)
        moved = [
            values - np.linalg.solve(np.tensordot(n, curvature, 1) + prior, n @ slope + prior @ offset)
            for n in drawn
        ]
        limits = _bounds_of(names)
        low, high = (np.clip(side, *limits) for side in np.quantile(moved, (0.025, 0.975), axis=0))
        known = count > 1
        return {
            name: Estimate(
                round(float(values[i]), 4),
                round(float(low[i]), 4) if known else None,
                round(float(high[i]), 4) if known else None,
                round(float(told[i]), 2),
            )
            for i, name in enumerate(names)
        }


@dataclass(frozen=True)
class _Fit:
    windows: Windows
    prior: Mapping[str, float]

    @property
    def deviations(self) -> _Floats:
        return np.array(list(self.prior.values()))

    def values_of(self, model: PupilModel) -> _Floats:
        return _values_of(model, tuple(self.prior))

    def model_of(self, values: _Floats) -> PupilModel:
        pairs = zip(self.prior, values, strict=True)
        return GENERIC_LENS.model_copy(update={name: round(float(value), 4) for name, value in pairs})

    def rows(self, model: PupilModel, coc_px: Tensor) -> Tensor:
        parts = [
            (index, self.windows.take(index).unexplained(transfer(psf, coc_px[index])))
            for index, psf in _by_block(self.windows, model)
        ]
        rows = torch.cat([part for _, part in parts])
        return rows[torch.cat([index for index, _ in parts]).argsort()]

    def refine(self, model: PupilModel, coc_px: Tensor, *, span: float) -> tuple[Tensor, Tensor]:
        """Circles of confusion within `span` of those given at which least is unexplained, and that share."""
        factors = 1 + span * torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
        shares = torch.stack(
            [_share(self.rows(model, coc_px * factor), self.windows) for factor in factors], 1
        )
        best = shares.argmin(1).clamp(1, 3)
        low, mid, high = (shares.gather(1, (best + k)[:, None])[:, 0] for k in (-1, 0, 1))
        offset = (0.5 * (low - high) / (low - 2 * mid + high).clamp_min(1e-9)).clamp(-1, 1)
        return coc_px * (factors[best] + offset * span / 2), shares.amin(1)

    def loss(self, shares: Tensor, values: _Floats) -> float:
        offset = (values - self.values_of(GENERIC_LENS)) / self.deviations
        data = _FIGURES * float((shares + _FLOOR).log().sum())
        return data + float(np.square(offset).sum())

    def solve(self, coc_px: Tensor) -> tuple[PupilModel, Tensor, _Normal]:
        values = self.values_of(GENERIC_LENS)
        limits = _bounds_of(tuple(self.prior))
        normal = self.linearise(values, coc_px)
        coc_px, shares = self.refine(self.model_of(values), coc_px, span=0.1)
        loss = self.loss(shares, values)
        for _ in range(_ROUNDS):
            for damping in _DAMPING:
                tried = np.clip(values + self.step(normal, values, damping), *limits)
                moved, shares = self.refine(self.model_of(tried), coc_px, span=0.08)
                gain = loss - self.loss(shares, tried)
                if gain > 0:
                    break
            else:
                break
            values, coc_px, loss = tried, moved, loss - gain
            normal = self.linearise(values, coc_px)
            if gain < _LEAST_GAIN:
                break
        return self.model_of(values), coc_px, normal

    def step(self, normal: _Normal, values: _Floats, damping: float) -> _Floats:
        curvature = normal.curvature.sum(0).numpy() + np.diag(self.deviations**-2)
        slope = normal.slope.sum(0).numpy()
        slope = slope + (values - self.values_of(GENERIC_LENS)) * self.deviations**-2
        step: _Floats = -np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), slope)
        return step

    def linearise(self, values: _Floats, coc_px: Tensor) -> _Normal:
        model = self.model_of(values)
        rows = self.rows(model, coc_px)
        by_coc = (self.rows(model, coc_px * (1 + _STEP)) - rows)[..., None]
        by_coc = by_coc / by_coc.norm(dim=1, keepdim=True).clamp_min(1e-12)
        columns = []
        for index, highest in enumerate(_bounds_of(tuple(self.prior))[1]):
            step = _STEP if values[index] + _STEP <= highest else -_STEP
            moved = values + step * np.eye(len(values))[index]
            columns.append((self.rows(self.model_of(moved), coc_px) - rows) / step)
        free = torch.stack(columns, -1)
        free = free - by_coc @ (by_coc.transpose(1, 2) @ free)
        left = rows[..., None] - by_coc @ (by_coc.transpose(1, 2) @ rows[..., None])
        weight = _FIGURES / (self.windows.power * (_share(rows, self.windows) + _FLOOR))
        curvature = weight[:, None, None] * (free.transpose(1, 2) @ free)
        slope = weight[:, None] * (free.transpose(1, 2) @ left)[..., 0]
        return _Normal(curvature.double(), slope.double())


def _choose(windows: Windows) -> tuple[Windows, Tensor]:
    """Windows that can tell something, and their circles of confusion under the generic lens.

    Raises:
        SettingsError: there are too few.
    """
    seen = windows.take((windows.texture >= _LEAST_TEXTURE).nonzero()[:, 0])
    tried = torch.tensor([0.0, *_TRIED_PX, *(-coc for coc in _TRIED_PX)])
    # The generic lens is the same at every place.
    transfers = transfer(_kernel(GENERIC_LENS, 0.0, 0.0), tried)
    rows = (seen.unexplained(one.expand(len(seen), -1, -1)) for one in transfers)
    shares = torch.stack([_share(row, seen) for row in rows], 1)
    in_focus, (least, best) = shares[:, 0], shares[:, 1:].min(1)
    coc_px = tried[1 + best]
    kept = ((least < _MOST_UNEXPLAINED) & (least < _OF_FOCUS * in_focus)).nonzero()[:, 0]
    if len(kept) < _LEAST_WINDOWS:
        raise SettingsError(
            "the pairs do not tell the camera's kernels",
            where="SOURCE",
            expected=f"at least {_LEAST_WINDOWS} windows of {WINDOW_PX} px with texture, out of focus by "
            f"{_LEAST_COC_PX:g} px or more",
            got=f"{len(windows)} windows, {len(windows) - len(seen)} of them without texture and "
            f"{len(seen) - len(kept)} in focus or unlike in both views",
            remedy="add pairs with textured content out of focus; check --layout and which view is left",
        )
    kept = kept[torch.linspace(0, len(kept) - 1, min(len(kept), _MOST_WINDOWS)).long()]
    return seen.take(kept), coc_px[kept]


def _share(rows: Tensor, windows: Windows) -> Tensor:
    """(n,) of every window what stays unexplained, 0..1."""
    return rows.square().sum(1) / windows.power


def _by_block(windows: Windows, model: PupilModel) -> Iterator[tuple[Tensor, UnitPsf]]:
    """Windows by block of the frame, and the kernel of the block's middle."""
    blocks, number = torch.unique((windows.place * _BLOCKS).floor(), dim=0, return_inverse=True)
    for index, block in enumerate(blocks):
        x, y = ((block + 0.5) / _BLOCKS).tolist()
        yield (number == index).nonzero()[:, 0], _kernel(model, x, y)


# Every model is asked for some hundred circles of confusion; a kernel takes 32 KiB.
@lru_cache(maxsize=512)
def _kernel(model: PupilModel, x: float, y: float) -> UnitPsf:
    return pupil_psf(model, x, y, samples=_SAMPLES)


def _values_of(model: PupilModel, names: tuple[str, ...]) -> _Floats:
    return np.array([getattr(model, name) for name in names], np.float64)


def _bounds_of(names: tuple[str, ...]) -> tuple[_Floats, _Floats]:
    limits = [{type(limit).__name__: limit for limit in PupilModel.model_fields[n].metadata} for n in names]
    return np.array([one["Ge"].ge for one in limits]), np.array([one["Le"].le for one in limits])
