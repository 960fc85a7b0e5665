"""Maps and restoration beside the edges of a foreground, on simulated thin structures.

The band is every pixel 8 to 48 px from the nearest place where the true circle of confusion jumps.
What restoration loses there is told apart by restoring once with the estimated map and once with the true
one: the latter is what a perfect map would give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.errors import MetricError
from ldp_core.metrics.bootstrap import mean_interval
from ldp_core.optics.simulate import SceneSet, SimulationSettings, simulate_pair
from ldp_core.single_view import input_image
from ldp_core.types import BlurMap, BlurMapKind, FloatMap, Pair, Pixels

__all__ = [
    "StructureMean",
    "StructureScore",
    "evaluate_thin_structures",
    "find_band",
    "score_map",
    "score_picture",
    "summarise_structures",
]

SEED = 71_000
BAND_PX = (8.0, 48.0)
WRONG_PX = 2.0
_JUMP_PX = 2.0
_SIZE = {"height": 400, "width": 600}


@dataclass(frozen=True, slots=True)
class StructureScore:
    """What one subject scored on one scene; `value` is a share of pixels or a PSNR in dB.

    `subject` is `input`, the name of an estimator, of a deblurrer, or of a deblurrer `with the true map`;
    `place` is `band`, `elsewhere` or `all`.
    """

    scene: str
    measure: str
    subject: str
    place: str
    value: float


@dataclass(frozen=True, slots=True)
class StructureMean:
    """The mean over scenes, with the bounds of its 95 % bootstrap interval."""

    measure: str
    subject: str
    place: str
    scenes: int
    mean: float
    low: float
    high: float


def evaluate_thin_structures(
    deblurrers: Sequence[str], *, estimator: str = "disparity", scenes: int, seed: int = SEED
) -> Iterator[StructureScore]:
    """Scores scene by scene: wrong pixels of the map, PSNR of the input and of every deblurrer.

    Raises:
        SettingsError: there is no such estimator or deblurrer.
        WeightsError: a method's weights are absent.
    """
    methods = {name: make_deblurrer(name) for name in deblurrers}
    estimate = make_estimator(estimator).estimate
    settings = SimulationSettings.parse({"scene": SceneSet.THIN_STRUCTURES, "seed": seed, **_SIZE})
    for number in range(scenes):
        pair = simulate_pair(number, settings, item_id=f"{seed}/{number}")
        truth = BlurMap(true_coc_px(pair), BlurMapKind.SIGNED_COC_PX)
        found = estimate(pair)
        yield from score_map(found, pair, subject=estimator)
        yield from score_picture(input_image(pair), pair, subject="input")
        for name, method in methods.items():
            yield from score_picture(method.restore(pair, found), pair, subject=name)
            yield from score_picture(method.restore(pair, truth), pair, subject=f"{name} with the true map")


def summarise_structures(scores: Sequence[StructureScore]) -> list[StructureMean]:
    """Means over the scenes that have a place, in the order of first appearance."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for score in scores:
        values.setdefault((score.measure, score.subject, score.place), []).append(score.value)
    return [StructureMean(*key, len(found), *mean_interval(found)) for key, found in values.items()]


def score_map(blur_map: BlurMap, pair: Pair, *, subject: str) -> Iterator[StructureScore]:
    """Share of pixels whose circle of confusion is wrong by more than 2 px, by place."""
    wrong = np.abs(blur_map.signed_coc_px() - true_coc_px(pair)) > WRONG_PX
    for place, pixels in _places(true_coc_px(pair)).items():
        yield StructureScore(pair.id, "wrong_share", subject, place, float(wrong[pixels].mean()))


def score_picture(picture: Pixels, pair: Pair, *, subject: str) -> Iterator[StructureScore]:
    """PSNR in dB against the target, by place."""
    if pair.target is None:
        raise MetricError("a pair without a target cannot be scored", where=pair.id)
    image, target = (x.astype(np.float64) / np.iinfo(x.dtype).max for x in (picture, pair.target))
    squared = np.square(image - target).mean(axis=-1)
    for place, pixels in _places(true_coc_px(pair)).items():
        error = max(float(squared[pixels].mean()), 1e-12)
        yield StructureScore(pair.id, "psnr_db", subject, place, float(-10 * np.log10(error)))


def find_band(coc_px: FloatMap) -> NDArray[np.bool_]:
    """Pixels (h, w) that lie 8 to 48 px from an edge of the foreground."""
    edge = np.zeros(coc_px.shape, dtype=bool)
    for axis in (0, 1):
        jump = np.abs(np.diff(coc_px, axis=axis)) > _JUMP_PX
        before, after = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        edge[before] |= jump
        edge[after] |= jump
    if not edge.any():
        return edge
    distance = distance_transform_edt(~edge)
    return np.asarray((distance >= BAND_PX[0]) & (distance <= BAND_PX[1]))


def true_coc_px(pair: Pair) -> FloatMap:
    """Signed circles of confusion of a simulated pair.

    Raises:
        MetricError: the pair has none.
    """
    if pair.blur_truth is None:
        raise MetricError("a pair without a true map cannot be scored", where=pair.id)
    return pair.blur_truth


def _places(coc_px: FloatMap) -> dict[str, NDArray[np.bool_]]:
    band = find_band(coc_px)
    places = {"band": band, "elsewhere": ~band, "all": np.ones_like(band)}
    return {name: pixels for name, pixels in places.items() if pixels.any()}
