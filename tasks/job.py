"""What a run is asked to do, in plain values that travel with every piece of work."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from ldp_core.archive import stage_key
from ldp_core.blur import ESTIMATORS, BlurEstimator, make_estimator
from ldp_core.deblur import DEBLURRERS, Deblurrer, make_deblurrer
from ldp_core.metrics import score_spec
from ldp_core.types import BASELINE, Item, StageSpec

STAGES = ("blur", "deblur", "score")
"""The stages that leave a result in the archive after ingest, in order."""


Choice = tuple[str, Mapping[str, Any] | None]
"""A method by name, and its settings."""
Settings = tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]
"""Of an estimator and of a deblurrer."""


@dataclass(frozen=True, slots=True)
class Method:
    """A blur estimator or a deblurrer by name, with its settings as canonical JSON."""

    name: str
    settings: str = "{}"

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any] | None = None) -> Method:
        return cls(name, json.dumps(settings or {}, sort_keys=True))


@dataclass(frozen=True, slots=True)
class Job:
    """Where to work and with which methods. ``torch_threads`` is per worker process; 0 leaves it as it is.

    ``single_estimator`` and ``single_deblurrer`` serve items whose second view is missing, where the
    job's own methods need both. ``baselines`` restore every item that they can as well. A map seen in one
    picture is compared with that of ``measuring``, measured between the views, where there are two.
    """

    archive: str
    estimator: Method = field(default_factory=lambda: Method("disparity"))
    deblurrer: Method = field(default_factory=lambda: Method("ldp"))
    torch_threads: int = 0
    single_estimator: Method = field(default_factory=lambda: Method("depth-distilled"))
    single_deblurrer: Method = field(default_factory=lambda: Method("bdir"))
    baselines: tuple[Method, ...] = ()
    measuring: Method | None = field(default_factory=lambda: Method("disparity"))

    def for_item(self, item: Item) -> Job:
        """The job with the methods that serve an item."""
        return self.for_views(single=not item.has_both_views)

    def for_views(self, *, single: bool) -> Job:
        """The job with the methods that serve pairs, or items of a single view."""
        return _serving(self, single)


@dataclass(frozen=True, slots=True)
class Keys:
    """Under which stage keys the results of a job lie in the archive; of baselines by name."""

    blur: str
    restored: str
    scores: str
    baselines: Mapping[str, str] = field(default_factory=dict)


def read_job(archive: str, asked: Mapping[str, Any]) -> Job:
    """The job that a run recorded, now on the archive as it is addressed here.

    Raises:
        KeyError, TypeError: it is not what a run records.
    """
    names = ("estimator", "deblurrer", "single_estimator", "single_deblurrer")
    methods = {name: Method(**asked[name]) for name in names if name in asked}
    baselines = tuple(Method(**method) for method in asked.get("baselines", ()))
    return Job(archive, torch_threads=asked.get("torch_threads", 0), baselines=baselines, **methods)


def stages_of(job: Job, *, single: bool = False) -> tuple[StageSpec, ...]:
    """The blur, deblur and score stages of a job, then its baselines; each names the key of those before it.

    ``single``: for items whose second view is missing.
    """
    job = job.for_views(single=single)
    blur_spec = estimator_for(job.estimator).spec
    deblur_spec = replace(deblurrer_for(job.deblurrer).spec, upstream=stage_key(blur_spec))
    others = {method.name: _baseline(method, stage_key(blur_spec)) for method in job.baselines}
    scores = score_spec(
        baselines={name: stage_key(spec) for name, spec in others.items()},
        measured_key=stage_key(estimator_for(measuring).spec) if (measuring := measuring_for(job)) else "",
    )
    return blur_spec, deblur_spec, replace(scores, upstream=stage_key(deblur_spec)), *others.values()


def stages_for(job: Job, items: Iterable[Item]) -> tuple[tuple[StageSpec, ...], tuple[StageSpec, ...]]:
    """The stages of pairs and of items of a single view, each empty where there are no such items."""
    kinds = {item.has_both_views for item in items}
    return (
        stages_of(job) if True in kinds else (),
        stages_of(job, single=True) if False in kinds else (),
    )


def keys_of(job: Job, *, single: bool = False) -> Keys:
    """The stage keys of a job, for pairs or for items of a single view."""
    keys = [stage_key(spec) for spec in stages_of(job, single=single)]
    names = (method.name for method in job.for_views(single=single).baselines)
    others = dict(zip(names, keys[len(STAGES) :], strict=True))
    return Keys(blur=keys[0], restored=keys[1], scores=keys[2], baselines=others)


def all_stages(job: Job) -> frozenset[str]:
    """The names of all stages that may leave a result; a baseline's is ``baseline:<method>``."""
    return frozenset((*STAGES, *(f"{BASELINE}:{method.name}" for method in job.baselines)))


@lru_cache(maxsize=4)
def estimator_for(method: Method) -> BlurEstimator:
    """The estimator a method names; made once per process."""
    return make_estimator(method.name, json.loads(method.settings))


@lru_cache(maxsize=8)
def deblurrer_for(method: Method) -> Deblurrer:
    """The deblurrer a method names; made once per process."""
    return make_deblurrer(method.name, json.loads(method.settings))


def measuring_for(job: Job) -> Method | None:
    """What the maps of a job are compared with, if anything: those that are probabilities are."""
    return job.measuring if job.estimator.name == "depth-distilled" else None


def works_on_one_view(method: Method) -> bool:
    """Whether a deblurrer looks at one picture only: it needs neither the second view nor a map."""
    return DEBLURRERS[method.name].views == 1


def make_job(
    archive: str,
    *,
    estimator: Choice,
    deblurrer: Choice,
    single_settings: Settings = (None, None),
    baselines: Iterable[str] = (),
    torch_threads: int = 0,
) -> Job:
    """A job from names and plain settings.

    ``single_settings`` are those of the estimator and the deblurrer of single views; a baseline that is the
    latter has them too, any other its defaults.
    """
    job = Job(archive)
    single_estimator = Method.of(job.single_estimator.name, single_settings[0])
    single_deblurrer = Method.of(job.single_deblurrer.name, single_settings[1])
    known = {single_deblurrer.name: single_deblurrer}
    return Job(
        archive,
        Method.of(*estimator),
        Method.of(*deblurrer),
        torch_threads,
        single_estimator,
        single_deblurrer,
        tuple(known.get(name) or Method.of(name) for name in dict.fromkeys(baselines)),
    )


@lru_cache(maxsize=16)
def _serving(job: Job, single: bool) -> Job:
    if single:
        estimates = ESTIMATORS[job.estimator.name].views == 1
        restores = works_on_one_view(job.deblurrer)
        job = replace(
            job,
            estimator=job.estimator if estimates else job.single_estimator,
            deblurrer=job.deblurrer if restores else job.single_deblurrer,
            baselines=tuple(filter(works_on_one_view, job.baselines)),
            measuring=None,
        )
    others = tuple(method for method in job.baselines if method != job.deblurrer)
    return replace(job, baselines=others)


def _baseline(method: Method, blur_key: str) -> StageSpec:
    """A method that looks at one picture gets no map: that may have been made from both views."""
    upstream = "" if works_on_one_view(method) else blur_key
    return replace(deblurrer_for(method).spec, stage=BASELINE, upstream=upstream)
