"""Any restoration, gated by a blur map: what is in focus stays as it was taken, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import Field

from ldp_core.blur import BlurEstimator, make_estimator
from ldp_core.blur.reliability import ReliabilitySettings, rate_reliability
from ldp_core.deblur import Deblurrer, make_deblurrer
from ldp_core.deblur.gate import GateSettings, gate_restoration, read_focus
from ldp_core.errors import BlurMapError, SettingsError
from ldp_core.settings import Settings
from ldp_core.single_view import input_image
from ldp_core.types import BlurMap, BlurMapKind, Pair, Pixels, StageSpec

__all__ = ["GatedDeblurrer", "GatedSettings"]

VERSION = "1"
_NAME = "gated"


class GatedSettings(Settings):
    """Which method restores, which map says where, and when that map is not trusted."""

    method: str = "ldp"
    """Name of the deblurrer that is gated."""
    settings: Mapping[str, Any] = Field(default_factory=dict)
    """Its settings."""
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
        values = {**self.settings.model_dump(mode="json"), "stages": named}
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
        return make_deblurrer(self.settings.method, self.settings.settings)

    @cached_property
    def _estimator(self) -> BlurEstimator | None:
        chosen = self.settings
        return make_estimator(chosen.estimator, chosen.estimator_settings) if chosen.estimator else None


def _name_stage(spec: StageSpec) -> dict[str, Any]:
    return {
        "method": spec.method,
        "version": spec.version,
        "settings": dict(spec.settings),
        "weights_sha256": spec.weights_sha256,
    }
