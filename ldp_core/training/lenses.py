"""Cameras of training scenes: what a scene is photographed with, and what a network is told of it.

Kernels change over the frame as `PupilModel` has it: near a shipped profile, or anywhere in ranges around
them. A network is told the truth, something roughly right, or nothing, as will happen to it. All draws are
our own choices.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from pydantic import Field

from ldp_core.cameras import Camera, CameraProfile, SensorFrame, list_cameras, open_camera
from ldp_core.cameras.kernel_fields import PupilKernels, UniformKernels
from ldp_core.cameras.pupil import PupilModel
from ldp_core.optics.kernels import KernelSpec
from ldp_core.settings import Settings

# Ranges around what the Pixel 4's calibration and views of a Canon 5D IV ask for; disparity per circle of
# confusion falls by a quarter towards the Canon's edges, which growing crosstalk stands for.
_RANGES: Final = {
    "softness": (0.5, 1.8),
    "crosstalk": (0.0, 0.25),
    "crosstalk_growth": (0.0, 0.18),
    "shift": (-0.2, 0.8),
    "rim": (0.02, 0.2),
    "ring": (-0.4, 0.7),
    "ring_growth": (-0.3, 0.6),
    "coma": (-0.2, 1.3),
    "stretch": (-0.1, 0.4),
    "spread": (-0.2, 0.2),
    "vignette": (0.0, 0.5),
}
_SHIPPED_SHARE: Final = 0.5
# Of its range, how far a number of a lens strays from the profile that it is drawn near to.
_NEAR: Final = 0.08
# And how far what is told strays from what is.
_ROUGH: Final = 0.2
# A frame of the Pixel 4 is 2016 px wide, one of DPDD at half size 840 px.
_FRAME_PX: Final = (840, 2016)
_ASPECTS: Final = (2 / 3, 3 / 4)


class ToldSettings(Settings):
    """What is told of the camera of a scene. Shares are probabilities; else the truth is told."""

    generic_share: float = Field(default=1.0, ge=0, le=1)
    """How often nothing is known of it."""
    rough_share: float = Field(default=0.0, ge=0, le=1)
    """How often the profile is only roughly right."""


FIELD_TOLD: Final = ToldSettings(generic_share=0.3, rough_share=0.25)
"""For fields of profiles: what profiles that were measured, or found from views alone, know."""


def draw_camera(rng: np.random.Generator, shape: tuple[int, int]) -> Camera:
    """A camera whose pictures of `shape`, height and width in px, are cut from its frame at random."""
    height, width = shape
    frame_px = float(np.exp(rng.uniform(*np.log(_FRAME_PX))))
    aspect = _ASPECTS[int(rng.integers(2))]
    frame_px = max(frame_px, width, height / aspect)
    room_x, room_y = 1 - width / frame_px, aspect - height / frame_px
    frame = SensorFrame(
        width=round(frame_px),
        height=round(frame_px * aspect),
        scale=1.0,
        centre_x=round(rng.uniform(-room_x, room_x), 4),
        centre_y=round(rng.uniform(-room_y, room_y), 4),
    )
    return Camera(CameraProfile(name="scene", kernels=PupilKernels(pupil=_draw_pupil(rng)), frame=frame))


def uniform_camera(kernel: KernelSpec) -> Camera:
    """A camera that has one kernel at every place."""
    return Camera(CameraProfile(name="scene", kernels=UniformKernels(kernel=kernel)))


def draw_told(rng: np.random.Generator, camera: Camera, settings: ToldSettings) -> Camera | None:
    """What is told of a camera; None where nothing is."""
    lot = rng.random()
    if lot < settings.generic_share:
        return None
    if lot >= settings.generic_share + settings.rough_share:
        return camera
    kernels = camera.profile.kernels
    if isinstance(kernels, PupilKernels):
        kernels = PupilKernels(pupil=_stray(rng, kernels.pupil, share=_ROUGH))
    elif isinstance(kernels, UniformKernels):
        kernels = UniformKernels(kernel=_stray_uniform(rng, kernels.kernel))
    return Camera(camera.profile.model_copy(update={"kernels": kernels}))


def _draw_pupil(rng: np.random.Generator) -> PupilModel:
    known = _shipped_pupils()
    if known and rng.random() < _SHIPPED_SHARE:
        return _stray(rng, known[int(rng.integers(len(known)))], share=_NEAR)
    return PupilModel(**{name: float(rng.uniform(*ends)) for name, ends in _RANGES.items()})


def _stray(rng: np.random.Generator, model: PupilModel, *, share: float) -> PupilModel:
    """A model whose numbers lie beside those of another, within the ranges or as far out as it is itself."""
    values = {}
    for name, (low, high) in _RANGES.items():
        own = getattr(model, name)
        moved = own + rng.normal() * share * (high - low)
        values[name] = float(np.clip(moved, min(low, own), max(high, own)))
    return PupilModel(**values)


def _stray_uniform(rng: np.random.Generator, kernel: KernelSpec) -> KernelSpec:
    softness = kernel.softness * np.exp(rng.normal() * 0.25)
    crosstalk = kernel.crosstalk + rng.normal() * 0.05
    moved = {"softness": np.clip(softness, 0.05, 8), "crosstalk": np.clip(crosstalk, 0, 0.4)}
    return kernel.model_copy(update={name: float(value) for name, value in moved.items()})


@cache
def _shipped_pupils() -> tuple[PupilModel, ...]:
    kernels = [open_camera(name).profile.kernels for name in list_cameras()]
    return tuple(each.pupil for each in kernels if isinstance(each, PupilKernels))
