"""Dual-pixel photographs of procedural scenes, with the truth that no camera records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ldp_core.errors import SettingsError
from ldp_core.optics.kernels import KernelFamily, KernelSpec
from ldp_core.optics.layered import Surface, flatten_surfaces, render_surfaces
from ldp_core.optics.render import render_frame, render_views
from ldp_core.optics.rng import Rng, derive_seed
from ldp_core.optics.scenes import FARTHEST_M, NEAREST_M, Scene, SceneKind, make_scene
from ldp_core.optics.sensor import Sensor, expose_views, quantise
from ldp_core.optics.thin_structures import LARGEST_COC_PX, make_thin_structures
from ldp_core.settings import Settings
from ldp_core.types import BlurTruthKind, Pair

DEFAULT_MIX = (
    KernelSpec(),
    KernelSpec(softness=0.7),
    KernelSpec(softness=1.6),
    KernelSpec(softness=0.5, crosstalk=0.18),
    KernelSpec(family=KernelFamily.TRANSLATING_DISC, crosstalk=0.1),
    KernelSpec(family=KernelFamily.BUTTERWORTH, order=1, beta=0.7),
    KernelSpec(family=KernelFamily.BUTTERWORTH, order=3, beta=0.4),
)
"""Around what fits real cameras best, no single form for a network to specialise on."""
# Streams of one photograph: a setting that changes the draws of one leaves the others as they are.
_CAMERA, _SCENE, _NOISE = range(3)


class Lens(Settings):
    """A thin lens in front of a sensor; lengths in metres."""

    focal_length_m: float = Field(default=0.05, gt=0)
    f_number: float = Field(default=4.0, gt=0)
    focus_distance_m: float = Field(default=1.0, gt=0)
    pixel_pitch_m: float = Field(default=6e-6, gt=0)

    def coc_px(self, depth_m: Tensor) -> Tensor:
        """Signed diameter of the circle of confusion in pixels: positive behind the focal plane.

        Args:
            depth_m: depths in metres, any shape, greater than zero.

        Raises:
            SettingsError: the focus distance lies within the focal length.
        """
        return defocus_px(
            depth_m, focus_distance_m=self.focus_distance_m, coc_at_infinity_px=self.coc_at_infinity_px
        )

    @property
    def coc_at_infinity_px(self) -> float:
        """The largest diameter there can be behind the focal plane."""
        beyond = self.focus_distance_m - self.focal_length_m
        if beyond <= 0:
            raise SettingsError(
                "the lens cannot focus within its focal length",
                where="Lens.focus_distance_m",
                expected=f"more than {self.focal_length_m} m",
                got=f"{self.focus_distance_m} m",
            )
        return self.focal_length_m**2 / (self.f_number * beyond) / self.pixel_pitch_m


class SceneSet(StrEnum):
    """What is photographed."""

    MIXED = "mixed"
    """The layouts of `SimulationSettings.scenes`."""
    THIN_STRUCTURES = "thin-structures"
    """Bars, fences, wires and branches before a wall. Unless set otherwise, kernels are the default one alone
    and circles of confusion go up to 40 px either way."""


_OF_THIN_STRUCTURES: dict[str, Any] = {
    "kernels": (KernelSpec(),),
    "near_limit_px": LARGEST_COC_PX,
    "far_limit_px": LARGEST_COC_PX,
}


class SimulationSettings(Settings):
    """What the simulated photographs are like. Every photograph draws from these by seed and number."""

    seed: int = Field(default=0, ge=0)
    """Of the set: sets of two seeds have no scene, texture or noise in common."""
    height: int = Field(default=560, ge=16, le=8192)
    width: int = Field(default=840, ge=16, le=8192)
    scene: SceneSet = SceneSet.MIXED
    scenes: tuple[SceneKind, ...] = Field(default=(SceneKind.ROOM, *SceneKind), min_length=1)
    """One of these layouts each photograph; repeat one to draw it more often."""
    kernels: tuple[KernelSpec, ...] = Field(default=DEFAULT_MIX, min_length=1)
    """One of these blurs each photograph; repeat a kernel to draw it more often."""
    whole_frame: bool = False
    """Off-axis lenses change over the frame; otherwise a photograph shows one place of it."""
    # DPDD at half size reaches +5 px of disparity (95th percentile), 22 px through the default kernel; the
    # Pixel 4 photographs reach 20 px. Most content lies behind the focal plane, little before it.
    near_limit_px: float = Field(default=16.0, ge=0.0, le=256.0)
    """Largest circle of confusion before the focal plane, diameter in pixels."""
    far_limit_px: float = Field(default=26.0, ge=0.0, le=256.0)
    """Largest circle of confusion behind the focal plane, diameter in pixels."""
    # Few of each: such photographs teach a network one thing only, to leave alone or not to.
    sharp_share: float = Field(default=0.04, ge=0.0, le=1.0)
    """Share of photographs that are in focus all over."""
    blurred_share: float = Field(default=0.06, ge=0.0, le=1.0)
    """Share of photographs without anything in focus."""
    sensor: Sensor = Sensor(
        full_well_electrons=4000.0, read_noise=0.002, gain_difference=0.02, shading_difference=0.04
    )
    """The worst sensor; each photograph draws one between a perfect one and this."""
    slices: int = Field(default=12, ge=3, le=64)
    bit_depth: Literal[8, 16] = 8

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("scene") == SceneSet.THIN_STRUCTURES:
            return {**_OF_THIN_STRUCTURES, **values}
        return values


@dataclass(frozen=True, slots=True)
class SimulatedBatch:
    """Photographs and their truth, on one device.

    `left`, `right`, `sharp` (b, 3, h, w) encoded 0..1; `depth_m` (b, h, w) metres; `coc_px` (b, h, w)
    signed diameters in pixels, positive behind the focal plane.
    """

    left: Tensor
    right: Tensor
    sharp: Tensor
    depth_m: Tensor
    coc_px: Tensor


@dataclass(frozen=True, slots=True)
class _Plan:
    """One photograph before it is taken."""

    scene: Scene
    coc_px: Tensor
    kernel: KernelSpec
    sensor: Sensor
    noise_seed: int


def simulate(
    numbers: Sequence[int],
    settings: SimulationSettings | None = None,
    *,
    device: torch.device | str = "cpu",
) -> SimulatedBatch:
    """Photographs by number, from 0 on; under the same settings a number always gives the same photograph.

    Raises:
        SettingsError: a kernel of the mix cannot be used.
    """
    settings = settings or SimulationSettings()
    if settings.scene is SceneSet.THIN_STRUCTURES:
        return _stack([_photograph_structures(number, settings, device) for number in numbers])
    plans = [_plan_photograph(number, settings) for number in numbers]
    sharp = torch.stack([plan.scene.sharp for plan in plans]).to(device)
    coc_px = torch.stack([plan.coc_px for plan in plans]).to(device)
    depth_m = torch.stack([plan.scene.depth_m for plan in plans]).to(device)
    views = _render_mixed(sharp, coc_px, plans=plans, settings=settings)
    margin = _margin_px(settings)
    left, right, sharp, depth_m, coc_px = (
        _trim(planes, margin) for planes in (views[:, 0], views[:, 1], sharp, depth_m, coc_px)
    )
    exposed = [_expose(left[i], right[i], plan=plan) for i, plan in enumerate(plans)]
    left, right = (torch.stack(side) for side in zip(*exposed, strict=True))
    return SimulatedBatch(left=left, right=right, sharp=sharp, depth_m=depth_m, coc_px=coc_px)


def simulate_pair(number: int, settings: SimulationSettings | None = None, *, item_id: str = "") -> Pair:
    """One photograph as integer pixels, with the sharp picture as target and its circles of confusion.

    `blur_truth` is the signed diameter in pixels, float32.

    Raises:
        SettingsError: a kernel of the mix cannot be used.
    """
    settings = settings or SimulationSettings()
    batch = simulate([number], settings)
    left, right, target = (
        quantise(view[0], bit_depth=settings.bit_depth) for view in (batch.left, batch.right, batch.sharp)
    )
    return Pair(
        id=item_id or f"simulated/{settings.seed}/{number:06d}",
        left=left,
        right=right,
        target=target,
        blur_truth=batch.coc_px[0].cpu().numpy(),
        blur_truth_kind=BlurTruthKind.SIGNED_COC_PX,
    )


def defocus_px(
    depth_m: Tensor, *, focus_distance_m: Tensor | float, coc_at_infinity_px: Tensor | float
) -> Tensor:
    """Signed diameter in pixels of a point at `depth_m`, from what a lens does to a point at infinity."""
    return torch.as_tensor(coc_at_infinity_px * (1 - focus_distance_m / depth_m))


def _photograph_structures(
    number: int, settings: SimulationSettings, device: torch.device | str
) -> SimulatedBatch:
    """A batch of one photograph of thin structures."""
    margin = _margin_px(settings)
    size = settings.height + 2 * margin, settings.width + 2 * margin
    surfaces = [
        Surface(*(part.to(device) for part in (surface.colour, surface.coverage, surface.coc_px)))
        for surface in make_thin_structures(
            settings.seed, number, size=size, largest_px=max(settings.near_limit_px, settings.far_limit_px)
        )
    ]
    rng = Rng.from_seeds(settings.seed, number)
    kernel, sensor = rng.choice(settings.kernels), _draw_sensor(rng, settings.sensor)
    transfer = settings.sensor.transfer
    views = render_surfaces(surfaces, kernel, slices=settings.slices, transfer=transfer)
    left, right, sharp, coc_px = (
        _trim(planes, margin) for planes in (*views, *flatten_surfaces(surfaces, transfer=transfer))
    )
    generator = torch.Generator(left.device).manual_seed(rng.integer(0, 2**31))
    left, right = expose_views(left, right, sensor=sensor, generator=generator)
    planes = (left, right, sharp, _depth_m(coc_px), coc_px)
    return SimulatedBatch(*(plane[None] for plane in planes))


def _depth_m(coc_px: Tensor) -> Tensor:
    """Depths that a thin lens gives these circles of confusion, the whole range of depth in use."""
    farness = (coc_px - coc_px.min()) / (coc_px.max() - coc_px.min()).clamp_min(1e-6)
    return 1 / (1 / NEAREST_M + farness * (1 / FARTHEST_M - 1 / NEAREST_M))


def _stack(photographs: Sequence[SimulatedBatch]) -> SimulatedBatch:
    names = ("left", "right", "sharp", "depth_m", "coc_px")
    return SimulatedBatch(*(torch.cat([getattr(one, name) for one in photographs]) for name in names))


def _plan_photograph(number: int, settings: SimulationSettings) -> _Plan:
    rng = Rng.from_key(settings.seed, number, _CAMERA)
    kind, kernel = rng.choice(settings.scenes), rng.choice(settings.kernels)
    margin = _margin_px(settings)
    size = settings.height + 2 * margin, settings.width + 2 * margin
    scene = make_scene(Rng.from_key(settings.seed, number, _SCENE), size=size, kind=kind)
    return _Plan(
        scene=scene,
        coc_px=_focus(scene.depth_m, rng, settings),
        kernel=kernel,
        sensor=_draw_sensor(rng, settings.sensor),
        noise_seed=derive_seed(settings.seed, number, _NOISE),
    )


def _focus(depth_m: Tensor, rng: Rng, settings: SimulationSettings) -> Tensor:
    """Signed circles of confusion of a lens focused at random, on the nearer of two places."""
    kind, strength = rng.uniform(0, 1), rng.uniform(0.15, 1)
    places = [depth_m.flatten()[rng.integer(0, depth_m.numel())] for _ in range(2)]
    distance = float(min(places))
    if kind < settings.sharp_share:
        strength = 0.0
    elif kind < settings.sharp_share + settings.blurred_share:
        # Before or behind everything, far enough that the nearest content is clearly out of focus.
        distance = rng.choice((0.7 * float(depth_m.min()), 1.4 * float(depth_m.max())))
    relative = defocus_px(depth_m, focus_distance_m=distance, coc_at_infinity_px=1.0)
    reaches = (settings.far_limit_px, relative.max()), (settings.near_limit_px, -relative.min())
    scale = min((limit / float(reach) for limit, reach in reaches if reach > 1e-6), default=0.0)
    return relative * strength * scale


def _draw_sensor(rng: Rng, worst: Sensor) -> Sensor:
    strength = rng.uniform(0, 1)
    gain, shading = (rng.uniform(-1, 1) for _ in range(2))
    return worst.model_copy(
        update={
            "full_well_electrons": worst.full_well_electrons / max(strength, 1e-3),
            "read_noise": worst.read_noise * strength,
            "gain_difference": worst.gain_difference * gain,
            "shading_difference": worst.shading_difference * shading,
        }
    )


def _render_mixed(
    sharp: Tensor, coc_px: Tensor, *, plans: Sequence[_Plan], settings: SimulationSettings
) -> Tensor:
    """Views (b, 2, 3, h, w), each photograph through its own kernel."""
    render = render_frame if settings.whole_frame else render_views
    views = sharp.new_empty(sharp.shape[0], 2, *sharp.shape[1:])
    for kernel in dict.fromkeys(plan.kernel for plan in plans):
        chosen = [index for index, plan in enumerate(plans) if plan.kernel == kernel]
        sides = render(
            sharp[chosen],
            coc_px[chosen],
            kernel,
            slices=settings.slices,
            transfer=settings.sensor.transfer,
        )
        views[chosen] = torch.stack(sides, 1)
    return views


def _expose(left: Tensor, right: Tensor, *, plan: _Plan) -> tuple[Tensor, Tensor]:
    generator = torch.Generator(left.device).manual_seed(plan.noise_seed)
    return expose_views(left, right, sensor=plan.sensor, generator=generator)


def _margin_px(settings: SimulationSettings) -> int:
    """Scene beyond the frame, so that blur draws on it as a camera does."""
    return math.ceil(max(settings.near_limit_px, settings.far_limit_px) / 2)


def _trim(planes: Tensor, margin: int) -> Tensor:
    height, width = planes.shape[-2] - 2 * margin, planes.shape[-1] - 2 * margin
    return planes[..., margin : margin + height, margin : margin + width]
