"""Materials to cover surfaces with, made from noise, palettes and type; each (3, h, w) in 0..1.

Ranges that are drawn from were chosen by eye, for variety; what a seed paints must not change.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ldp_core.optics.rng import Rng
from ldp_core.signals import fast_size

_TEXT = (
    "aperture focus lens pixel light depth sharp blur circle of confusion left right view phase "
    "sensor plane near far point spread disparity field edge bokeh stop image 50 mm f/4 f/2.8 1:1"
)
_HUES = ((0.04, 0.12), (0.04, 0.12), (0.22, 0.38), (0.54, 0.63), (0.0, 1.0))
"""Earth twice, foliage, sky, anything."""


def coordinates(height: int, width: int) -> tuple[Tensor, Tensor]:
    """y (h, 1) and x (1, w) of the pixel centres, in pixels."""
    return torch.arange(height, dtype=torch.float32)[:, None], torch.arange(width, dtype=torch.float32)[None]


def spectral_noise(rng: Rng, height: int, width: int, *, exponent: float) -> Tensor:
    """Noise (h, w) of mean 0 and deviation 1 whose amplitude falls with frequency as 1/f^exponent.

    Photographs of nature have an exponent near 1 (Field, JOSA A 1987).
    """
    rows, columns = fast_size(height, width)
    frequency = torch.hypot(torch.fft.fftfreq(rows)[:, None], torch.fft.rfftfreq(columns)[None])
    frequency[0, 0] = 1.0
    spectrum = torch.fft.rfft2(rng.normal(rows, columns)) * frequency**-exponent
    spectrum[0, 0] = 0.0
    noise = torch.fft.irfft2(spectrum, s=(rows, columns))[:height, :width]
    return torch.as_tensor((noise - noise.mean()) / noise.std().clamp_min(1e-6))


def draw_palette(rng: Rng, count: int) -> Tensor:
    """Related colours (count, 3), dark to light, mostly of the hues of earth, leaves and sky."""
    hue, spread = rng.uniform(*rng.choice(_HUES)), rng.uniform(0.01, 0.08)
    saturation, dark = rng.uniform(0.08, 0.65), rng.uniform(0.08, 0.3)
    light = rng.uniform(max(dark + 0.35, 0.6), 0.96)
    return torch.tensor(
        [
            colorsys.hsv_to_rgb(
                (hue + spread * (2 * step - 1)) % 1,
                saturation * (1 - 0.5 * step),
                dark + (light - dark) * step,
            )
            for step in (index / max(count - 1, 1) for index in range(count))
        ]
    )


def blend_palette(palette: Tensor, place: Tensor) -> Tensor:
    """Colours (3, h, w) at places (h, w) in 0..1 along a palette, linear in between."""
    scaled = place.clamp(0, 1) * (len(palette) - 1)
    lower = scaled.floor().long().clamp_max(len(palette) - 2)
    share = (scaled - lower)[..., None]
    return (palette[lower] * (1 - share) + palette[lower + 1] * share).permute(2, 0, 1)


def paint_cloud(rng: Rng, height: int, width: int) -> Tensor:
    """Mottled surface with detail at every scale: stone, plaster, foliage from afar."""
    coarse = spectral_noise(rng, height, width, exponent=rng.uniform(1.0, 1.6))
    fine = spectral_noise(rng, height, width, exponent=rng.uniform(0.6, 1.0))
    colour = blend_palette(draw_palette(rng, 4), 0.5 + rng.uniform(0.08, 0.22) * coarse)
    return (colour * (1 + rng.uniform(0.05, 0.16) * fine)).clamp(0, 1)


def paint_stripes(rng: Rng, height: int, width: int) -> Tensor:
    """Woven stripes or checks, straight or gently waved."""
    y, x = coordinates(height, width)
    angle, period = rng.uniform(0, math.pi), rng.uniform(5, 34)
    wave = rng.uniform(0, 0.8) * period * torch.sin(y / rng.uniform(20, 90))
    across = (x * math.cos(angle) + y * math.sin(angle) + wave) / period
    along = (y * math.cos(angle) - x * math.sin(angle)) / period
    pattern = _square_wave(across, sharpness=period / 2)
    if rng.uniform(0, 1) < 0.5:
        pattern = (pattern + _square_wave(along, sharpness=period / 2)) / 2
    thread = 0.05 * spectral_noise(rng, height, width, exponent=0.4)
    return (blend_palette(draw_palette(rng, 3), pattern) * (1 + thread)).clamp(0, 1)


def paint_bricks(rng: Rng, height: int, width: int) -> Tensor:
    """Rows of bricks or tiles in mortar, each of its own shade."""
    y, x = coordinates(height, width)
    tall = rng.uniform(10, 30)
    wide = tall * rng.uniform(1.0, 2.6)
    row = (y / tall).floor()
    shifted = x + (row % 2) * wide * 0.5
    edge = torch.minimum(_edge_distance(y.expand(-1, width), tall), _edge_distance(shifted, wide))
    # A table of 997 shades, a prime, and strides of 31 and 17: neighbouring bricks never share a shade.
    shade = rng.uniforms(997)[((shifted / wide).floor() * 31 + row * 17).long() % 997]
    relief = 0.1 * spectral_noise(rng, height, width, exponent=0.9)
    bricks = blend_palette(draw_palette(rng, 3), 0.25 + 0.5 * shade + relief)
    mortar = rng.uniform(0.35, 0.8) * (1 + relief)
    inside = ((edge - rng.uniform(0.6, 1.6)) + 0.5).clamp(0, 1)
    return (bricks * inside + mortar * (1 - inside)).clamp(0, 1)


def paint_wood(rng: Rng, height: int, width: int) -> Tensor:
    """Planks with long, warped grain."""
    y, x = coordinates(height, width)
    grain = spectral_noise(rng, height, max(width // 10, 8), exponent=1.2)
    stretched = torch.nn.functional.interpolate(grain[None, None], (height, width), mode="bilinear")[0, 0]
    rings = torch.sin(y / rng.uniform(2.5, 6) + 2.5 * stretched)
    plank = rng.uniform(26, 60)
    seam = (_edge_distance(y, plank) - 0.2).clamp(0, 1)
    shade = rng.uniforms(64)[(y / plank).floor().long() % 64]
    hue = rng.uniform(0.04, 0.11)
    tones = [colorsys.hsv_to_rgb(hue, s, v) for s, v in ((0.62, 0.25), (0.55, 0.5), (0.42, 0.76))]
    place = 0.3 + 0.4 * shade + 0.1 * rings + 0.1 * stretched
    return blend_palette(torch.tensor(tones), place + 0 * x) * (0.35 + 0.65 * seam)


def paint_print(rng: Rng, height: int, width: int) -> Tensor:
    """Lines of type in several sizes on tinted paper."""
    page = Image.new("L", (width, height), 0)
    pen = ImageDraw.Draw(page)
    top, smallest = rng.uniform(1, 6), min(8.0, height / 4)
    while top < height:
        size = max(smallest, min(rng.uniform(0.05, 0.16) * height, width / 5, 44.0))
        _write_line(pen, rng, top=top, size=size, width=width)
        top += 1.25 * size
    ink = torch.from_numpy(np.array(page, dtype=np.float32) / 255)
    tones = draw_palette(rng, 2)
    fibre = 1 + 0.03 * spectral_noise(rng, height, width, exponent=0.6)
    return (tones[1, :, None, None] * (1 - ink) + 0.4 * tones[0, :, None, None] * ink).mul(fibre).clamp(0, 1)


def _write_line(pen: ImageDraw.ImageDraw, rng: Rng, *, top: float, size: float, width: int) -> None:
    words, font, left = _TEXT.split(), ImageFont.load_default(max(size, 1.0)), rng.uniform(0, size)
    while left < width:
        word = rng.choice(words) + " "
        pen.text((left, top), word, fill=255, font=font)
        left += pen.textlength(word, font=font)


def paint_leaves(rng: Rng, height: int, width: int) -> Tensor:
    """Overlapping discs of power-law size: the dead-leaves model (Lee, Mumford and Huang, IJCV 2001)."""
    canvas = paint_cloud(rng, height, width)
    palette = draw_palette(rng, 5)
    largest = 0.2 * min(height, width)
    # One disc per 700 pixels, within bounds: small pictures stay varied, large ones quick to paint.
    for _ in range(max(60, min(500, height * width // 700))):
        radius = min(2.0 * rng.uniform(0.0004, 1) ** -0.6, largest)
        centre = rng.uniform(0, height), rng.uniform(0, width)
        tone = blend_palette(palette, torch.full((1, 1), rng.uniform(0, 1)))
        _stamp_disc(canvas, centre=centre, radius=radius, colour=tone)
    return canvas.clamp(0, 1)


Painter = Callable[[Rng, int, int], Tensor]
PAINTERS: tuple[Painter, ...] = (
    paint_cloud,
    paint_stripes,
    paint_bricks,
    paint_wood,
    paint_print,
    paint_leaves,
)


def paint_any(rng: Rng, height: int, width: int) -> Tensor:
    """One of the materials, drawn at random."""
    return rng.choice(PAINTERS)(rng, height, width)


def _square_wave(phase: Tensor, *, sharpness: float) -> Tensor:
    """0..1 with edges one pixel wide when `sharpness` is half a period in pixels."""
    return (0.5 + sharpness * (0.5 - 2 * (phase - phase.floor() - 0.5).abs())).clamp(0, 1)


def _edge_distance(place: Tensor, period: float) -> Tensor:
    within = place % period
    return torch.minimum(within, period - within)


def _stamp_disc(canvas: Tensor, *, centre: tuple[float, float], radius: float, colour: Tensor) -> None:
    top, left = (max(int(c - radius - 1), 0) for c in centre)
    bottom, right = (int(c + radius + 2) for c in centre)
    window = canvas[:, top:bottom, left:right]
    y, x = coordinates(window.shape[1], window.shape[2])
    distance = torch.hypot(y + top - centre[0], x + left - centre[1])
    cover = (radius - distance + 0.5).clamp(0, 1)
    shade = 1 - 0.25 * (distance / max(radius, 1)).clamp(0, 1) ** 2
    window.mul_(1 - cover).add_(colour * cover * shade)
