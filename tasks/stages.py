"""The stages there are: blur map, restoration, restorations by other methods, scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from ldp_core.archive import ArchiveKind, layout, stage_key
from ldp_core.blur import ESTIMATORS, BlurEstimator
from ldp_core.deblur import DEBLURRERS, Deblurrer
from ldp_core.methods import MemoryModel
from ldp_core.protocols import LPIPS, PROTOCOLS, USUAL_SCORES, ScoringOptions
from ldp_core.types import BASELINE, GENERIC_CAMERA, BlurMap, Item, Pair, Pixels, Score, StageSpec
from tasks.stage import MethodConfig, Methods, Stage, StageDef
from tasks.stored_specs import spec_of

if TYPE_CHECKING:
    from ldp_core.archive import Archive
    from ldp_core.cameras import Camera

BLUR, DEBLUR, SCORE = "blur", "deblur", "score"
"""Names of the stages that every pipeline has; each is the label of its only product."""
_BASELINE_MARK = f"{BASELINE}:"
_SCORE_MEMORY = MemoryModel(70, 40, 500_000)
"""Measured at .47 and 1.9 megapixels: 60 bytes a pixel, and 16 MB for what is blurred again in tiles."""
_BY_PLACE_BYTES = 200
"""Per pixel, where kernels depend on the place in the frame: counted from views that are blurred whole."""
_NAMED_BYTES = {LPIPS: 100, "no-reference": 60, "one-gain": 80, "basicsr-y": 30, "basicsr-y-border4": 30}
"""Per pixel, of protocols that take more than the usual scores do; measured at 4 megapixels."""
_NAMED_SECONDS = {LPIPS: 5.5, "ms-ssim": 3.2, "no-reference": 0.6}
"""Of a megapixel, of input and restored picture; other protocols take as long as the usual scores."""
METRICS = "ldp.metrics"
"""Entry points of metrics of other packages, which scores depend on."""
_SCORE_SECONDS = 1.4
"""Of a megapixel with a target; without one it is half as much."""
_SHIFT_SEARCH_BYTES = 240
"""Per pixel, where a target may be displaced: both pictures and their spectra in double precision."""


@lru_cache(maxsize=8)
def estimator_for(method: MethodConfig) -> BlurEstimator:
    """The estimator a method names; made once per process."""
    return ESTIMATORS.make(method.name, method.values)


@lru_cache(maxsize=16)
def deblurrer_for(method: MethodConfig) -> Deblurrer:
    """The deblurrer a method names; made once per process."""
    return DEBLURRERS.make(method.name, method.values)


@lru_cache(maxsize=16)
def _open_camera(name: str) -> Camera | None:
    """The profile of a camera that something is known of; read once per process."""
    if name == GENERIC_CAMERA:
        return None
    from ldp_core.cameras import is_generic, open_camera

    return None if is_generic(name) else open_camera(name)


def _estimator_spec(method: MethodConfig) -> StageSpec:
    if method.name not in ESTIMATORS.shipped:
        return estimator_for(method).spec
    return spec_of(("estimator", method.name, method.settings), lambda: estimator_for(method).spec)


def _deblurrer_spec(method: MethodConfig) -> StageSpec:
    if method.name not in DEBLURRERS.shipped:
        return deblurrer_for(method).spec
    return spec_of(("deblurrer", method.name, method.settings), lambda: deblurrer_for(method).spec)


def _method_of(stage: Stage) -> MethodConfig:
    if stage.method is None:
        raise TypeError(f"the stage '{stage.label}' runs no method")
    return stage.method


class BlurStage(StageDef):
    """A blur map with its confidence, by an estimator."""

    name = BLUR
    kinds: ClassVar = (layout.BLUR, layout.CONFIDENCE)
    bytes_per_pixel = 8

    def plan(self, methods: Methods, before: Mapping[str, Stage]) -> Iterator[Stage]:
        spec = _estimator_spec(methods.estimator)
        yield Stage(self.name, self, spec, method=methods.estimator)

    def run(self, stage: Stage, pair: Pair, inputs: Mapping[str, Any]) -> BlurMap:
        return estimator_for(_method_of(stage)).estimate(pair)

    def read(self, archive: Archive, stage: Stage, item: str, *, input_digest: str = "") -> BlurMap:
        return archive.read_blur_map(stage.key, item, input_digest=input_digest)

    def write(self, archive: Archive, stage: Stage, item: str, product: Any, *, input_digest: str) -> None:
        archive.write_blur_map(stage.key, item, product, spec=stage.spec, input_digest=input_digest)

    def sidecar(self, product: BlurMap, kind: ArchiveKind) -> NDArray[Any] | None:
        return product.confidence

    def memory(self, stage: Stage, item: Item) -> MemoryModel:
        return ESTIMATORS[_method_of(stage).name].memory

    def seconds(self, stage: Stage) -> float | None:
        return ESTIMATORS[_method_of(stage).name].seconds


class DeblurStage(StageDef):
    """The all-in-focus picture, by a deblurrer that is given the blur map."""

    name = DEBLUR
    kinds: ClassVar = (layout.RESTORED,)
    bytes_per_pixel = 6

    def plan(self, methods: Methods, before: Mapping[str, Stage]) -> Iterator[Stage]:
        yield self._stage(self.name, methods.deblurrer, before[BLUR])

    def _stage(self, label: str, method: MethodConfig, blur: Stage | None) -> Stage:
        spec = replace(_deblurrer_spec(method), stage=self.name, upstream="" if blur is None else blur.key)
        return Stage(label, self, spec, () if blur is None else (blur.label,), method)

    def run(self, stage: Stage, pair: Pair, inputs: Mapping[str, Any]) -> Pixels:
        return deblurrer_for(_method_of(stage)).restore(pair, inputs.get(BLUR))

    def write(self, archive: Archive, stage: Stage, item: str, product: Any, *, input_digest: str) -> None:
        archive.write_restored(stage.key, item, product, spec=stage.spec, input_digest=input_digest)

    def bytes_out(self, item: Item) -> int:
        return item.left.width * item.left.height * item.left.channels * item.left.bit_depth // 8

    def memory(self, stage: Stage, item: Item) -> MemoryModel:
        return DEBLURRERS[_method_of(stage).name].memory

    def seconds(self, stage: Stage) -> float | None:
        return DEBLURRERS[_method_of(stage).name].seconds


class BaselineStage(DeblurStage):
    """Restorations by other methods, each a stage under a label of its own.

    A method that takes no map gets none: the map may have been made from both views.
    """

    name = BASELINE

    def plan(self, methods: Methods, before: Mapping[str, Stage]) -> Iterator[Stage]:
        for method in methods.baselines:
            blur = before[BLUR] if DEBLURRERS[method.name].takes_map else None
            yield self._stage(_BASELINE_MARK + method.name, method, blur)


class ScoreStage(StageDef):
    """The scores of restorations and blur map. Its method, if any, is what maps are compared with."""

    name = SCORE
    kinds: ClassVar = (layout.SCORES,)

    def plan(self, methods: Methods, before: Mapping[str, Stage]) -> Iterator[Stage]:
        measured_by, camera = methods.measured_by, methods.traits.camera
        baselines = {label.removeprefix(_BASELINE_MARK): before[label] for label in _baselines(before)}
        keys = {name: stage.key for name, stage in baselines.items()}
        measured_key = "" if measured_by is None else stage_key(_estimator_spec(measured_by))
        scoring = methods.scoring
        spec = replace(_score_spec(keys, measured_key, camera, scoring), upstream=before[DEBLUR].key)
        yield Stage(self.name, self, spec, (BLUR, DEBLUR, *_baselines(before)), measured_by, camera, scoring)

    def run(self, stage: Stage, pair: Pair, inputs: Mapping[str, Any]) -> list[Score]:
        baselines = {label.removeprefix(_BASELINE_MARK): inputs[label] for label in _baselines(inputs)}
        from ldp_core.metrics import score_item

        return score_item(
            pair,
            restored=inputs[DEBLUR],
            blur_map=inputs[BLUR],
            baselines=baselines,
            measured=None if stage.method is None else estimator_for(stage.method).estimate(pair),
            camera=_open_camera(stage.camera),
            options=stage.scoring,
        )

    def read(self, archive: Archive, stage: Stage, item: str, *, input_digest: str = "") -> list[Score]:
        return archive.read_scores(stage.key, item, input_digest=input_digest)

    def write(self, archive: Archive, stage: Stage, item: str, product: Any, *, input_digest: str) -> None:
        archive.write_scores(stage.key, item, product, spec=stage.spec, input_digest=input_digest)

    def memory(self, stage: Stage, item: Item) -> MemoryModel:
        by_place = _BY_PLACE_BYTES if stage.camera != GENERIC_CAMERA else 0
        shifted = 0 if item.aligned else _SHIFT_SEARCH_BYTES
        named = _named_bytes(stage.scoring)
        return replace(_SCORE_MEMORY, per_pixel=_SCORE_MEMORY.per_pixel + max(by_place, shifted, named))

    def seconds(self, stage: Stage) -> float | None:
        scoring = stage.scoring
        named = sum(_NAMED_SECONDS.get(name, _SCORE_SECONDS) for name in scoring.protocols)
        with_lpips = sum(LPIPS in PROTOCOLS[name].metrics for name in scoring.protocols if name != LPIPS)
        further = _NAMED_SECONDS[LPIPS] * with_lpips if scoring.lpips_weights else 0.0
        return _SCORE_SECONDS + named + further


def _named_bytes(scoring: ScoringOptions) -> int:
    """Per pixel, of the protocol that takes most."""
    taken = [_NAMED_BYTES.get(name, 0) for name in scoring.protocols]
    taken += [_NAMED_BYTES[LPIPS]] if scoring.lpips_weights else []
    return max(taken, default=0)


def _score_spec(
    baselines: Mapping[str, str], measured_key: str, camera: str, scoring: ScoringOptions = USUAL_SCORES
) -> StageSpec:
    def make() -> StageSpec:
        from ldp_core.metrics import score_spec

        return score_spec(
            baselines=baselines, measured_key=measured_key, camera=_open_camera(camera), options=scoring
        )

    if camera != GENERIC_CAMERA or scoring != USUAL_SCORES or entry_points(group=METRICS):
        return make()
    return spec_of(("score", *sorted(baselines.items()), measured_key), make)


def is_baseline(label: str) -> bool:
    """Whether a product is the restoration by another method."""
    return label.startswith(_BASELINE_MARK)


def _baselines(labels: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(filter(is_baseline, labels))
