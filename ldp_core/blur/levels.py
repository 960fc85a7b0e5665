"""One level of the pyramid: measure the disparity at its size, and settle it with its surroundings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from ldp_core.blur.matching import Matcher
from ldp_core.blur.measurement import CostVolume, Measurement, measure_near
from ldp_core.blur.propagation import bond_by_guide, propagate
from ldp_core.blur.pyramid import enlarge, smooth
from ldp_core.optics.kernels import KernelSpec, disparity_per_coc
from ldp_core.settings import Settings

_STEP_PX = 0.25
_PULLS = (0.05, 0.2)
_PULLS_LATER = (0.05, 0.2, 0.5)
_ROUNDS = 3
_SOLVER_STEPS = 30
_FINE_SOLVER_STEPS = 20
_NEAR_STEPS = 2
_REFINED_PX = 2.0
_MEAN_PX = 6.0


class LevelSettings(Settings):
    """Settings that every level shares."""

    kernel: KernelSpec = KernelSpec()
    """Kernels of both views; restoration should use the same."""
    window_px: float = Field(default=1.5, gt=0, le=16)
    """Gaussian deviation of the matching window, in pixels of the level."""
    band_px: float = Field(default=4.0, gt=0, le=64)
    """What varies more slowly than this Gaussian is not compared, in pixels of the level."""
    smoothness: float = Field(default=1.25, gt=0)
    """Price of a step of one pixel of disparity, per pixel of contour at full size."""
    guide_edge: float = Field(default=0.03, gt=0)
    """Change of the mean view (0..1) from one pixel to the next that lets the map step."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a level knows: the settled map (1, 1, h, w) and the measurements it was settled from."""

    disparity_px: Tensor
    measured: Measurement

    def enlarge(self, size: tuple[int, int]) -> Found:
        return Found(enlarge(self.disparity_px, size), self.measured.enlarge(size))


@dataclass(frozen=True, slots=True)
class Level:
    """Both views halved `index` times; disparities in pixels of the full size.

    left, right: (1, 1, h, w) in 0..1; `noise` is the standard deviation of one of them.
    """

    index: int
    left: Tensor
    right: Tensor
    noise: float
    settings: LevelSettings

    @property
    def size(self) -> tuple[int, int]:
        return self.left.shape[-2], self.left.shape[-1]

    @property
    def step_px(self) -> float:
        """Spacing of candidates: a quarter of this level's pixels."""
        return _STEP_PX * 2.0**self.index

    def search(self, reach_px: float, *, start: Found | None = None) -> Found:
        """Try every candidate up to `reach_px` either way, in turns with settling."""
        count = math.ceil(reach_px / self.step_px)
        costs, fading = (torch.cat(parts, 1)[0] for parts in zip(*self._costs(-count, count), strict=True))
        volume = CostVolume(costs, fading, first_px=-count * self.step_px, step_px=self.step_px)
        found = self._first_look(volume) if start is None else start.enlarge(self.size)
        for pull in _PULLS if start is None else _PULLS_LATER:
            measured = volume.measure(around=found.disparity_px, pull=pull)
            found = self._settle(measured, found.disparity_px, steps=_SOLVER_STEPS)
        return found

    def refine(self, coarser: Found) -> Found:
        """Try candidates near what the next coarser level found, where blur leaves detail to compare."""
        start = coarser.enlarge(self.size)
        limit = _REFINED_PX * 2.0**self.index
        lowest, highest = torch.aminmax(start.disparity_px.clamp(-limit, limit))
        first, last = int(lowest / self.step_px) - _NEAR_STEPS, int(highest / self.step_px) + _NEAR_STEPS
        near = measure_near(
            (cost for cost, _ in self._costs(first, last)),
            first_px=first * self.step_px,
            step_px=self.step_px,
            near=start.disparity_px,
            reach_px=_NEAR_STEPS * self.step_px,
        )
        return self._settle(start.measured.join(near), start.disparity_px, steps=_FINE_SOLVER_STEPS)

    def _costs(self, first: int, last: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Costs and fading of candidates `first`..`last`, counted in steps from 0."""
        coc_px = torch.arange(first, last + 1) * (_STEP_PX / disparity_per_coc(self.settings.kernel))
        matcher = Matcher(self.settings.kernel, self.settings.window_px, self.settings.band_px)
        return matcher.costs(self.left, self.right, coc_px, noise=self.noise)

    def _first_look(self, volume: CostVolume) -> Found:
        """Settled from the best candidates, none doubted yet."""
        measured = volume.measure()
        return self._settle(measured, _local_mean(measured), steps=_SOLVER_STEPS, robust=False)

    def _settle(self, measured: Measurement, start: Tensor, *, steps: int, robust: bool = True) -> Found:
        bonds = bond_by_guide((self.left + self.right) / 2, edge=self.settings.guide_edge)
        disparity = propagate(
            measured,
            bonds,
            start=start,
            smoothness=self.settings.smoothness * 2.0**self.index,
            rounds=_ROUNDS,
            steps=steps,
            robust=robust,
        )
        return Found(disparity, measured)


def _local_mean(measured: Measurement) -> Tensor:
    weighted = smooth(measured.precision * measured.disparity_px, _MEAN_PX)
    return weighted / smooth(measured.precision, _MEAN_PX)
