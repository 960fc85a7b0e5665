"""Estimators by name; a name imports its module only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ldp_core.errors import SettingsError
from ldp_core.turning import TurningEstimator
from ldp_core.types import BlurMap, Pair, StageSpec


class BlurEstimator(Protocol):
    """From a pair to its blur map; `spec` names the method and all it depends on."""

    @property
    def spec(self) -> StageSpec: ...

    def estimate(self, pair: Pair) -> BlurMap:
        """The blur map of a pair, (h, w) as its views; by name, whichever axis the pair has."""
        ...


def _make_disparity(settings: Mapping[str, Any]) -> BlurEstimator:
    from ldp_core.blur.disparity import DisparityEstimator, DisparitySettings

    return DisparityEstimator(DisparitySettings.parse(settings))


def _make_clip(settings: Mapping[str, Any]) -> BlurEstimator:
    from ldp_core.blur.clip import ClipEstimator, ClipSettings

    return ClipEstimator(ClipSettings.parse(settings))


def _make_random_clip(settings: Mapping[str, Any]) -> BlurEstimator:
    from ldp_core.blur.clip import RandomClipEstimator, RandomClipSettings

    return RandomClipEstimator(RandomClipSettings.parse(settings))


def _make_zncc(settings: Mapping[str, Any]) -> BlurEstimator:
    from ldp_core.blur.zncc import ZnccEstimator, ZnccSettings

    return ZnccEstimator(ZnccSettings.parse(settings))


_FACTORIES: Final[dict[str, Callable[[Mapping[str, Any]], BlurEstimator]]] = {
    "clip": _make_clip,
    "disparity": _make_disparity,
    "random-clip": _make_random_clip,
    "zncc": _make_zncc,
}

ESTIMATORS: Final[tuple[str, ...]] = tuple(sorted(_FACTORIES))
"""Names that `make_estimator` knows."""


def make_estimator(name: str, settings: Mapping[str, Any] | None = None) -> BlurEstimator:
    """An estimator by name.

    Raises:
        SettingsError: there is no estimator of that name, or a setting is unknown or out of range.
    """
    if name not in _FACTORIES:
        raise SettingsError(
            "there is no such blur estimator",
            expected=", ".join(ESTIMATORS),
            got=name,
            remedy="choose one of the names",
        )
    return TurningEstimator(_FACTORIES[name](settings or {}))
