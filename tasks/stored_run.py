"""The record of a run as it stands on disk.

The names of fields are those of every archive there is; they are translated here and nowhere else.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from pydantic import TypeAdapter

import ldp_core
from ldp_core.archive.run_files import DIGESTS
from ldp_core.catalogue import SourceOptions
from ldp_core.protocols import USUAL_SCORES, ScoringOptions
from ldp_core.types import BASELINE, GENERIC_CAMERA, PixelOptions, StageSpec
from tasks.pipeline import Pipeline, definition_of
from tasks.stage import (
    COMPUTING_THREADS,
    PAIR,
    SINGLE,
    ItemTraits,
    MethodConfig,
    PipelineConfig,
    Route,
    Stage,
)

_PACKAGES = ("torch", "zarr", "dask", "prefect", "numpy")
_STAGES_FIELDS = {PAIR: "stages", SINGLE: "single_stages"}
"""Where the specifications of a pipeline stand on disk, by its name; of any other under ``pipelines``."""


def environment() -> dict[str, str]:
    """Versions a result may depend on."""
    installed = {name: version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "ldp": ldp_core.__version__, **installed}


def to_lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON lines, as the records of runs hold them."""
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def specs_from_stored(record: Mapping[str, Any]) -> dict[str, tuple[StageSpec, ...]]:
    """The specifications of a record on disk by the name of their pipeline."""
    named = {name: record.get(field, ()) for name, field in _STAGES_FIELDS.items()}
    named |= record.get("pipelines", {})
    parse = TypeAdapter(tuple[StageSpec, ...]).validate_python
    return {name: parse(specs) for name, specs in named.items() if specs}


def describe_request(
    options: SourceOptions, camera: str = GENERIC_CAMERA, *, from_archive: bool = False
) -> dict[str, Any]:
    """What a source was asked with, as plain values; empty where it was asked for all that it has.

    ``from_archive``: the archive was asked in its stead.
    """
    chosen = options.selection
    values = {
        "camera": "" if camera == GENERIC_CAMERA else camera,
        "pair_by": options.pair_by,
        "methods": dict(options.methods),
        "where": chosen.where,
        "since": chosen.since,
        "limit": chosen.limit,
        "sample": chosen.sample,
        "seed": chosen.seed if chosen.sample else None,
        "partial": chosen.is_partial,
        "from_archive": from_archive,
    }
    return {name: value for name, value in values.items() if value}


def to_stored(
    run_id: str,
    config: PipelineConfig,
    pipelines: Mapping[str, Pipeline],
    asked: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """``asked`` as `describe_request` gives it."""
    job: dict[str, Any] = {
        "archive": config.archive,
        "estimator": asdict(config.pair.estimator),
        "deblurrer": asdict(config.pair.deblurrer),
        "torch_threads": COMPUTING_THREADS,
        "single_estimator": asdict(config.single.estimator),
        "single_deblurrer": asdict(config.single.deblurrer),
        "baselines": [asdict(method) for method in config.baselines],
        "measuring": asdict(MethodConfig("disparity")),  # of no effect; earlier versions wrote it
    }
    job |= {name: value for name, value in asdict(config.pixels).items() if value}
    job |= {} if config.scoring == USUAL_SCORES else {"scoring": asdict(config.scoring)}
    specs = {name: [asdict(spec) for spec in pipeline.specs] for name, pipeline in pipelines.items()}
    record: dict[str, Any] = {"run_id": run_id, "job": job, "stages": specs.pop(PAIR, [])}
    record |= {"single_stages": specs.pop(SINGLE)} if SINGLE in specs else {}
    record |= {"pipelines": specs} if specs else {}
    record |= {"asked": dict(asked)} if asked else {}
    return record | {"sealed_by": DIGESTS, "environment": environment()}


def from_stored(archive: str, job: Mapping[str, Any]) -> PipelineConfig:
    default = PipelineConfig(archive)

    def method(name: str, otherwise: MethodConfig) -> MethodConfig:
        return MethodConfig(**job[name]) if name in job else otherwise

    return PipelineConfig(
        archive,
        Route(method("estimator", default.pair.estimator), method("deblurrer", default.pair.deblurrer)),
        Route(
            method("single_estimator", default.single.estimator),
            method("single_deblurrer", default.single.deblurrer),
        ),
        tuple(MethodConfig(**one) for one in job.get("baselines", ())),
        PixelOptions(job.get("peak"), job.get("to_srgb", False)),
        scoring=_scoring_from_stored(job.get("scoring", {})),
    )


def _scoring_from_stored(stored: Mapping[str, Any]) -> ScoringOptions:
    return ScoringOptions(tuple(stored.get("protocols", ())), str(stored.get("lpips_weights", "")))


def to_stages(specs: Iterable[StageSpec]) -> Iterator[Stage]:
    for spec in specs:
        if (definition := definition_of(spec.stage)) is not None:
            label = f"{BASELINE}:{spec.method}" if spec.stage == BASELINE else spec.stage
            yield Stage(label, definition, spec)


def identify(item: Mapping[str, Any]) -> tuple[str, str]:
    """Id of an item in a catalogue on disk, and the name of its pipeline."""
    views = 1 if item.get("right") is None else 2
    traits = ItemTraits(views, **{name: item[name] for name in ("camera",) if name in item})
    return item["id"], traits.name
