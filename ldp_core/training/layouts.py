"""Procedural depth layouts and pictures: training scenes where no photographs are at hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Image = NDArray[np.float32]


def draw_layout(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Nearness (h, w) float32 in 0..1: a slanted ground with up to eight slanted things before it."""
    nearness = draw_slant(rng, shape)
    for _ in range(int(rng.integers(0, 9))):
        thing = draw_slant(rng, shape) * 0.3 + rng.uniform(0, 0.9)
        nearness = np.where(draw_outline(rng, shape), np.maximum(nearness, thing), nearness)
    return scale_to_unit(nearness)


def draw_slant(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """A plane of any inclination, 0..1."""
    y, x = unit_grid(shape)
    angle = rng.uniform(0, 2 * np.pi)
    return scale_to_unit(np.cos(angle) * x + np.sin(angle) * y) * np.float32(rng.uniform(0, 1))


def draw_outline(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """An ellipse, a bar or a wavy blob somewhere in the frame."""
    y, x = unit_grid(shape)
    angle = rng.uniform(0, np.pi)
    dy, dx = y - rng.uniform(-1, 1), x - rng.uniform(-1, 1)
    u = np.abs(np.cos(angle) * dx + np.sin(angle) * dy) / rng.uniform(0.05, 0.7)
    v = np.abs(np.cos(angle) * dy - np.sin(angle) * dx) / rng.uniform(0.05, 0.7)
    if rng.random() < 0.4:
        return np.asarray(np.maximum(u, v) < 1)
    wave = rng.uniform(0, 0.4) * np.sin(rng.integers(2, 9) * np.arctan2(dy, dx) + rng.uniform(0, 6))
    return np.asarray(np.hypot(u, v) < 1 + wave)


def draw_picture(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """A sharp picture (h, w, 3) float32 in 0..1: coloured shapes with texture of every scale."""
    picture = np.broadcast_to(draw_colour(rng), (*shape, 3)).copy()
    for _ in range(int(rng.integers(20, 60))):
        inside = draw_outline(rng, shape)[..., None]
        texture = draw_texture(rng, shape)[..., None] * rng.uniform(0, 0.5)
        picture = np.where(inside, draw_colour(rng) + texture, picture)
    return np.asarray(picture.clip(0, 1), dtype=np.float32)


def draw_texture(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Filtered noise (h, w) of zero mean and unit deviation, fine or coarse, often with a direction."""
    sigma = np.exp(rng.uniform(np.log(0.4), np.log(8), 2))
    noise = gaussian_filter(rng.standard_normal(shape).astype(np.float32), sigma)
    return np.asarray((noise - noise.mean()) / max(float(noise.std()), 1e-6), dtype=np.float32)


def draw_colour(rng: np.random.Generator) -> Image:
    return (rng.uniform(0, 1) * rng.uniform(0.5, 1, 3)).astype(np.float32)


def unit_grid(shape: tuple[int, int]) -> tuple[Image, Image]:
    """Row and column coordinates in -1..1, each (h, w) or broadcastable to it."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    return y, x


def scale_to_unit(values: NDArray[np.floating]) -> Image:
    """Affinely onto 0..1; a constant gives 0."""
    low, high = values.min(), values.max()
    return np.asarray((values - low) / max(float(high - low), 1e-6), dtype=np.float32)
