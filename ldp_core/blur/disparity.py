"""The training-free estimator: the signed circle of confusion that explains both views best.

Coarse to fine: at the search level every candidate is tried, at finer levels those near what was
found; after each, the measurements are spread edge-aware into areas without texture. Edges in focus are
taken out of the views first, see `sharp_edges`, and measured by themselves once the rest is known. Level k is
the views halved k times; disparities and circles of confusion are in pixels of the full size throughout.

The method and its constants are our own choices; what it rests on is said in `matching`. Planes and maps
are (1, 1, h, w) float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ldp_core.blur.matching import (
    CostVolume,
    Matcher,
    Measurement,
    build_pyramid,
    enlarge,
    measure_near,
    smooth,
)
from ldp_core.blur.sharp_edges import find_sharp_edges, halve_mask, remove_edges
from ldp_core.blur.spreading import EdgeWeights, spread
from ldp_core.cameras import Camera, is_generic, key_settings, open_camera
from ldp_core.optics.kernels import KernelSpec, disparity_per_coc, require_apart
from ldp_core.settings import Settings
from ldp_core.signals import difference_noise
from ldp_core.tensors import to_grey
from ldp_core.types import GENERIC_CAMERA, BlurMap, BlurMapKind, Pair, StageSpec

VERSION = "5"

# Figures are AI(1) on three simulated pairs, in px, then on three scenes of the Pixel 4, in parts of the
# largest truth; as shipped .488 and .0250. One constant at a time, `python infra/benchmarks/constants.py`.
# They were chosen while looking at such scenes. The simulated ones were drawn by the sum of seed and number:
# that command now draws others.

# Distance of candidates in a level's pixels. A half: .647, .0295. An eighth: .462, .0251, for twice the time.
_STEP_PX: Final = 0.25
# Search and regularisation take turns, more tightly coupled each time. Only .05 later: .738, .0265; only .5:
# .938, .0264. Above the search level one turn does as well: .469, .0256.
_COUPLINGS: Final = (0.05, 0.2)
_COUPLINGS_LATER: Final = (0.05, 0.2, 0.5)
# Solver steps of each reweighting. 10 steps: .632, .0356; 8 fine ones: .522, .0248.
_SOLVER_STEPS: Final = 30
_FINE_SOLVER_STEPS: Final = 20
# How far finer levels look around, in steps. One: .511, .0257.
_NEAR_STEPS: Final = 2
# Finer levels refine up to this disparity, in their pixels; blur leaves them nothing to compare beyond it.
# 1: .517, .0251. 4: .481, .0270.
_REFINED_PX: Final = 2.0
# What is in focus is sought up to this disparity: a circle of confusion of about 6 px.
_SHARP_PX: Final = 1.5
# An edge is measured where its contrast is; a pixel beside it, in the same window, would widen it.
_EDGE_PX: Final = 2.0
# Keeps the ratio of two flat areas finite.
_TINY: Final = 1e-30
# Precision, in 1/px^2, from which an edge in focus decides where the map starts from.
_DECIDES: Final = 0.01
_LEAST_LEVELS: Final = 3
# Smooths the very first map. 3: .492, .0251. 12: .505, .0255.
_MEAN_PX: Final = 6.0

# Rounding to 8 bit alone has a deviation of 1 / sqrt(12) levels.
_LEAST_NOISE: Final = 0.3 / 255
# A Gaussian of 1 px leaves 1 / (2 sqrt(pi)) of the deviation of white noise; later halvings leave a half.
_FIRST_HALVING: Final = 0.28
# Keeps the ratio of two black areas at 1.
_DARK: Final = 1e-3
# 80 px at full size: several times the largest disparity, so that a gain does not hide parallax.
_COARSE_PX: Final = 8
_COARSE_SIGMA: Final = 10.0

_AROUND_PX: Final = 4.0
# Precision in 1/px^2 at which confidence is one half: a deviation of 1.4 px.
_HALF_TRUST: Final = 0.5
# Above the least precision of `matching`: pixels without texture have no confidence.
_NOTHING: Final = 1e-3


class DisparitySettings(Settings):
    """How the circle of confusion is sought."""

    kernel: KernelSpec = KernelSpec()
    """Kernels of both views; restoration should use the same."""
    camera: str = Field(default=GENERIC_CAMERA, exclude_if=is_generic)
    """Camera profile by name or address. Its kernels, by place in the frame, stand in for `kernel`."""
    # Here, too, AI(1) simulated, Pixel 4. 1: .499, .0247. 2.5: .519, .0261.
    window_px: float = Field(default=1.5, gt=0, le=16)
    """Gaussian deviation of the matching window, in pixels of the level."""
    # 2.5: .442, .0257. 7: .548, .0255.
    band_px: float = Field(default=4.0, gt=0, le=64)
    """What varies more slowly than this Gaussian is not compared, in pixels of the level."""
    # .6: .438, .0272. 2.5: 1.017, .0259.
    smoothness: float = Field(default=1.25, gt=0)
    """Price of a step of one pixel of disparity, per pixel of contour at full size."""
    # .015: .429, .0251. .06: .596, .0275.
    guide_edge: float = Field(default=0.03, gt=0)
    """Change of the mean view (0..1) from one pixel to the next that lets the map step."""
    # 14 px of disparity are a circle of confusion of 62 px with the default kernel; time grows with it.
    largest_disparity_px: float = Field(default=14.0, gt=0, le=256)
    """How far apart the views are sought to lie, either way, up to 1200 px height; grows above."""


class DisparityEstimator:
    """Pair to signed circle of confusion in pixels, with confidence; deterministic."""

    def __init__(self, settings: DisparitySettings | None = None, camera: Camera | None = None) -> None:
        """A `camera` stands in for that of the settings: one that no file holds."""
        self.settings, self.camera = settings or DisparitySettings(), camera

    @property
    def spec(self) -> StageSpec:
        return StageSpec("blur", "disparity", VERSION, key_settings(self.settings, self._camera))

    @cached_property
    def _camera(self) -> Camera | None:
        if self.camera is not None:
            return self.camera
        return None if is_generic(self.settings.camera) else open_camera(self.settings.camera)

    def estimate(self, pair: Pair) -> BlurMap:
        """Signed circle of confusion in px, (h, w) as the views; confidence 0 where nothing is seen.

        Raises:
            SettingsError: the picture does not fit into the frame of its camera, or the views of its kernel
                are not apart.
        """
        with torch.inference_mode():
            left, right = (to_grey(view) for view in pair.both_views)
            disparity, precision = estimate_disparity(left, right, settings=self.settings)
            coc = disparity / self._disparity_per_coc(*disparity.shape[-2:])
            confidence = rate_confidence(precision)
        return BlurMap(coc[0, 0].numpy(), BlurMapKind.SIGNED_COC_PX, confidence[0, 0].numpy())

    def _disparity_per_coc(self, height: int, width: int) -> float | Tensor:
        camera = self._camera
        if camera is None:
            return disparity_per_coc(self.settings.kernel)
        return camera.disparity_per_coc(height, width)


def estimate_disparity(left: Tensor, right: Tensor, *, settings: DisparitySettings) -> tuple[Tensor, Tensor]:
    """Disparity of the right view against the left one in px, and its precision in 1/px^2.

    Args:
        left, right: (1, 1, h, w) float32 in 0..1.

    Returns:
        Two (1, 1, h, w) maps, aligned with the mean of the views; disparity is positive where content
        of the right view lies at larger x.

    Raises:
        SettingsError: the views of the kernel are not apart.
    """
    require_apart(disparity_per_coc(settings.kernel), where="estimator.kernel")
    left, right = equalise_gain(left, right)
    noise = max(difference_noise(left, right), _LEAST_NOISE)
    coarse = choose_search_level(*left.shape[-2:])
    levels = build_levels(left, right, count=coarse + 2, noise=noise, settings=settings)
    reach_px = settings.largest_disparity_px * 2.0 ** max(0, coarse - 2)
    found = levels[coarse].search(reach_px, start=levels[coarse + 1].search(reach_px))
    for index in range(coarse - 1, 0, -1):
        found = levels[index].refine(found)
    maps = found.disparity_px, found.measured.precision
    disparity, precision = (enlarge(m, levels[0].size) if coarse else m for m in maps)
    return disparity, precision


def build_levels(
    left: Tensor, right: Tensor, *, count: int, noise: float, settings: DisparitySettings
) -> list[Level]:
    """Both views and their halvings, whole and without the edges that are in focus."""
    # Edges are measured on refined levels, which small pictures do not have.
    refined = count > _LEAST_LEVELS
    masks = [find_sharp_edges(left, right, noise=noise) if refined else torch.zeros_like(left)]
    while len(masks) < count:
        masks.append(halve_mask(masks[-1]))
    planes = [left, right, *(remove_edges(view, masks[0]) for view in (left, right))]
    pyramids = [build_pyramid(plane, levels=count - 1) for plane in planes]
    return [
        Level(index, a, b, (c, d), mask, noise=halved_noise(noise, index), settings=settings)
        for index, (c, d, a, b, mask) in enumerate(zip(*pyramids, masks, strict=True))
    ]


def choose_search_level(height: int, width: int) -> int:
    """Halvings after which all candidates are tried: 2 for a picture of about 1000 px height."""
    shorter = min(height, width)
    return max(0, min(2, int(math.log2(shorter / 16)))) + int(math.log2(max(1, shorter / 1200)))


def equalise_gain(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Both views brought to their common local brightness, so that gain and vignetting drop out."""
    ratio = ((_local_brightness(left) + _DARK) / (_local_brightness(right) + _DARK)).sqrt()
    ratio = F.interpolate(ratio, size=left.shape[-2:], mode="bilinear")
    return left / ratio, right * ratio


def _local_brightness(plane: Tensor) -> Tensor:
    """Coarse brightness, over an area much wider than any disparity."""
    height, width = (math.ceil(n / _COARSE_PX) for n in plane.shape[-2:])
    return smooth(F.adaptive_avg_pool2d(plane, (height, width)), _COARSE_SIGMA)


def halved_noise(sigma: float, level: int) -> float:
    """What is left of white noise after `level` halvings."""
    return sigma if level == 0 else sigma * _FIRST_HALVING * 0.5 ** (level - 1)


def rate_confidence(precision: Tensor) -> Tensor:
    """0 (nothing to match) .. 1: one half where disparity is known to about a pixel and a half.

    The precision is taken over a few pixels, since it is zero between the lines of a texture.
    """
    around = (smooth(precision, _AROUND_PX) - _NOTHING).clamp_min(0)
    return around / (around + _HALF_TRUST)


@dataclass(frozen=True, slots=True)
class LevelResult:
    """What a level knows: the regularised map (1, 1, h, w) and the measurements it was made from."""

    disparity_px: Tensor
    measured: Measurement

    def enlarge(self, size: tuple[int, int]) -> LevelResult:
        return LevelResult(enlarge(self.disparity_px, size), self.measured.enlarge(size))


@dataclass(frozen=True, slots=True)
class Level:
    """Both views halved `index` times; disparities in pixels of the full size.

    left, right: (1, 1, h, w) in 0..1, without the edges in focus; `whole`: both with them; `sharp`: 1 on
    and beside those edges, else 0; `noise` is the standard deviation of a view.
    """

    index: int
    left: Tensor
    right: Tensor
    whole: tuple[Tensor, Tensor]
    sharp: Tensor
    noise: float
    settings: DisparitySettings

    @property
    def size(self) -> tuple[int, int]:
        return self.left.shape[-2], self.left.shape[-1]

    @property
    def step_px(self) -> float:
        """Spacing of candidates: a quarter of this level's pixels."""
        return _STEP_PX * 2.0**self.index

    def search(self, reach_px: float, *, start: LevelResult | None = None) -> LevelResult:
        """Try every candidate up to `reach_px` either way, in turns with regularisation."""
        count = math.ceil(reach_px / self.step_px)
        parts = zip(*self._costs(-count, count, (self.left, self.right)), strict=True)
        costs, attenuation = (torch.cat(part, 1)[0] for part in parts)
        volume = CostVolume(costs, attenuation, first_px=-count * self.step_px, step_px=self.step_px)
        found = self._first_look(volume) if start is None else start.enlarge(self.size)
        for coupling in _COUPLINGS if start is None else _COUPLINGS_LATER:
            measured = volume.measure(around=found.disparity_px, coupling=coupling)
            found = self._regularise(measured, found.disparity_px, steps=_SOLVER_STEPS)
        return found

    def refine(self, coarser: LevelResult) -> LevelResult:
        """Try candidates near what the next coarser level found, where blur leaves detail to compare."""
        start = coarser.enlarge(self.size)
        limit = _REFINED_PX * 2.0**self.index
        near = start.disparity_px.clamp(-limit, limit)
        measured = start.measured.join(
            self._measure(start.disparity_px, near, steps=_NEAR_STEPS, views=(self.left, self.right))
        )
        start_px = start.disparity_px
        if float(self.sharp.max()) > 0:
            measured, start_px = self._put_edges(measured, start_px)
        return self._regularise(measured, start_px, steps=_FINE_SOLVER_STEPS)

    def _measure(
        self, near_px: Tensor, span_px: Tensor, *, steps: int, views: tuple[Tensor, Tensor]
    ) -> Measurement:
        """The deepest minimum within `steps` of `near_px`; candidates span the values of `span_px`."""
        lowest, highest = torch.aminmax(span_px)
        first, last = int(lowest / self.step_px) - steps, int(highest / self.step_px) + steps
        return measure_near(
            (cost for cost, _ in self._costs(first, last, views)),
            first_px=first * self.step_px,
            step_px=self.step_px,
            near=near_px,
            reach_px=steps * self.step_px,
        )

    def _put_edges(self, measured: Measurement, start_px: Tensor) -> tuple[Measurement, Tensor]:
        """Measurements and start with those of the edges in focus in their places, from the whole views."""
        zero = torch.zeros_like(start_px)
        steps = max(2, math.ceil(_SHARP_PX / self.step_px))
        edges = self._measure(zero, zero, steps=steps, views=self.whole)
        guide = self._guide()
        contrast = (guide - smooth(guide, _EDGE_PX)).square()
        own = (contrast / (smooth(contrast, _EDGE_PX) + _TINY)).clamp(0, 1)
        precision = edges.precision * self.sharp * own
        put = self.sharp > 0
        joined = Measurement(
            torch.where(put, edges.disparity_px, measured.disparity_px),
            torch.where(put, precision, measured.precision),
            torch.where(put, edges.evidence, measured.evidence),
        )
        return joined, torch.where(put & (precision > _DECIDES), edges.disparity_px, start_px)

    def _guide(self) -> Tensor:
        return (self.whole[0] + self.whole[1]) / 2

    def _costs(self, first: int, last: int, views: tuple[Tensor, Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Costs and attenuations of candidates `first`..`last`, counted in steps from 0."""
        coc_px = torch.arange(first, last + 1) * (_STEP_PX / disparity_per_coc(self.settings.kernel))
        matcher = Matcher(self.settings.kernel, self.settings.window_px, self.settings.band_px)
        return matcher.costs(*views, coc_px, noise=self.noise)

    def _first_look(self, volume: CostVolume) -> LevelResult:
        """Regularised from the best candidates, none doubted yet."""
        measured = volume.measure()
        weighted = smooth(measured.precision * measured.disparity_px, _MEAN_PX)
        start = weighted / smooth(measured.precision, _MEAN_PX)
        return self._regularise(measured, start, steps=_SOLVER_STEPS, robust=False)

    def _regularise(
        self, measured: Measurement, start: Tensor, *, steps: int, robust: bool = True
    ) -> LevelResult:
        """The map from `start` on, edges taken from the mean view; not `robust`: without doubts."""
        edges = EdgeWeights.of(self._guide(), edge=self.settings.guide_edge)
        smoothness = self.settings.smoothness * 2.0**self.index
        values = spread(measured, edges, start=start, smoothness=smoothness, steps=steps, robust=robust)
        return LevelResult(values, measured)
