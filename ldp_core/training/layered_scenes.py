"""Training scenes of the wider kind: things before a photograph, circles of confusion up to 40 px.

Behind lies a photograph with its own depth, a borrowed or a drawn one; before it stand up to two groups
of thin structures or outlines, each with all that it hides (see `ldp_core.optics.layered`). The focal
plane lies at the front, within the background, between the two, or beyond either. All draws are our own
choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from scipy.ndimage import distance_transform_edt, gaussian_filter
from torch import Tensor

from ldp_core.cameras import Camera
from ldp_core.optics.kernels import Kernel
from ldp_core.optics.layered import KernelField, Surface, flatten_surfaces, render_surfaces
from ldp_core.optics.rng import Rng
from ldp_core.optics.sensor import Transfer
from ldp_core.optics.thin_structures import draw_structure
from ldp_core.settings import Settings
from ldp_core.training.lenses import draw_camera, uniform_camera
from ldp_core.training.scenes import LensSettings, choose, draw_kernel, frame_picture, resize
from ldp_core.training.sources import (
    Image,
    Sources,
    draw_layout,
    draw_outline,
    draw_picture,
    read_nearness,
    read_photo,
)


class LayeredSettings(Settings):
    """What scenes look like. Shares are probabilities."""

    height: int = Field(default=256, ge=64)
    width: int = Field(default=384, ge=64)
    lens: LensSettings = LensSettings()
    field_share: float = Field(default=0.0, ge=0, le=1)
    """How often the kernels are those of a camera's frame, from place to place; else one of `lens`."""
    largest_coc_px: float = Field(default=40.0, gt=0, le=128)
    large_share: float = Field(default=0.35, ge=0, le=1)
    """How often the largest circle of confusion is beyond half of the largest there is."""
    sharp_share: float = Field(default=0.03, ge=0, le=1)
    flat_share: float = Field(default=0.05, ge=0, le=1)
    foreground_share: float = Field(default=0.5, ge=0, le=1)
    registered_share: float = Field(default=0.2, ge=0, le=1)
    procedural_share: float = Field(default=0.05, ge=0, le=1)
    slices: int = Field(default=12, ge=3)

    @property
    def margin_px(self) -> int:
        """Scene beyond the frame on each side, so that blur draws on it as a camera does."""
        return int(np.ceil(self.largest_coc_px / 2)) + 4


@dataclass(frozen=True, slots=True)
class LayeredScene:
    """Surfaces from the back to the front, a margin around them; the camera; how light is encoded."""

    surfaces: tuple[Surface, ...]
    camera: Camera
    transfer: Transfer
    margin_px: int

    @property
    def kernel(self) -> Kernel | KernelField:
        """The kernel, or the kernels by place in half widths of the scene with its margin."""
        if (kernel := self.camera.uniform_kernel) is not None:
            return kernel
        if (frame := self.camera.profile.frame) is None:
            raise ValueError("kernels by place need a frame")
        share = self.surfaces[0].coverage.shape[1] / frame.width
        return lambda x, y: self.camera.kernel_at(frame.centre_x + share * x, frame.centre_y + share * y)


@dataclass(frozen=True, slots=True)
class RenderedScene:
    """Views and truth (3, h, w) encoded 0..1, and `coc_px` (h, w); free of noise."""

    left: Tensor
    right: Tensor
    sharp: Tensor
    coc_px: Tensor


def draw_layered_scene(rng: np.random.Generator, sources: Sources, settings: LayeredSettings) -> LayeredScene:
    """One scene; the same generator state gives the same scene."""
    shape = (settings.height + 2 * settings.margin_px, settings.width + 2 * settings.margin_px)
    sharp, nearness = _draw_background(rng, sources, settings, shape)
    groups = 0 if rng.random() >= settings.foreground_share else int(rng.integers(1, 3))
    depths = _draw_depths(rng, groups, settings)
    surfaces = [Surface(_planes(sharp), torch.ones(shape), _plane(depths.spread(nearness)))]
    surfaces += [_draw_group(rng, sources, shape, coc_px=coc_px) for coc_px in depths.groups_px]
    camera = uniform_camera(draw_kernel(rng, settings.lens))
    if settings.field_share and rng.random() < settings.field_share:
        camera = draw_camera(rng, shape)
    transfer = Transfer.SRGB if rng.random() < 0.5 else Transfer.GAMMA_22
    return LayeredScene(tuple(surfaces), camera, transfer, settings.margin_px)


def render_layered_scene(scene: LayeredScene, *, slices: int, device: str = "cpu") -> RenderedScene:
    """Both views of a scene and its truth, the margin cut off."""
    surfaces = [
        Surface(*(part.to(device) for part in (surface.colour, surface.coverage, surface.coc_px)))
        for surface in scene.surfaces
    ]
    views = render_surfaces(surfaces, scene.kernel, slices=slices, transfer=scene.transfer, nodes=(2, 2))
    truth = flatten_surfaces(surfaces, transfer=scene.transfer)
    m = scene.margin_px
    return RenderedScene(*(planes[..., m:-m, m:-m] for planes in (*views, *truth)))


@dataclass(frozen=True, slots=True)
class _Depths:
    """Circles of confusion of the background's farthest and nearest points, and of groups before it."""

    far_px: float
    near_px: float
    groups_px: tuple[float, ...]

    def spread(self, nearness: Image) -> Image:
        return (self.far_px + (self.near_px - self.far_px) * nearness).astype(np.float32)


def _draw_depths(rng: np.random.Generator, groups: int, settings: LayeredSettings) -> _Depths:
    """Places on the axis along which the circle of confusion is linear, then the focal plane on it."""
    lot = rng.random()
    if lot < settings.sharp_share:
        return _Depths(0.0, 0.0, (0.0,) * groups)
    half = settings.largest_coc_px / 2
    strength = rng.uniform(half, 2 * half) if rng.random() < settings.large_share else rng.uniform(1.5, half)
    if lot < settings.sharp_share + settings.flat_share:
        flat = float(strength * choose(rng, (-1, 1)))
        return _Depths(flat, flat, (flat,) * groups)
    span = rng.uniform(0, 0.5) if groups else 1.0
    places = np.array([0.0, -span, *(-span - np.cumsum(rng.uniform(0.25, 1, groups)))])
    places -= _draw_focus(rng, places)
    coc_px = places / np.abs(places).max() * strength
    return _Depths(float(coc_px[0]), float(coc_px[1]), tuple(float(value) for value in coc_px[2:]))


def _draw_focus(rng: np.random.Generator, places: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """At the front (.45), somewhere in the background (.25), between (.2), beyond the scene (.1)."""
    front, near, lot = float(places[-1]), float(places[1]), rng.random()
    if lot < 0.45:
        return front + rng.uniform(-0.05, 0.05)
    if lot < 0.7:
        return rng.uniform(near, 0)
    if lot < 0.9:
        return rng.uniform(front, 0)
    return choose(rng, (front - rng.uniform(0.1, 1), rng.uniform(0.1, 1)))


def _draw_background(
    rng: np.random.Generator, sources: Sources, settings: LayeredSettings, shape: tuple[int, int]
) -> tuple[Image, Image]:
    """A sharp picture (h, w, 3) and its nearness (h, w)."""
    kind = rng.random()
    if sources.registered and kind < settings.registered_share:
        photo = choose(rng, sources.registered)
        if photo.map_path is not None:
            sharp = read_photo(photo.path)
            nearness = read_nearness(photo.map_path, is_depth=photo.map_is_depth)
            nearness = resize(nearness, sharp.shape[:2])
            return _flip(rng, *frame_picture(rng, sharp, shape, nearness))
    if not sources.photos or kind > 1 - settings.procedural_share:
        sharp = draw_picture(rng, shape)
    else:
        sharp = _draw_photo(rng, sources, shape)
    return _flip(rng, sharp, _draw_nearness(rng, sources, shape))


def _flip(rng: np.random.Generator, sharp: Image, nearness: Image) -> tuple[Image, Image]:
    return (sharp[:, ::-1], nearness[:, ::-1]) if rng.random() < 0.5 else (sharp, nearness)


def _draw_photo(rng: np.random.Generator, sources: Sources, shape: tuple[int, int]) -> Image:
    return frame_picture(rng, read_photo(sources.draw_photo(rng).path), shape)[0]


def _draw_nearness(rng: np.random.Generator, sources: Sources, shape: tuple[int, int]) -> Image:
    """A slanted or gently rolling surface, a borrowed layout, or a drawn one with edges."""
    lot = rng.random()
    if lot < 0.3:
        return _draw_smooth(rng, shape)
    if not sources.layouts or lot < 0.5:
        return draw_layout(rng, shape)
    return frame_picture(rng, read_nearness(choose(rng, sources.layouts))[..., None], shape)[0][..., 0]


def _draw_smooth(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    relief = gaussian_filter(rng.standard_normal(shape).astype(np.float32), 0.2 * shape[0])
    relief /= max(float(np.abs(relief).max()), 1e-9)
    plane = rng.normal() * x + rng.normal() * y + rng.uniform(0, 0.5) * relief
    return np.asarray((plane - plane.min()) / max(float(np.ptp(plane)), 1e-6), dtype=np.float32)


def _draw_group(
    rng: np.random.Generator, sources: Sources, shape: tuple[int, int], *, coc_px: float
) -> Surface:
    """Things at one distance or on one slanted plane, of a photograph's or of a plain material."""
    distance = _draw_distance(rng, shape, coc_px=coc_px)
    if sources.photos and rng.random() < 0.5:
        colour = _draw_photo(rng, sources, shape) * rng.uniform(0.5, 1)
    else:
        colour = _draw_plain(rng, shape)
    y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    tilt = rng.uniform(0, 0.2) * (rng.uniform(-1, 1) * x + rng.uniform(-1, 1) * y)
    coverage = np.asarray(np.clip(0.5 - distance, 0, 1), dtype=np.float32)
    return Surface(_planes(colour), _plane(coverage), _plane((coc_px * (1 + tilt)).astype(np.float32)))


def _draw_distance(rng: np.random.Generator, shape: tuple[int, int], *, coc_px: float) -> Image:
    """Distance (h, w) to the edge of things, negative inside: thin ones mostly, else whole outlines."""
    if rng.random() < 0.65:
        own = Rng.from_seeds(int(rng.integers(2**62)))
        return np.asarray(draw_structure(own, *shape, coc_px=coc_px).numpy())
    inside = np.zeros(shape, dtype=bool)
    for _ in range(int(rng.integers(1, 4))):
        inside |= draw_outline(rng, shape)
    inner, outer = (np.asarray(distance_transform_edt(part)) for part in (inside, ~inside))
    return np.asarray(np.where(inside, 0.5 - inner, outer - 0.5), dtype=np.float32)


def _draw_plain(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """One colour, dark more often than not, with grain."""
    tone = rng.uniform(0.02, 0.3) if rng.random() < 0.65 else rng.uniform(0.4, 1)
    grain = gaussian_filter(rng.standard_normal(shape).astype(np.float32), float(rng.uniform(0.5, 4)))
    grain *= rng.uniform(0, 0.25) / max(float(grain.std()), 1e-6)
    hue = rng.uniform(0.6, 1, 3).astype(np.float32)
    return np.asarray((tone * hue * (1 + grain[..., None])).clip(0, 1), dtype=np.float32)


def _planes(picture: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1), dtype=np.float32).clip(0, 1))


def _plane(values: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
