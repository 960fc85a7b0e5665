"""What a camera and a file format add to rendered views: noise, unequal gain, palettes, grey.

All ranges are our own choices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from pydantic import Field

from ldp_core.settings import Settings

Bytes = NDArray[np.uint8]
Image = NDArray[np.float32]


class CameraSettings(Settings):
    """How views are degraded. Shares are probabilities per photograph."""

    palette_share: float = Field(default=0.4, ge=0, le=1)
    noise_share: float = Field(default=0.5, ge=0, le=1)
    largest_noise: float = Field(default=0.03, ge=0)
    grey_share: float = Field(default=0.15, ge=0, le=1)
    gain_deviation: float = Field(default=0.02, ge=0)


def take_views(
    rng: np.random.Generator, left: Image, right: Image, *, settings: CameraSettings
) -> tuple[Bytes, Bytes]:
    """The views (h, w, 3) in 0..1 as a file holds them; equal planes stay equal, without a palette."""
    grey = not np.ptp(left, axis=2).any()
    gain = 1 + _draw_ramp(rng, left.shape[1]) * settings.gain_deviation
    views = [left * gain, right * (2 - gain)]
    if rng.random() < settings.noise_share:
        read, shot = settings.largest_noise * np.exp(rng.uniform(-3, 0, 2))
        planes = 1 if grey else 3
        views = [add_noise(rng, view[..., :planes], read=read, shot=shot) for view in views]
    stored = [to_bytes(np.broadcast_to(view, left.shape)) for view in views]
    if not grey and rng.random() < settings.palette_share:
        colours = int(rng.integers(96, 257))
        stored = [reduce_palette(view, colours=colours) for view in stored]
    return stored[0], stored[1]


def reduce_palette(view: Bytes, *, colours: int) -> Bytes:
    """(h, w, 3) uint8 in a palette of its own, with error diffusion, as animated GIFs are stored."""
    image = PilImage.fromarray(view)
    palette = image.quantize(colours, method=PilImage.Quantize.MEDIANCUT)
    dithered = image.quantize(palette=palette, dither=PilImage.Dither.FLOYDSTEINBERG)
    return np.asarray(dithered.convert("RGB"))


def add_noise(rng: np.random.Generator, view: Image, *, read: float, shot: float) -> Image:
    """Poisson-Gaussian noise on values 0..1: variance `read**2 + shot**2 * value`; clipped."""
    deviation = np.sqrt(read**2 + shot**2 * view.clip(0, 1))
    noise = rng.standard_normal(view.shape, dtype=np.float32)
    return np.asarray((view + deviation * noise).clip(0, 1), dtype=np.float32)


def to_bytes(view: Image) -> Bytes:
    return np.asarray(view.clip(0, 1) * 255 + 0.5, dtype=np.uint8)


def _draw_ramp(rng: np.random.Generator, width: int) -> Image:
    """(1, w, 1): a straight line across the view, of normal deviation."""
    start, stop = rng.standard_normal(2)
    return np.linspace(start, stop, width, dtype=np.float32)[None, :, None]
