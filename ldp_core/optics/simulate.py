"""Dual-pixel photographs of procedural scenes, with the truth that no camera records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from ldp_core.optics.chance import Chance
from ldp_core.optics.frame import render_frame
from ldp_core.optics.kernels import KernelFamily, KernelSpec
from ldp_core.optics.lens import defocus_px
from ldp_core.optics.render import render_views
from ldp_core.optics.scenes import Scene, SceneKind, make_scene
from ldp_core.optics.sensor import Sensor, expose_views, quantise
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


class SimulationSettings(Settings):
    """What the simulated photographs are like. Every photograph draws from these by its own seed."""

    seed: int = Field(default=0, ge=0)
    """Added to the number of each photograph."""
    height: int = Field(default=560, ge=16, le=8192)
    width: int = Field(default=840, ge=16, le=8192)
    scenes: tuple[SceneKind, ...] = Field(default=(SceneKind.ROOM, *SceneKind), min_length=1)
    """One of these layouts each photograph; repeat one to draw it more often."""
    kernels: tuple[KernelSpec, ...] = Field(default=DEFAULT_MIX, min_length=1)
    """One of these blurs each photograph; repeat a kernel to draw it more often."""
    whole_frame: bool = False
    """Off-axis lenses change over the frame; otherwise a photograph shows one place of it."""
    near_limit_px: float = Field(default=16.0, ge=0.0, le=256.0)
    """Largest circle of confusion before the focal plane, diameter in pixels."""
    far_limit_px: float = Field(default=26.0, ge=0.0, le=256.0)
    """Largest circle of confusion behind the focal plane, diameter in pixels."""
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
    """Photographs by number; a number always gives the same photograph under the same settings.

    Raises:
        SettingsError: a kernel of the mix cannot be used.
    """
    settings = settings or SimulationSettings()
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
        id=item_id or f"simulated/{settings.seed + number:06d}",
        left=left,
        right=right,
        target=target,
        blur_truth=batch.coc_px[0].cpu().numpy(),
        blur_truth_kind=BlurTruthKind.SIGNED_COC_PX,
    )


def _plan_photograph(number: int, settings: SimulationSettings) -> _Plan:
    chance = Chance.from_seed(settings.seed + number)
    kind, kernel = chance.choice(settings.scenes), chance.choice(settings.kernels)
    margin = _margin_px(settings)
    size = settings.height + 2 * margin, settings.width + 2 * margin
    scene = make_scene(chance.integer(0, 2**31), size=size, kind=kind)
    return _Plan(
        scene=scene,
        coc_px=_focus(scene.depth_m, chance, settings),
        kernel=kernel,
        sensor=_draw_sensor(chance, settings.sensor),
        noise_seed=chance.integer(0, 2**31),
    )


def _focus(depth_m: Tensor, chance: Chance, settings: SimulationSettings) -> Tensor:
    """Signed circles of confusion of a lens focused by lot; the nearer of two places is preferred."""
    lot, strength = chance.uniform(0, 1), chance.uniform(0.15, 1)
    places = [depth_m.flatten()[chance.integer(0, depth_m.numel())] for _ in range(2)]
    distance = float(min(places))
    if lot < settings.sharp_share:
        strength = 0.0
    elif lot < settings.sharp_share + settings.blurred_share:
        distance = chance.choice((0.7 * float(depth_m.min()), 1.4 * float(depth_m.max())))
    relative = defocus_px(depth_m, focus_distance_m=distance, coc_at_infinity_px=1.0)
    reaches = (settings.far_limit_px, relative.max()), (settings.near_limit_px, -relative.min())
    scale = min((limit / float(reach) for limit, reach in reaches if reach > 1e-6), default=0.0)
    return relative * strength * scale


def _draw_sensor(chance: Chance, worst: Sensor) -> Sensor:
    strength = chance.uniform(0, 1)
    gain, shading = (chance.uniform(-1, 1) for _ in range(2))
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
