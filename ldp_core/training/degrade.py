"""What a camera and a file format add to rendered views: noise, unequal gain, palettes, grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage

Bytes = NDArray[np.uint8]
Image = NDArray[np.float32]


def reduce_palette(view: Bytes, *, colours: int) -> Bytes:
    """(h, w, 3) uint8 in a palette of its own, with error diffusion, as animated GIFs are stored."""
    image = PilImage.fromarray(view)
    palette = image.quantize(colours, method=PilImage.Quantize.MEDIANCUT)
    dithered = image.quantize(palette=palette, dither=PilImage.Dither.FLOYDSTEINBERG)
    return np.asarray(dithered.convert("RGB"))


def add_noise(rng: np.random.Generator, view: Image, *, read: float, shot: float) -> Image:
    """Poisson-Gaussian noise on values 0..1: variance `read**2 + shot**2 * value`; clipped."""
    deviation = np.sqrt(read**2 + shot**2 * view)
    noise = rng.standard_normal(view.shape, dtype=np.float32)
    return np.asarray((view + deviation * noise).clip(0, 1), dtype=np.float32)
