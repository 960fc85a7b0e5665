"""What a run is asked to do, in plain values that travel with every piece of work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from ldp_core.archive import stage_key
from ldp_core.blur import BlurEstimator, make_estimator
from ldp_core.deblur import Deblurrer, make_deblurrer
from ldp_core.metrics import score_spec
from ldp_core.types import StageSpec

STAGES = ("blur", "deblur", "score")
"""The stages that leave a result in the archive after ingest, in order."""


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
    """Where to work and with which methods. ``torch_threads`` is per worker process; 0 leaves it as it is."""

    archive: str
    estimator: Method = field(default_factory=lambda: Method("disparity"))
    deblurrer: Method = field(default_factory=lambda: Method("ldp"))
    torch_threads: int = 0


@dataclass(frozen=True, slots=True)
class Keys:
    """Under which stage keys the results of a job lie in the archive."""

    blur: str
    restored: str
    scores: str


def stages_of(job: Job) -> tuple[StageSpec, StageSpec, StageSpec]:
    """The blur, deblur and score stages of a job, each naming the key of the one before it."""
    blur = estimator_for(job.estimator).spec
    deblur = replace(deblurrer_for(job.deblurrer).spec, upstream=stage_key(blur))
    return blur, deblur, replace(score_spec(), upstream=stage_key(deblur))


def keys_of(job: Job) -> Keys:
    """The stage keys of a job."""
    blur, restored, scores = (stage_key(stage) for stage in stages_of(job))
    return Keys(blur=blur, restored=restored, scores=scores)


@lru_cache(maxsize=4)
def estimator_for(method: Method) -> BlurEstimator:
    """The estimator a method names; made once per process."""
    return make_estimator(method.name, json.loads(method.settings))


@lru_cache(maxsize=4)
def deblurrer_for(method: Method) -> Deblurrer:
    """The deblurrer a method names; made once per process."""
    return make_deblurrer(method.name, json.loads(method.settings))
