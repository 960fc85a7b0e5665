"""Estimators by name; a name imports its module only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from ldp_core.errors import SettingsError
from ldp_core.methods import load_later
from ldp_core.turning import TurningEstimator
from ldp_core.types import BlurMap, Pair, StageSpec


class BlurEstimator(Protocol):
    """From a pair to its blur map; `spec` names the method and all it depends on."""

    @property
    def spec(self) -> StageSpec: ...

    def estimate(self, pair: Pair) -> BlurMap:
        """The blur map of a pair, (h, w) as its views; by name, whichever axis the pair has."""
        ...


_FACTORIES: Final[dict[str, Callable[[Mapping[str, Any]], BlurEstimator]]] = {
    "clip": load_later("ldp_core.blur.clip", "ClipEstimator", "ClipSettings"),
    "depth-distilled": load_later(
        "ldp_core.blur.depth_distilled", "DepthDistilledEstimator", "DepthDistilledSettings"
    ),
    "disparity": load_later("ldp_core.blur.disparity", "DisparityEstimator", "DisparitySettings"),
    "random-clip": load_later("ldp_core.blur.clip", "RandomClipEstimator", "RandomClipSettings"),
    "zncc": load_later("ldp_core.blur.zncc", "ZnccEstimator", "ZnccSettings"),
}

ONE_VIEW: Final = frozenset({"depth-distilled"})
"""Estimators that look at one picture, and so serve items whose second view is missing."""

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
    return TurningEstimator(_FACTORIES[name](settings or {}), needs_both_views=name not in ONE_VIEW)
