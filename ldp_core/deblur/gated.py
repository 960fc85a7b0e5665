"""Any restoration, gated by a blur map: what is in focus stays as it was taken, bit for bit.

How much of the input is kept is 1 where the map is sure of focus, 0 where it is sure of blur, and runs
between them linearly; around what is kept whole it falls to 0 over a few pixels, so that no edge of the
mask shows. All figures are our own choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.ndimage import distance_transform_edt

from ldp_core.blur import ESTIMATORS, BlurEstimator, make_estimator
from ldp_core.blur.depth_distilled import ReliabilitySettings, rate_reliability
from ldp_core.cameras import is_generic
from ldp_core.deblur import DEBLURRERS, Deblurrer, make_deblurrer
from ldp_core.errors import BlurMapError, SettingsError
from ldp_core.methods import Registry
from ldp_core.settings import Settings
from ldp_core.single_view import input_image
from ldp_core.types import GENERIC_CAMERA, BlurMap, BlurMapKind, FloatMap, Pair, Pixels, StageSpec

__all__ = ["GateSettings", "GatedDeblurrer", "GatedSettings", "gate_restoration", "read_focus", "weigh_input"]

VERSION: Final = "1"
_NAME: Final = "gated"
_BAND_ROWS: Final = 256


class GateSettings(Settings):
    """What counts as in focus, and how softly that ends."""

    # With the middle half between them, a map that errs by .25 neither keeps blur whole nor alters focus.
    kept_from: float = Field(default=0.75, ge=0, le=1)
    """Focus from which the input is kept bit for bit."""
    restored_to: float = Field(default=0.25, ge=0, le=1)
    """Focus up to which nothing of the input is kept, away from what is kept."""
    # 1 px keeps 17 % of the pixels of canon_dpdd as taken, at the same PSNR and SSIM (measurements, Gated).
    tau_px: float = Field(default=1.0, gt=0)
    """Circle of confusion whose focus is 1, in pixels; from twice that on it is 0."""
    feather_px: float = Field(default=4.0, ge=0, le=256)
    """Over how far the input fades out around what is kept."""

    @model_validator(mode="after")
    def _require_order(self) -> GateSettings:
        if self.restored_to >= self.kept_from:
            raise ValueError("restored_to has to be below kept_from")
        return self


DEFAULT_GATE: Final = GateSettings()


class GatedSettings(Settings):
    """Which method restores, which map says where, and when that map is not trusted."""

    method: str = "ldp"
    """Name of the deblurrer that is gated."""
    settings: Mapping[str, Any] = Field(default_factory=dict)
    """Its settings."""
    camera: str = Field(default=GENERIC_CAMERA, exclude_if=is_generic)
    """Camera profile by name or address, for the method and the estimator if they take one."""
    estimator: str = ""
    """Name of the estimator whose map gates; the map that the restoration gets, if empty."""
    estimator_settings: Mapping[str, Any] = Field(default_factory=dict)
    gate: GateSettings = GateSettings()
    reliability: ReliabilitySettings = ReliabilitySettings()
    require_reliable: bool = True
    """Leave a restoration ungated where the map has no radius and the reliability rule rejects it."""


@dataclass(frozen=True)
class GatedDeblurrer:
    """A deblurrer around another one. Its results depend on all that those of the other depend on."""

    settings: GatedSettings = field(default_factory=GatedSettings)

    def __post_init__(self) -> None:
        if self.settings.method == _NAME:
            raise SettingsError(
                "a gated restoration cannot be gated again",
                where="deblurrer.method",
                got=_NAME,
                remedy="name the method that restores, such as ldp",
            )
        _ = self._deblurrer, self._estimator

    @property
    def spec(self) -> StageSpec:
        """Settings and weights of the method and, where it has its own, of the estimator that gates."""
        inner = self._deblurrer.spec
        stages = {"restores": inner} | ({"gates": self._estimator.spec} if self._estimator else {})
        named = {name: _name_stage(spec) for name, spec in stages.items()}
        values = {**self.settings.model_dump(mode="json", exclude={"camera"}), "stages": named}
        return StageSpec("deblur", f"{_NAME}-{inner.method}", VERSION, values, inner.weights_sha256)

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels:
        """The restoration with the mean of the views where that is in focus, (h, w, c) of the pair's dtype.

        Raises:
            BlurMapError: there is no map to gate with, or the method cannot use the one there is.
            WeightsError: weights of the method or of the gate's estimator are absent or altered.
        """
        gate_map = self._estimator.estimate(pair) if self._estimator else blur_map
        if gate_map is None:
            raise BlurMapError(
                "there is no blur map to gate the restoration with",
                where=pair.id,
                remedy="estimate one, or name the gate's own estimator: deblurrer.estimator",
            )
        restored = self._deblurrer.restore(pair, blur_map)
        if not self.trusts(gate_map):
            return restored
        return gate_restoration(input_image(pair), restored, gate_map, settings=self.settings.gate)

    def trusts(self, gate_map: BlurMap) -> bool:
        """A radius is measured, not guessed: only maps without one have to be reliable."""
        if gate_map.kind is BlurMapKind.SIGNED_COC_PX or not self.settings.require_reliable:
            return True
        return rate_reliability(read_focus(gate_map), self.settings.reliability).accepted

    @cached_property
    def _deblurrer(self) -> Deblurrer:
        chosen = self.settings
        return make_deblurrer(chosen.method, self._for_camera(DEBLURRERS, chosen.method, chosen.settings))

    @cached_property
    def _estimator(self) -> BlurEstimator | None:
        chosen = self.settings
        if not chosen.estimator:
            return None
        settings = self._for_camera(ESTIMATORS, chosen.estimator, chosen.estimator_settings)
        return make_estimator(chosen.estimator, settings)

    def _for_camera(
        self, methods: Registry[Any], name: str, settings: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        return methods[name].for_camera(settings, self.settings.camera)


def _name_stage(spec: StageSpec) -> dict[str, Any]:
    return {
        "method": spec.method,
        "version": spec.version,
        "settings": dict(spec.settings),
        "weights_sha256": spec.weights_sha256,
    }


def read_focus(blur_map: BlurMap, *, tau_px: float = DEFAULT_GATE.tau_px) -> FloatMap:
    """How much in focus each pixel is, (h, w) float32 in 0..1, from a map of any kind.

    A probability is taken as it is and a similarity turned round; a circle of confusion counts 1 up to
    `tau_px`, 0 from twice that, linear between.

    Raises:
        BlurMapError: the map is not finite.
    """
    values: NDArray[np.floating[Any]] = blur_map.values
    if not np.isfinite(values).all():
        raise BlurMapError("the blur map holds values that are not finite", got="nan or inf")
    match blur_map.kind:
        case BlurMapKind.IN_FOCUS_PROBABILITY:
            focus: NDArray[np.floating[Any]] = values
        case BlurMapKind.SIMILARITY:
            focus = 1 - values
        case BlurMapKind.SIGNED_COC_PX:
            focus = 2 - np.abs(values) / tau_px
    return focus.clip(0, 1).astype(np.float32)


def weigh_input(focus: FloatMap, settings: GateSettings = DEFAULT_GATE) -> FloatMap:
    """How much of the input is kept, (h, w) float32 in 0..1; exactly 1 where focus reaches `kept_from`."""
    span = settings.kept_from - settings.restored_to
    weights = ((focus - settings.restored_to) / span).clip(0, 1).astype(np.float32)
    kept = focus >= settings.kept_from
    if settings.feather_px and kept.any() and not kept.all():
        distance: NDArray[np.float64] = distance_transform_edt(~kept)
        weights = np.maximum(weights, (1 - distance / settings.feather_px).clip(0, 1)).astype(np.float32)
    weights[kept] = 1
    return weights


def gate_restoration(
    picture: Pixels, restored: Pixels, blur_map: BlurMap, *, settings: GateSettings = DEFAULT_GATE
) -> Pixels:
    """The restored picture, and the input again where that is in focus.

    Args:
        picture, restored: (h, w, c) uint8 or uint16 alike.
        blur_map: of any kind, (h, w).

    Returns:
        Of the same shape and dtype: equal to `picture` where the weight is 1, to `restored` where it
        is 0, rounded to the nearest between.

    Raises:
        BlurMapError: sizes or dtypes differ, or the map is not finite.
    """
    same = picture.shape == restored.shape and picture.dtype == restored.dtype
    if not same or blur_map.values.shape != picture.shape[:2]:
        raise BlurMapError(
            "input, restoration and blur map do not fit each other",
            expected=f"{picture.shape} {picture.dtype} and a map of {picture.shape[:2]}",
            got=f"{restored.shape} {restored.dtype} and a map of {blur_map.values.shape}",
            remedy="restore the same picture that the map was estimated from",
        )
    weights = weigh_input(read_focus(blur_map, tau_px=settings.tau_px), settings)
    gated = np.empty_like(picture)
    for top in range(0, picture.shape[0], _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        share = weights[rows, :, None].astype(np.float64)
        gated[rows] = np.rint(share * picture[rows] + (1 - share) * restored[rows]).astype(picture.dtype)
    return gated
