"""Scenes of thin structures before a textured wall: bars, fences, wires, branches.

The hardest case for blur maps and restoration: every pixel of the wall is near the edge of something at
another depth. Structures lie before the wall, the focal plane anywhere, so circles of confusion of both
signs and up to 40 px occur. The wall is known behind the structures as well, see `layered`. All ranges
are our own choices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ldp_core.optics.layered import Surface
from ldp_core.optics.rng import Rng
from ldp_core.optics.textures import (
    coordinates,
    draw_palette,
    paint_bricks,
    paint_cloud,
    paint_leaves,
    paint_print,
    paint_stripes,
    paint_wood,
    spectral_noise,
)

LARGEST_COC_PX = 40.0
_SMALLEST_STEP_PX = 8.0
_WALLS = (
    paint_bricks,
    paint_bricks,
    paint_leaves,
    paint_print,
    paint_stripes,
    paint_wood,
    paint_cloud,
)
_SCALED_BY_PX = 20.0
"""Things this far before the focal plane are drawn twice as large: what is near looks large, and a thin
wire out of focus would not be seen at all."""
_LOTS = 509
_SALT = 0x7415
"""Draws of scenes have nothing in common with other draws of the same seed and number."""


@dataclass(frozen=True, slots=True)
class FocalSetting:
    """Circles of confusion of the wall and of the structures nearest to the camera, in pixels."""

    wall_px: float
    front_px: float


def make_thin_structures(
    seed: int, number: int, *, size: tuple[int, int], largest_px: float = LARGEST_COC_PX
) -> list[Surface]:
    """The wall and one or two groups of structures before it, from the back to the front.

    Args:
        seed, number: scenes of different (seed, number) are drawn independently of each other.
        size: (height, width) in pixels.
        largest_px: no circle of confusion is larger.
    """
    rng = Rng.from_seeds(_SALT, seed, number)
    focus = _draw_focus(rng, largest_px=largest_px)
    surfaces = [_draw_wall(rng, *size, coc_px=focus.wall_px, largest_px=largest_px)]
    groups = 2 if rng.uniform(0, 1) < 0.3 else 1
    for depth in sorted(rng.uniform(0.35, 0.8) for _ in range(groups - 1)):
        between_px = focus.wall_px + depth * (focus.front_px - focus.wall_px)
        surfaces.append(_draw_structures(rng, *size, coc_px=between_px, largest_px=largest_px))
    surfaces.append(_draw_structures(rng, *size, coc_px=focus.front_px, largest_px=largest_px))
    return surfaces


def _draw_focus(rng: Rng, *, largest_px: float) -> FocalSetting:
    """In focus: the structures (.35), the wall (.25), between them (.2), before both or behind both (.1)."""
    lot, step = rng.uniform(0, 1), _draw_step(rng, largest_px)
    if lot < 0.35:
        front_px = rng.uniform(-1.5, 1.5)
        return FocalSetting(min(front_px + step, largest_px), front_px)
    if lot < 0.6:
        wall_px = rng.uniform(-1.5, 1.5)
        return FocalSetting(wall_px, max(wall_px - step, -largest_px))
    if lot < 0.8:
        share = rng.uniform(0.3, 0.7)
        scale = rng.uniform(1, 1.5)
        return FocalSetting(share * scale * step, (share - 1) * scale * step)
    behind = rng.uniform(0.15, 0.6) * (largest_px - step)
    pair = FocalSetting(min(behind + step, largest_px), behind)
    return pair if lot < 0.9 else FocalSetting(-pair.front_px, -pair.wall_px)


def _draw_step(rng: Rng, largest_px: float) -> float:
    """Circle of confusion between wall and structures: 8 px to the largest, small ones more often."""
    return _SMALLEST_STEP_PX * math.pow(largest_px / _SMALLEST_STEP_PX, rng.uniform(0, 1))


def _draw_wall(rng: Rng, height: int, width: int, *, coc_px: float, largest_px: float) -> Surface:
    colour = rng.choice(_WALLS)(rng, height, width)
    weather = rng.uniform(0.05, 0.15) * spectral_noise(rng, height, width, exponent=1.2)
    light = (1 + weather) * (1 + 0.3 * _ramp(rng, height, width))
    circle = _slant(rng, height, width, coc_px=coc_px, largest_px=largest_px)
    return Surface((colour * light).clamp(0, 1), torch.ones(height, width), circle)


def _draw_structures(rng: Rng, height: int, width: int, *, coc_px: float, largest_px: float) -> Surface:
    distance = draw_structure(rng, height, width, coc_px=coc_px)
    tone = rng.uniform(0.02, 0.3) if rng.uniform(0, 1) < 0.7 else rng.uniform(0.5, 1)
    hue = draw_palette(rng, 3)[rng.integer(0, 3), :, None, None]
    grain = 1 + 0.12 * spectral_noise(rng, height, width, exponent=0.9)
    roundness = 0.6 + 0.4 * (-distance / 6).clamp(0, 1)
    colour = (hue / hue.max().clamp_min(1e-3) * tone * grain * roundness).clamp(0, 1)
    circle = _slant(rng, height, width, coc_px=coc_px, largest_px=largest_px)
    return Surface(colour, (0.5 - distance).clamp(0, 1), circle)


def draw_structure(rng: Rng, height: int, width: int, *, coc_px: float) -> Tensor:
    """Distance in pixels (h, w) from the edge of bars, a fence, wires or branches; negative inside."""
    scale = 1 + max(-coc_px, 0.0) / _SCALED_BY_PX
    drawn = rng.choice(_STRUCTURES)(rng, round(height / scale), round(width / scale))
    return scale * F.interpolate(drawn[None, None], (height, width), mode="bilinear")[0, 0]


def _ramp(rng: Rng, height: int, width: int) -> Tensor:
    """A plane (h, w) from -1 to 1 at most, of any direction."""
    y, x = coordinates(height, width)
    angle = rng.uniform(0, 2 * math.pi)
    steep = rng.uniform(0, 1)
    return steep * (math.sin(angle) * (2 * y / height - 1) + math.cos(angle) * (2 * x / width - 1)) / 2**0.5


def _slant(rng: Rng, height: int, width: int, *, coc_px: float, largest_px: float) -> Tensor:
    """Circle of confusion of a plane: upright in half of all draws, else up to a fifth more at one side."""
    tilt = 0.2 * coc_px if rng.uniform(0, 1) < 0.5 else 0.0
    return (coc_px + tilt * _ramp(rng, height, width)).clamp(-largest_px, largest_px)


def _bars(rng: Rng, height: int, width: int) -> Tensor:
    """Distance to the edge of parallel bars (h, w), negative inside; each of its own width and place."""
    upright = rng.uniform(0, 1) < 0.7
    angle = rng.uniform(-0.12, 0.12) if upright else rng.uniform(0, math.pi)
    thickest = rng.uniform(5, 28)
    period = thickest * rng.uniform(2.2, 6)
    return _stripes(
        rng,
        height,
        width,
        angle=angle,
        period_px=period,
        thickness_px=(0.5 * thickest, thickest),
        jitter=0.15,
    )


def _fence(rng: Rng, height: int, width: int) -> Tensor:
    """Chain links, a grid of bars, or pickets on rails."""
    kind = rng.integer(0, 3)
    strand, period = rng.uniform(2, 6), rng.uniform(24, 70)
    if kind == 0:
        angle = rng.uniform(0.6, 1.0)
        crossing = (angle, -angle)
        thick = ((strand, strand), (strand, strand))
        periods = (period, period)
    elif kind == 1:
        crossing = (rng.uniform(-0.05, 0.05), math.pi / 2 + rng.uniform(-0.05, 0.05))
        thick = ((strand, strand), (strand, 2 * strand))
        periods = (period, period * rng.uniform(0.6, 1.6))
    else:
        crossing = (rng.uniform(-0.05, 0.05), math.pi / 2)
        picket = rng.uniform(8, 22)
        thick = ((picket, picket), (1.5 * strand, 2 * strand))
        periods = (picket * rng.uniform(1.8, 3.5), rng.uniform(90, 180))
    families = [
        _stripes(rng, height, width, angle=a, period_px=p, thickness_px=t, jitter=0.0)
        for a, p, t in zip(crossing, periods, thick, strict=True)
    ]
    return torch.minimum(*families)


def _stripes(
    rng: Rng,
    height: int,
    width: int,
    *,
    angle: float,
    period_px: float,
    thickness_px: tuple[float, float],
    jitter: float,
) -> Tensor:
    """Distance to straight stripes; `angle` 0 is upright."""
    y, x = coordinates(height, width)
    across = (x - width / 2) * math.cos(angle) + (y - height / 2) * math.sin(angle)
    place = across / period_px + rng.uniform(0, 1)
    index = place.round()
    lots = rng.uniforms(2 * _LOTS).view(2, _LOTS)[:, index.long() % _LOTS]
    offset = (place - index - jitter * (2 * lots[0] - 1)) * period_px
    thick = thickness_px[0] + (thickness_px[1] - thickness_px[0]) * lots[1]
    return offset.abs() - thick / 2


def _wires(rng: Rng, height: int, width: int) -> Tensor:
    """Slack wires across the picture, mostly level."""
    y, x = coordinates(height, width)
    upright = rng.uniform(0, 1) < 0.25
    along, over = (y, x) if upright else (x, y)
    length, breadth = (height, width) if upright else (width, height)
    distance = torch.full((height, width), math.inf)
    for _ in range(rng.integer(5, 13)):
        slope, sag = rng.uniform(-0.35, 0.35), rng.uniform(0, 0.12) * length
        u = along / length - rng.uniform(0.2, 0.8)
        line = rng.uniform(0, 1) * breadth + slope * length * u + 4 * sag * u * u
        rise = slope + 8 * sag * u / length
        thick = rng.uniform(1.5, 7)
        distance = torch.minimum(distance, (over - line).abs() / (1 + rise * rise).sqrt() - thick / 2)
    return distance


def _branches(rng: Rng, height: int, width: int) -> Tensor:
    """Boughs that grow in from the edges of the picture, fork and thin out; at times with leaves."""
    distance = torch.full((height, width), 1e6)
    leafy = rng.uniform(0, 1) < 0.3
    for _ in range(rng.integer(2, 5)):
        place = rng.uniform(0, 1)
        starts = (
            (height, place * width, -math.pi / 2),
            (place * height, 0.0, 0.0),
            (place * height, width, math.pi),
        )
        y, x, heading = rng.choice(starts)
        radius = rng.uniform(4, 11)
        _grow(distance, rng, y=y, x=x, heading=heading, radius=radius, leafy=leafy)
    return distance


def _grow(
    distance: Tensor, rng: Rng, *, y: float, x: float, heading: float, radius: float, leafy: bool
) -> None:
    """Add a bough and all that springs from it to a distance map, in place."""
    ends = [(y, x, heading, radius)]
    for _ in range(160):
        if not ends:
            return
        y, x, heading, radius = ends.pop(0)
        length = rng.uniform(4, 8) * (radius + 3)
        y2, x2 = y + length * math.sin(heading), x + length * math.cos(heading)
        _add_limb(distance, (y, x), (y2, x2), radii=(radius, 0.85 * radius))
        if radius < 1.2:
            if leafy:
                _add_limb(distance, (y2, x2), (y2 + 6, x2 + 3), radii=(4.0, 2.0))
            continue
        ends.append((y2, x2, heading + rng.uniform(-0.4, 0.4), 0.82 * radius))
        if rng.uniform(0, 1) < 0.6:
            turn = rng.choice((-1, 1)) * rng.uniform(0.4, 1.0)
            ends.append((y2, x2, heading + turn, rng.uniform(0.5, 0.7) * radius))


def _add_limb(
    distance: Tensor,
    start: tuple[float, float],
    stop: tuple[float, float],
    *,
    radii: tuple[float, float],
) -> None:
    """Lower a distance map to that of a tapered rod wherever the rod is near."""
    reach = radii[0] + 8
    spans = []
    for a, b, length in zip(start, stop, distance.shape, strict=True):
        spans.append(slice(max(int(min(a, b) - reach), 0), max(min(int(max(a, b) + reach) + 1, length), 0)))
    window = distance[spans[0], spans[1]]
    if not window.numel():
        return
    y, x = coordinates(*window.shape)
    v, u = y + spans[0].start - start[0], x + spans[1].start - start[1]
    dv, du = stop[0] - start[0], stop[1] - start[1]
    along = ((v * dv + u * du) / max(dv * dv + du * du, 1e-6)).clamp(0, 1)
    rod = torch.hypot(v - along * dv, u - along * du) - (radii[0] + along * (radii[1] - radii[0]))
    torch.minimum(window, rod, out=window)


_STRUCTURES: tuple[Callable[[Rng, int, int], Tensor], ...] = (_bars, _bars, _fence, _wires, _branches)
