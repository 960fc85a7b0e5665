"""The door to every method: pairs are turned for it, and one that compares views gets no single view.

Where the dual-pixel axis is vertical, pictures are turned, for every method works along x.
Turning is the transpose, its own inverse, so +y becomes +x and the sign of a circle of confusion holds.
Sources, archive and reports keep the orientation of the photograph.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ldp_core.errors import SecondViewMissingError
from ldp_core.types import BlurMap, DpAxis, Pair, Pixels, Region, StageSpec

Array = TypeVar("Array", bound=NDArray[np.generic])


class _Estimator(Protocol):
    @property
    def spec(self) -> StageSpec: ...

    def estimate(self, pair: Pair) -> BlurMap: ...


class _Deblurrer(Protocol):
    @property
    def spec(self) -> StageSpec: ...

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels: ...


@dataclass(frozen=True, slots=True)
class TurningEstimator:
    """An estimator that works along x, for pairs of either axis; maps come as the pair stands."""

    along_x: _Estimator
    needs_both_views: bool = True

    @property
    def spec(self) -> StageSpec:
        return self.along_x.spec

    def estimate(self, pair: Pair) -> BlurMap:
        _admit(pair, self.spec, self.needs_both_views)
        return turn_map(self.along_x.estimate(turn_pair(pair)), pair.dp_axis)


@dataclass(frozen=True, slots=True)
class TurningDeblurrer:
    """A deblurrer that works along x, for pairs of either axis; pictures come as the pair stands."""

    along_x: _Deblurrer
    needs_both_views: bool = True

    @property
    def spec(self) -> StageSpec:
        return self.along_x.spec

    def restore(self, pair: Pair, blur_map: BlurMap | None) -> Pixels:
        _admit(pair, self.spec, self.needs_both_views)
        turned = blur_map if blur_map is None else turn_map(blur_map, pair.dp_axis)
        return turn(self.along_x.restore(turn_pair(pair), turned), pair.dp_axis)


def _admit(pair: Pair, spec: StageSpec, needs_both_views: bool) -> None:
    """Refuse a single view where a method compares two.

    Raises:
        SecondViewMissingError: it does, and the second one is missing.
    """
    if needs_both_views and not pair.has_both_views:
        raise SecondViewMissingError.of(pair.id, needed_by=f"'{spec.method}'")


def turn_pair(pair: Pair) -> Pair:
    """The pair with its dual-pixel axis along x; itself where it lies so already."""
    if pair.dp_axis is DpAxis.X:
        return pair
    region, axis = pair.score_region, pair.dp_axis
    return replace(
        pair,
        left=turn(pair.left, axis),
        right=None if pair.right is None else turn(pair.right, axis),
        target=None if pair.target is None else turn(pair.target, axis),
        blur_truth=None if pair.blur_truth is None else turn(pair.blur_truth, axis),
        peers={name: turn(peer, axis) for name, peer in pair.peers.items()},
        score_region=Region(top=region.left, left=region.top, bottom=region.right, right=region.bottom),
        dp_axis=DpAxis.X,
    )


def turn_map(blur_map: BlurMap, axis: DpAxis) -> BlurMap:
    """A map turned to or from its pair's axis along x."""
    if axis is DpAxis.X:
        return blur_map
    confidence = None if blur_map.confidence is None else turn(blur_map.confidence, axis)
    return replace(blur_map, values=turn(blur_map.values, axis), confidence=confidence)


def turn(pixels: Array, axis: DpAxis) -> Array:
    """``(h, w)`` or ``(h, w, c)`` to ``(w, h)`` or ``(w, h, c)`` where the axis is y."""
    return np.ascontiguousarray(pixels.swapaxes(0, 1)) if axis is DpAxis.Y else pixels  # type: ignore[return-value]
