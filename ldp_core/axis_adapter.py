"""Methods work along x; these adapters serve pairs whose dual-pixel axis is y as well.

The adapter is the transpose, its own inverse, so +y becomes +x and the sign of a circle of confusion holds.
Sources, archive and reports keep the orientation of the photograph. A method that compares views never
meets a single view: the adapters refuse it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import SecondViewMissingError
from ldp_core.types import BlurMap, DpAxis, Pair, Pixels, Region, StageSpec

Array = TypeVar("Array", bound=NDArray[np.generic])


class BlurEstimator(Protocol):
    """From a pair to its blur map; `spec` names the method and all it depends on."""

    @property
    def spec(self) -> StageSpec: ...

    def estimate(self, pair: Pair) -> BlurMap:
        """The blur map of a pair, (h, w) as its views; by name, whichever axis the pair has."""
        ...


class Deblurrer(Protocol):
    """Restores pairs; `spec` holds all that its results depend on besides the pair and the map."""

    @property
    def spec(self) -> StageSpec: ...

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels:
        """The all-in-focus picture, (h, w, c) of the pair's dtype, gamma-encoded like its views.

        Raises:
            BlurMapError: the map is missing, of another size, or of a kind this method cannot use.
        """
        ...


@dataclass(frozen=True, slots=True)
class EstimatorAlongX:
    """An estimator that works along x, for pairs of either axis; maps come as the pair stands."""

    method: BlurEstimator
    needs_both_views: bool = True

    @property
    def spec(self) -> StageSpec:
        return self.method.spec

    def estimate(self, pair: Pair) -> BlurMap:
        _require_views(pair, self.spec, self.needs_both_views)
        return transpose_map(self.method.estimate(align_axis(pair)), pair.dp_axis)


@dataclass(frozen=True, slots=True)
class DeblurrerAlongX:
    """A deblurrer that works along x, for pairs of either axis; pictures come as the pair stands."""

    method: Deblurrer
    needs_both_views: bool = True

    @property
    def spec(self) -> StageSpec:
        return self.method.spec

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels:
        _require_views(pair, self.spec, self.needs_both_views)
        along_x = None if blur_map is None else transpose_map(blur_map, pair.dp_axis)
        return transpose(self.method.restore(align_axis(pair), along_x), pair.dp_axis)


def _require_views(pair: Pair, spec: StageSpec, needs_both_views: bool) -> None:
    """Refuse a single view where a method compares two.

    Raises:
        SecondViewMissingError: it does, and the second one is missing.
    """
    if needs_both_views and not pair.has_both_views:
        raise SecondViewMissingError.of(pair.id, needed_by=f"'{spec.method}'")


def align_axis(pair: Pair) -> Pair:
    """The pair with its dual-pixel axis along x; itself where it lies so already."""
    if pair.dp_axis is DpAxis.X:
        return pair
    region, axis = pair.score_region, pair.dp_axis
    return replace(
        pair,
        left=transpose(pair.left, axis),
        right=None if pair.right is None else transpose(pair.right, axis),
        target=None if pair.target is None else transpose(pair.target, axis),
        blur_truth=None if pair.blur_truth is None else transpose(pair.blur_truth, axis),
        external={name: transpose(picture, axis) for name, picture in pair.external.items()},
        score_region=Region(top=region.left, left=region.top, bottom=region.right, right=region.bottom),
        dp_axis=DpAxis.X,
        mask=None if pair.mask is None else transpose(pair.mask, axis),
    )


def transpose_map(blur_map: BlurMap, axis: DpAxis) -> BlurMap:
    """A map to or from its pair's axis along x."""
    if axis is DpAxis.X:
        return blur_map
    confidence = None if blur_map.confidence is None else transpose(blur_map.confidence, axis)
    return replace(blur_map, values=transpose(blur_map.values, axis), confidence=confidence)


def transpose(pixels: Array, axis: DpAxis) -> Array:
    """``(h, w)`` or ``(h, w, c)`` to ``(w, h)`` or ``(w, h, c)`` where the axis is y."""
    return np.ascontiguousarray(pixels.swapaxes(0, 1)) if axis is DpAxis.Y else pixels  # type: ignore[return-value]
