"""Lenses of training scenes: a kernel of some form for each. All draws are our own choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
from pydantic import Field

from ldp_core.optics.kernels import KernelFamily, KernelSpec
from ldp_core.settings import Settings

T = TypeVar("T")
_MEASURED_CELLS = 48
_SPLIT_FAMILIES = (KernelFamily.HALF_DISC, KernelFamily.BUTTERWORTH, KernelFamily.TRANSLATING_DISC)
_CAMERA_FAMILIES = (
    *(KernelFamily.OFF_AXIS,) * 9,
    *(KernelFamily.HALF_DISC,) * 7,
    *(KernelFamily.BUTTERWORTH,) * 2,
    *(KernelFamily.TRANSLATING_DISC,) * 2,
)


class LensSettings(Settings):
    """Which lenses scenes are seen through."""

    mix: Literal["broad", "cameras"] = "broad"
    """Half of them near one fitted half-disc and the rest of any form, or forms and ranges as
    `ldp evaluate optics` fits them to two cameras."""
    families: tuple[KernelFamily, ...] = ()
    """Forms of the mix; its own, if none are named. One named more often is drawn more often."""
    fitted_share: float = Field(default=0.5, ge=0, le=1)
    """How often a lens of the broad mix is the fitted half-disc."""
    largest_crosstalk: float = Field(default=0.35, ge=0, le=0.5)
    """Of the mix of cameras."""
    measured_path: str = ""
    """Folder of calibrated kernels, for the family `measured`."""


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
