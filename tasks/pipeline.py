"""The table of stages, and the pipeline that an item goes through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pkgutil import resolve_name
from typing import Any, Final

from ldp_core.archive import ArchiveKind, Section
from ldp_core.archive.layout import KINDS
from ldp_core.blur import ESTIMATORS
from ldp_core.deblur import DEBLURRERS
from ldp_core.methods import Registry
from ldp_core.protocols import USUAL_SCORES, ScoringOptions
from ldp_core.types import AS_STORED, BASELINE, GENERIC_CAMERA, Item, PixelOptions, StageSpec
from tasks.stage import ItemTraits, MethodConfig, Methods, PipelineConfig, Route, Stage, StageDef

STAGES: Final[tuple[StageDef, ...]] = tuple(
    resolve_name(name)()
    for name in (
        "tasks.stages:BlurStage",
        "tasks.stages:DeblurStage",
        "tasks.stages:BaselineStage",
        "tasks.stages:ScoreStage",
    )
)
"""Every product of the archive, in the order of computation. A further one is a line here."""

ARCHIVE_KINDS: Final[tuple[ArchiveKind, ...]] = tuple(
    dict.fromkeys((*KINDS, *(kind for definition in STAGES for kind in definition.kinds)))
)
"""What the archives of these stages hold."""

_DEFINITIONS = {definition.name: definition for definition in STAGES}

Choice = tuple[str, Mapping[str, Any] | None]
"""A method by name, and its settings."""


def definition_of(stage: str) -> StageDef | None:
    """The definition of a stage by the name that its specifications carry; None of a stage not known here."""
    return _DEFINITIONS.get(stage)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages that serve items of certain traits, in the order of computation."""

    traits: ItemTraits
    stages: tuple[Stage, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(stage.label for stage in self.stages)

    @property
    def keys(self) -> dict[str, str]:
        """Stage keys by label."""
        return {stage.label: stage.key for stage in self.stages}

    @property
    def specs(self) -> tuple[StageSpec, ...]:
        """The specifications as records hold them: those of other methods come last."""
        ordered = sorted(self.stages, key=lambda stage: stage.spec.stage == BASELINE)
        return tuple(stage.spec for stage in ordered)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Where the products lie, sidecars included."""
        return tuple(section for stage in self.stages for section in stage.sections)

    def __getitem__(self, label: str) -> Stage:
        return next(stage for stage in self.stages if stage.label == label)


def pipeline_for(config: PipelineConfig, item: Item) -> Pipeline:
    """The pipeline of an item: a function of its views and its camera.

    Raises:
        SettingsError: a method or a setting is unknown.
    """
    return pipeline_of(config, ItemTraits.of(item))


def pipelines_for(config: PipelineConfig, items: Iterable[Item]) -> dict[str, Pipeline]:
    """The pipelines of some items by name; those of pairs first."""
    traits = sorted({ItemTraits.of(item) for item in items}, key=lambda one: (-one.views, one.name))
    return {one.name: pipeline_of(config, one) for one in traits}


@lru_cache(maxsize=64)
def pipeline_of(config: PipelineConfig, traits: ItemTraits) -> Pipeline:
    """The pipeline of items with these traits."""
    methods, planned = choose_methods(config, traits), dict[str, Stage]()
    for definition in STAGES:
        planned |= {stage.label: stage for stage in definition.plan(methods, planned)}
    return Pipeline(traits, tuple(planned.values()))


def choose_methods(config: PipelineConfig, traits: ItemTraits) -> Methods:
    """The methods that serve items of these traits; those of the route of pairs wherever they can.

    Raises:
        SettingsError: a method is unknown.
    """
    pair, single = config.pair, config.single
    estimator = _serving(traits, pair.estimator, single.estimator, ESTIMATORS.views_of)
    deblurrer = _serving(traits, pair.deblurrer, single.deblurrer, DEBLURRERS.views_of)
    measured_by = ESTIMATORS[estimator.name].measured_by if traits.views == 2 else ""
    baselines = (
        method
        for method in config.baselines
        if DEBLURRERS[method.name].views <= traits.views and method != deblurrer
    )
    return Methods(
        traits,
        _for_camera(estimator, ESTIMATORS, traits.camera),
        _for_camera(deblurrer, DEBLURRERS, traits.camera),
        tuple(_for_camera(method, DEBLURRERS, traits.camera) for method in baselines),
        _for_camera(MethodConfig(measured_by), ESTIMATORS, traits.camera) if measured_by else None,
        config.scoring,
    )


def _for_camera(method: MethodConfig, methods: Registry[Any], camera: str) -> MethodConfig:
    """A method with the profile of the camera, if it takes one; settings of the run come first."""
    if camera == GENERIC_CAMERA:
        return method
    return MethodConfig.of(method.name, methods[method.name].for_camera(method.values, camera))


def _serving(
    traits: ItemTraits, own: MethodConfig, fallback: MethodConfig, views_of: Callable[[str], int]
) -> MethodConfig:
    return own if views_of(own.name) <= traits.views else fallback


def make_config(
    archive: str,
    *,
    estimator: Choice,
    deblurrer: Choice,
    single_settings: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None] = (None, None),
    baselines: Iterable[str] = (),
    pixels: PixelOptions = AS_STORED,
    from_archive: bool = False,
    scoring: ScoringOptions = USUAL_SCORES,
) -> PipelineConfig:
    """A configuration from names and plain settings.

    ``single_settings`` are those of the estimator and the deblurrer of single views; a baseline that is the
    latter has them too, any other its defaults.

    Raises:
        SettingsError: a method or a setting is unknown.
    """
    default = PipelineConfig(archive).single
    single = Route(
        MethodConfig.of(default.estimator.name, single_settings[0]),
        MethodConfig.of(default.deblurrer.name, single_settings[1]),
    )
    known = {single.deblurrer.name: single.deblurrer}
    return PipelineConfig(
        archive,
        Route(MethodConfig.of(*estimator), MethodConfig.of(*deblurrer)),
        single,
        tuple(known.get(name) or MethodConfig.of(name) for name in dict.fromkeys(baselines)),
        pixels,
        from_archive,
        scoring,
    )
