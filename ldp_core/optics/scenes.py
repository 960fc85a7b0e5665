"""Scenes that need no photographs: a sharp picture and the depth of each of its pixels.

Depth is laid out as nearness, which is linear across the image of a plane: nearness 1 is the nearest
depth and 0 the farthest, and 1/depth runs linearly between. Ranges that are drawn from were chosen by eye;
what a seed draws must not change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from ldp_core.optics.rng import Rng
from ldp_core.optics.textures import (
    Painter,
    coordinates,
    paint_any,
    paint_bricks,
    paint_cloud,
    paint_leaves,
    paint_print,
    paint_stripes,
    paint_wood,
    spectral_noise,
)

# A room seen from a table. Only their ratio counts: photographs scale the circles of confusion to limits.
NEAREST_M = 0.6
FARTHEST_M = 8.0


class SceneKind(StrEnum):
    """Layouts of depth."""

    ROOM = "room"
    """Objects standing on a floor before a wall."""
    PLANES = "planes"
    """Overlapping boards, upright and slanted."""
    CHART = "chart"
    """A slanted page of type."""
    STEPS = "steps"
    """A staircase of depths, side by side."""
    BLOBS = "blobs"
    """Rolling relief without an occlusion edge."""
    LEAVES = "leaves"
    """Dead leaves: discs at all depths that hide each other."""


@dataclass(frozen=True, slots=True)
class Scene:
    """`sharp` (3, h, w) encoded 0..1; `depth_m` (h, w) metres, positive."""

    sharp: Tensor
    depth_m: Tensor


@dataclass(slots=True)
class _Canvas:
    """The scene while it is painted, from the back to the front."""

    sharp: Tensor
    nearness: Tensor

    @property
    def size(self) -> tuple[int, int]:
        return self.sharp.shape[1], self.sharp.shape[2]

    def cover(self, distance: Tensor, *, colour: Tensor, nearness: Tensor) -> None:
        """Lay a surface over the scene where `distance` (h, w), in pixels from its edge, is negative."""
        share = (0.5 - distance).clamp(0, 1)
        self.sharp = self.sharp * (1 - share) + colour * share
        self.nearness = torch.where(distance < 0, nearness, self.nearness)

    def shadow(self, distance: Tensor, *, softness_px: float, strength: float) -> None:
        self.sharp = self.sharp * (1 - strength * torch.exp(-distance.clamp_min(0) / softness_px))


def _paint_within(distance: Tensor, rng: Rng, *, paint: Painter) -> Tensor:
    """A material (3, h, w) painted to fit the part of the picture where `distance` is below 1."""
    inside = distance < 1
    colour = distance.new_zeros(3, *distance.shape)
    rows, columns = (inside.any(axis).nonzero().flatten() for axis in (1, 0))
    if len(rows):
        top, left = int(rows[0]), int(columns[0])
        height, width = int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left
        colour[:, top : top + height, left : left + width] = paint(rng, height, width)
    return colour


def make_scene(seed: int | Rng, *, size: tuple[int, int], kind: SceneKind | None = None) -> Scene:
    """The scene of a seed, or of what a generator draws next.

    Args:
        size: (height, width) in pixels.
        kind: the layout; None draws one at random.
    """
    rng = seed if isinstance(seed, Rng) else Rng.from_seed(seed)
    drawn = rng.choice(list(SceneKind))
    canvas = _LAYOUTS[kind or drawn](rng, *size)
    nearness = canvas.nearness.clamp(0, 1)
    inverse = 1 / FARTHEST_M + nearness * (1 / NEAREST_M - 1 / FARTHEST_M)
    return Scene(sharp=canvas.sharp.clamp(0, 1), depth_m=1 / inverse)


def _room(rng: Rng, height: int, width: int) -> _Canvas:
    foot, far = round(rng.uniform(0.3, 0.5) * height), rng.uniform(0.0, 0.15)
    wall = rng.choice((paint_bricks, paint_cloud, paint_stripes))(rng, height, width)
    canvas = _Canvas(wall * 0.85, torch.full((height, width), far))
    _lay_floor(canvas, rng, top=foot, nearness=far)
    for place in sorted(rng.uniform(0.05, 0.9) for _ in range(rng.integer(5, 10))):
        _stand_object(canvas, rng, foot=foot + place * (height - foot), nearness=far + (1 - far) * place)
    canvas.sharp = canvas.sharp * _light(rng, height, width)
    return canvas


def _lay_floor(canvas: _Canvas, rng: Rng, *, top: int, nearness: float) -> None:
    """A floor in perspective, from the wall at row `top` down to the camera."""
    height, width = canvas.size
    y, x = (axis.expand(height, width) for axis in coordinates(height, width))
    slope = (y - top) / (height - top)
    stretch = 1.4 / (slope.clamp_min(0) + 0.4)
    u, v = (x / width - 0.5) * 2 * stretch, 2 * stretch * (height - top) / height
    paint = rng.choice((paint_wood, paint_bricks, paint_cloud))
    texture = paint(rng, height, width)[None]
    place = torch.stack([u, v], -1)[None]
    floor = grid_sample(texture, place, padding_mode="reflection", align_corners=False)[0]
    canvas.shadow((y - top).abs(), softness_px=0.04 * height, strength=0.35)
    canvas.cover(top - y - 0.5, colour=floor, nearness=nearness + (1 - nearness) * slope)


def _stand_object(canvas: _Canvas, rng: Rng, *, foot: float, nearness: float) -> None:
    height, width = canvas.size
    y, x = coordinates(height, width)
    tall = height * (0.14 + 0.38 * nearness) * rng.uniform(0.7, 1.3)
    centre = rng.uniform(0, width)
    ground = torch.hypot((y - foot) * 4, x - centre) - 0.45 * tall
    canvas.shadow(ground, softness_px=0.2 * tall, strength=0.5)
    if rng.uniform(0, 1) < 0.4:
        middle = foot - 0.4 * tall, centre
        _place_ball(canvas, rng, centre=middle, radius=0.42 * tall, nearness=nearness)
    else:
        middle = foot - 0.5 * tall, centre
        half = 0.5 * tall, rng.uniform(0.3, 0.7) * tall
        _place_box(canvas, rng, centre=middle, half=half, nearness=nearness)


def _place_box(
    canvas: _Canvas,
    rng: Rng,
    *,
    centre: tuple[float, float],
    half: tuple[float, float],
    nearness: float,
) -> None:
    y, x = coordinates(*canvas.size)
    v, u = y - centre[0], x - centre[1]
    distance = _rounded_box(v, u, *half, corner=rng.uniform(0, 0.15) * min(half))
    paint = paint_print if rng.uniform(0, 1) < 0.4 else paint_any
    across = u / half[1]
    colour = _paint_within(distance, rng, paint=paint) * (1 - 0.25 * across.clamp(-1, 1))
    lean = rng.uniform(-0.06, 0.06)
    canvas.cover(distance, colour=colour, nearness=nearness + lean * across + 0 * v)


def _place_ball(
    canvas: _Canvas, rng: Rng, *, centre: tuple[float, float], radius: float, nearness: float
) -> None:
    y, x = coordinates(*canvas.size)
    v, u = (y - centre[0]) / radius, (x - centre[1]) / radius
    bulge = (1 - u**2 - v**2).clamp_min(0).sqrt()
    lit = 0.25 + 0.75 * (0.75 * bulge - 0.4 * u - 0.5 * v).clamp(0, 1)
    distance = radius * (torch.hypot(u, v) - 1)
    colour = _paint_within(distance, rng, paint=paint_any) * lit + 0.5 * lit**24
    canvas.cover(distance, colour=colour, nearness=nearness + 0.06 * bulge)


def _planes(rng: Rng, height: int, width: int) -> _Canvas:
    canvas = _Canvas(paint_cloud(rng, height, width), _slant(rng, height, width, level=0.05, tilt=0.05))
    y, x = coordinates(height, width)
    for level in sorted(rng.uniform(0.1, 0.95) for _ in range(rng.integer(4, 9))):
        angle = rng.uniform(-0.5, 0.5)
        v, u = y - rng.uniform(0, height), x - rng.uniform(0, width)
        along, down = u * math.cos(angle) + v * math.sin(angle), v * math.cos(angle) - u * math.sin(angle)
        half = rng.uniform(0.1, 0.3) * height, rng.uniform(0.1, 0.3) * width
        distance = _rounded_box(down, along, *half, corner=rng.uniform(0, 12))
        canvas.shadow(distance - 2, softness_px=0.02 * height, strength=0.45)
        colour = _paint_within(distance, rng, paint=paint_any)
        nearness = _slant(rng, height, width, level=level, tilt=0.12)
        canvas.cover(distance, colour=colour, nearness=nearness)
    return canvas


def _chart(rng: Rng, height: int, width: int) -> _Canvas:
    page = paint_print(rng, height, width)
    return _Canvas(page * _light(rng, height, width), _slant(rng, height, width, level=0.5, tilt=0.7))


def _steps(rng: Rng, height: int, width: int) -> _Canvas:
    _, x = coordinates(height, width)
    canvas = _Canvas(paint_any(rng, height, width), torch.full((height, width), rng.uniform(0, 1)))
    count = rng.integer(3, 8)
    for index in range(1, count):
        edge = width * (index + rng.uniform(-0.25, 0.25)) / count
        distance = (edge - x).expand(height, -1)
        colour = _paint_within(distance, rng, paint=paint_any)
        canvas.cover(distance, colour=colour, nearness=torch.full_like(distance, rng.uniform(0, 1)))
    return canvas


def _blobs(rng: Rng, height: int, width: int) -> _Canvas:
    paint = rng.choice((paint_leaves, paint_cloud, paint_stripes))
    relief = spectral_noise(rng, height, width, exponent=rng.uniform(2.2, 3.0))
    return _Canvas(paint(rng, height, width) * _light(rng, height, width), 0.5 + 0.25 * relief)


def _leaves(rng: Rng, height: int, width: int) -> _Canvas:
    canvas = _Canvas(paint_leaves(rng, height, width), torch.zeros(height, width))
    y, x = coordinates(height, width)
    for level in sorted(rng.uniform(0.05, 1) for _ in range(rng.integer(12, 28))):
        radius = rng.uniform(0.04, 0.16) * min(height, width) * (0.6 + level)
        v, u = y - rng.uniform(0, height), x - rng.uniform(0, width)
        turn = torch.atan2(v, u)
        lobes = 1 + rng.uniform(0, 0.3) * torch.cos(rng.integer(2, 7) * turn + rng.uniform(0, 6))
        distance = torch.hypot(v, u) - radius * lobes
        canvas.shadow(distance, softness_px=0.1 * radius, strength=0.35)
        colour = _paint_within(distance, rng, paint=paint_any)
        canvas.cover(distance, colour=colour, nearness=torch.full_like(distance, level))
    return canvas


_LAYOUTS: dict[SceneKind, Callable[[Rng, int, int], _Canvas]] = {
    SceneKind.ROOM: _room,
    SceneKind.PLANES: _planes,
    SceneKind.CHART: _chart,
    SceneKind.STEPS: _steps,
    SceneKind.BLOBS: _blobs,
    SceneKind.LEAVES: _leaves,
}


def _slant(rng: Rng, height: int, width: int, *, level: float, tilt: float) -> Tensor:
    """Nearness of a plane: `level` at the centre, changing by up to `tilt` to either side."""
    y, x = coordinates(height, width)
    angle = rng.uniform(0, 2 * math.pi)
    steep = tilt * rng.uniform(0.3, 1)
    return level + steep * (math.sin(angle) * (y / height - 0.5) + math.cos(angle) * (x / width - 0.5))


def _light(rng: Rng, height: int, width: int) -> Tensor:
    """Soft light from one side (h, w), about 0.6 to 1."""
    return (1.05 - 0.4 * (_slant(rng, height, width, level=0.5, tilt=1.0))).clamp(0.5, 1.05)


def _rounded_box(y: Tensor, x: Tensor, half_height: float, half_width: float, *, corner: float) -> Tensor:
    """Distance in pixels to the edge of a box around the origin; negative inside."""
    v, u = y.abs() - half_height + corner, x.abs() - half_width + corner
    outside = torch.hypot(v.clamp_min(0), u.clamp_min(0))
    return outside + torch.maximum(v, u).clamp_max(0) - corner
