"""Training scenes: a sharp picture, a circle of confusion for each pixel, a lens, and the two views.

Ranges of blur are drawn as disparities, because those are what is known of real cameras: 0 to +5 px
for most of DPDD at half size, down to about -2 px. All draws are our own choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PilImage
from pydantic import Field
from torch import Tensor

from ldp_core.optics.kernels import KernelFamily, KernelSpec, disparity_per_coc
from ldp_core.optics.render import render_views
from ldp_core.optics.sensor import Transfer
from ldp_core.settings import Settings
from ldp_core.training.sources import (
    Image,
    Photo,
    Sources,
    draw_layout,
    draw_picture,
    read_nearness,
    read_photo,
)

T = TypeVar("T")
# The calibration of the Pixel 4 has so many kernels, one for each part of the frame.
_MEASURED_CELLS = 48
_SPLIT_FAMILIES = (KernelFamily.HALF_DISC, KernelFamily.BUTTERWORTH, KernelFamily.TRANSLATING_DISC)
# In twentieths. Off-axis kernels reproduce the Pixel 4 best, half disc and Butterworth the R6 II
# (infra/measurements.md, "Simulated optics against cameras").
_CAMERA_FAMILIES = (
    *(KernelFamily.OFF_AXIS,) * 9,
    *(KernelFamily.HALF_DISC,) * 7,
    *(KernelFamily.BUTTERWORTH,) * 2,
    *(KernelFamily.TRANSLATING_DISC,) * 2,
)
# A lens that hardly splits the views would need endless blur for the disparity drawn.
_LEAST_DISPARITY_PER_COC = 0.08


class LensSettings(Settings):
    """Which lenses scenes are seen through."""

    # The mix that fits two cameras best restores their photographs worse: 25.95 dB against 26.02 on the Canon
    # scenes, 26.23 against 26.70 on the Pixel 4 (infra/measurements.md, "Lenses for training").
    mix: Literal["broad", "cameras"] = "broad"
    """Half of them near one fitted half-disc and the rest of any form, or forms and ranges as
    `ldp evaluate optics` fits them to two cameras."""
    families: tuple[KernelFamily, ...] = ()
    """Forms of the mix; its own, if none are named. One named more often is drawn more often."""
    fitted_share: float = Field(default=0.5, ge=0, le=1)
    """How often a lens of the broad mix is the fitted half-disc."""
    # The R6 II asks for about .3. The disparity estimator assumes none, so its map comes out too small.
    largest_crosstalk: float = Field(default=0.35, ge=0, le=0.5)
    """Of the mix of cameras."""
    measured_path: str = ""
    """Folder of calibrated kernels, for the family `measured`."""


class SceneSettings(Settings):
    """What scenes look like. Shares are probabilities."""

    height: int = Field(default=256, ge=64)
    width: int = Field(default=384, ge=64)
    lens: LensSettings = LensSettings()
    # DPDD at half size shows about -2 to +5 px; a margin on both sides.
    largest_disparity_px: float = Field(default=6.5, gt=0)
    smallest_disparity_px: float = Field(default=-2.5, le=0)
    # The cache stores 8 bit in steps of .25 px: 31.75 px would be the end.
    largest_coc_px: float = Field(default=26.0, gt=0)
    # Scenes sharp all over, and scenes at one distance: so that the network leaves the sharp alone.
    sharp_share: float = Field(default=0.03, ge=0, le=1)
    flat_share: float = Field(default=0.07, ge=0, le=1)
    registered_share: float = Field(default=0.2, ge=0, le=1)
    procedural_share: float = Field(default=0.05, ge=0, le=1)
    slices: int = Field(default=14, ge=3)


@dataclass(frozen=True, slots=True)
class Scene:
    """`sharp` (3, h, w) in 0..1, `coc_px` (h, w) signed diameters, and the lens's kernel."""

    sharp: Tensor
    coc_px: Tensor
    kernel: KernelSpec
    transfer: Transfer


def draw_scene(rng: np.random.Generator, sources: Sources, settings: SceneSettings) -> Scene:
    """One scene; the same generator state gives the same scene."""
    sharp, nearness = _draw_content(rng, sources, settings)
    if rng.random() < 0.5:
        sharp, nearness = sharp[:, ::-1], nearness[:, ::-1]
    kernel = draw_kernel(rng, settings.lens)
    far_px, near_px = draw_range(rng, kernel, settings)
    coc_px = (far_px + (near_px - far_px) * nearness).astype(np.float32)  # affine, as in a thin lens
    return Scene(
        sharp=torch.from_numpy(np.ascontiguousarray(sharp.transpose(2, 0, 1))),
        coc_px=torch.from_numpy(np.ascontiguousarray(coc_px)),
        kernel=kernel,
        transfer=Transfer.SRGB if rng.random() < 0.5 else Transfer.GAMMA_22,
    )


def render_scene(scene: Scene, *, slices: int, device: str = "cpu") -> tuple[Tensor, Tensor]:
    """Left and right view (3, h, w) in 0..1, free of noise."""
    left, right = render_views(
        scene.sharp[None].to(device),
        scene.coc_px[None].to(device),
        scene.kernel,
        slices=slices,
        transfer=scene.transfer,
    )
    return left[0], right[0]


def draw_range(rng: np.random.Generator, kernel: KernelSpec, settings: SceneSettings) -> tuple[float, float]:
    """Circles of confusion, in pixels, of the farthest and the nearest point.

    The focal plane lies mostly near the front of the scene, at times within or behind it.
    """
    kind = rng.random()
    if kind < settings.sharp_share:
        return 0.0, 0.0
    low, high = settings.smallest_disparity_px, settings.largest_disparity_px
    far = high * rng.uniform(0.05, 1) ** 0.7
    in_focus, before, behind = rng.uniform(-0.5, 0.5), rng.uniform(low, 0), rng.uniform(0, far)
    near = choose(rng, (in_focus, in_focus, before, behind))
    if kind < settings.sharp_share + settings.flat_share:
        near = far = rng.uniform(low, high)
    px_per_disparity = 1 / max(disparity_per_coc(kernel), _LEAST_DISPARITY_PER_COC)
    limit = settings.largest_coc_px
    far_px, near_px = (float(np.clip(end * px_per_disparity, -limit, limit)) for end in (far, near))
    return far_px, near_px


def _draw_content(rng: np.random.Generator, sources: Sources, settings: SceneSettings) -> tuple[Image, Image]:
    """A sharp picture (h, w, 3) and its nearness (h, w)."""
    shape = (settings.height, settings.width)
    kind = rng.random()
    if sources.registered and kind < settings.registered_share:
        return _draw_registered(rng, choose(rng, sources.registered), shape)
    if not sources.photos or kind > 1 - settings.procedural_share:
        sharp = draw_picture(rng, shape)
    else:
        sharp = frame_picture(rng, read_photo(sources.draw_photo(rng).path), shape)[0]
    return sharp, _draw_nearness(rng, sources, shape)


def _draw_registered(rng: np.random.Generator, photo: Photo, shape: tuple[int, int]) -> tuple[Image, Image]:
    if photo.map_path is None:
        raise ValueError(f"{photo.path} has no map")
    sharp = read_photo(photo.path)
    nearness = read_nearness(photo.map_path, is_depth=photo.map_is_depth)
    nearness = resize(nearness, sharp.shape[:2])
    return frame_picture(rng, sharp, shape, nearness)


def _draw_nearness(rng: np.random.Generator, sources: Sources, shape: tuple[int, int]) -> Image:
    if not sources.layouts or rng.random() < 0.25:
        return draw_layout(rng, shape)
    nearness = read_nearness(choose(rng, sources.layouts))
    return frame_picture(rng, nearness[..., None], shape)[0][..., 0]


def frame_picture(
    rng: np.random.Generator, picture: Image, shape: tuple[int, int], nearness: Image | None = None
) -> tuple[Image, Image]:
    """Bring a picture, and a map that belongs to it, to `shape`: turn, reduce at random, cut out."""
    nearness = picture[..., 0] if nearness is None else nearness
    if (picture.shape[0] > picture.shape[1]) != (shape[0] > shape[1]):
        picture, nearness = picture.transpose(1, 0, 2), nearness.T
    least = max(shape[0] / picture.shape[0], shape[1] / picture.shape[1])
    scale = max(least, rng.uniform(min(least, 1), 1))
    size = tuple(max(round(n * scale), m) for n, m in zip(picture.shape[:2], shape, strict=True))
    window = draw_window(rng, size, shape)
    return resize(picture, size)[window], resize(nearness, size)[window]


def draw_window(rng: np.random.Generator, shape: Sequence[int], size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a window of `size` anywhere in a picture of `shape`."""
    top, left = (int(rng.integers(n - m + 1)) for n, m in zip(shape, size, strict=True))
    return slice(top, top + size[0]), slice(left, left + size[1])


def resize(picture: Image, shape: Sequence[int]) -> Image:
    """(h, w) or (h, w, c) float32 to another size, antialiased."""
    if picture.shape[:2] == tuple(shape):
        return picture
    planes = picture if picture.ndim == 3 else picture[..., None]
    size = (shape[1], shape[0])
    resized = [_resize_plane(planes[..., c], size) for c in range(planes.shape[2])]
    return np.stack(resized, 2) if picture.ndim == 3 else resized[0]


def _resize_plane(plane: Image, size: tuple[int, int]) -> NDArray[np.float32]:
    image = PilImage.fromarray(np.ascontiguousarray(plane))
    resized = np.asarray(image.resize(size, PilImage.Resampling.BICUBIC), dtype=np.float32)
    return np.clip(resized, np.float32(0), np.float32(1))


def draw_kernel(rng: np.random.Generator, settings: LensSettings) -> KernelSpec:
    """One lens."""
    if settings.mix == "cameras":
        family = choose(rng, settings.families or _CAMERA_FAMILIES)
        return _draw_camera(rng, family, crosstalk=rng.uniform(0, settings.largest_crosstalk))
    return _draw_broad(rng, settings)


def choose(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def _draw_broad(rng: np.random.Generator, settings: LensSettings) -> KernelSpec:
    """Near a half-disc of fitted softness, or any family over and beyond its published ranges."""
    if settings.fitted_share and rng.random() < settings.fitted_share:
        return KernelSpec(softness=_draw_log(rng, 0.7, 1.6), crosstalk=rng.uniform(0, 0.2))
    return KernelSpec(
        family=choose(rng, settings.families or _SPLIT_FAMILIES),
        softness=_draw_log(rng, 0.2, 1.6),
        order=int(rng.choice([1, 3, 6, 9])),
        cutoff=rng.uniform(1.8, 2.8),
        beta=rng.uniform(0.1, 0.5),
        smoothing=rng.uniform(4, 9),
        measured_path=settings.measured_path,
        measured_cell=int(rng.integers(_MEASURED_CELLS)),
    )


def _draw_camera(rng: np.random.Generator, family: KernelFamily, *, crosstalk: float) -> KernelSpec:
    match family:
        case KernelFamily.OFF_AXIS:
            return KernelSpec(
                family=family,
                field_x=rng.uniform(-1, 1),
                field_y=rng.uniform(-0.75, 0.75),
                softness=_draw_log(rng, 0.7, 2.0),
                crosstalk=choose(rng, (0.0, crosstalk * 0.85)),
                rim=rng.uniform(0, 0.16),
                ring=rng.uniform(-0.2, 0.7),
                coma=rng.uniform(0, 1.3),
                stretch=rng.uniform(0, 0.7),
            )
        case KernelFamily.HALF_DISC:
            return KernelSpec(softness=_draw_log(rng, 0.5, 1.6), crosstalk=crosstalk)
        case KernelFamily.BUTTERWORTH:
            return KernelSpec(
                family=family,
                order=choose(rng, (1, 3)),
                beta=rng.uniform(0.4, 1.0),
                cutoff=rng.uniform(2.0, 2.8),
                smoothing=rng.uniform(4, 8),
                crosstalk=crosstalk,
            )
    return KernelSpec(family=family, crosstalk=crosstalk)


def _draw_log(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
