"""Prefect tasks: one run per kind of work and batch. Pixels stay with the workers; records come back.

Prefect walks through what it is given and what it hands on, item by item, unless it is told not to; batches
and their results are plain classes, which it leaves alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeVar, cast

from distributed import Future, default_client
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.utilities.annotations import opaque, quote

from ldp_core.catalogue import WHOLE_SOURCE, SourceOptions, require_named_peak, require_whole
from ldp_core.credentials import redact
from ldp_core.types import GENERIC_CAMERA, Item, QuarantineRecord
from tasks.cluster import share_credentials, stream
from tasks.items import (
    DrawnItem,
    Failed,
    ItemResult,
    confirm_item,
    draw_item,
    ingest_item,
    load_archived,
    restore_item,
)
from tasks.pipeline import pipeline_for
from tasks.plan import Plan, make_plan
from tasks.progress import advance
from tasks.sources import require_no_shrinkage
from tasks.stage import PipelineConfig

T = TypeVar("T")
Call = tuple[Any, ...]
"""A function of `tasks.items`, and its arguments."""


def unvisited(value: T) -> T:
    """A value that Prefect hands to a task without walking through it."""
    return cast(T, quote(value))


def awaited(future: PrefectFuture[T]) -> T:
    """What Prefect hands to a task once a future has it, without walking through it."""
    return cast(T, opaque(future))


class Batch:
    """Some items of a run."""

    def __init__(self, number: int, items: tuple[Item, ...]) -> None:
        self.number = number
        self.items = items


class BatchResult:
    """What became of a batch: for each item a result or its pictures, or the reason why it is quarantined."""

    def __init__(self, outcomes: Iterable[ItemResult | DrawnItem | Failed]) -> None:
        found = tuple(outcomes)
        self.results = tuple(one for one in found if isinstance(one, ItemResult))
        self.drawn = tuple(one for one in found if isinstance(one, DrawnItem))
        self.quarantine: tuple[QuarantineRecord, ...] = tuple(
            one.record for one in found if isinstance(one, Failed)
        )


@task(cache_policy=NO_CACHE, persist_result=False)
def plan_run(
    config: PipelineConfig,
    source: str,
    layout: str,
    dataset: str | None,
    *,
    allow_single: bool = False,
    verify_sources: bool = False,
    camera: str = GENERIC_CAMERA,
    allow_shrink: bool = False,
    options: SourceOptions = WHOLE_SOURCE,
) -> quote:
    """Catalogue a source and plan what is left to do for it; the plan, quoted.

    Raises:
        IncompleteSourceError: whole folders have lost pictures, and ``allow_single`` is not given.
        SourceShrunkError: many pictures of the run before are gone, and ``allow_shrink`` is not given.
        PeakUnnamedError: the values of its pictures end below full scale, and their peak is not named.
    """
    plan = make_plan(
        config,
        source,
        layout=layout,
        dataset=dataset,
        verify_sources=verify_sources,
        camera=camera,
        options=options,
    )
    require_whole(plan.catalogue.problems, where=plan.catalogue.source, allow_single=allow_single)
    if not allow_shrink:
        require_no_shrinkage(plan.catalogue, plan.sources)
    require_named_peak(plan.catalogue)
    return quote(plan)


@task(task_run_name="ingest-{batch.number}", cache_policy=NO_CACHE, persist_result=False)
def ingest_batch(plan: Plan, batch: Batch, *, in_flight: int) -> BatchResult:
    """Archive the frames of a batch; those that are there are compared with their source.

    Sources that may have changed are decoded: their pixels tell which version they hold.
    """

    def submit(item: Item) -> Future[Any]:
        return _submit(*choose_ingest(plan, item))

    return _run("ingest", batch.items, submit, in_flight)


@task(task_run_name="restore-{batch.number}", cache_policy=NO_CACHE, persist_result=False)
def restore_batch(plan: Plan, batch: Batch, *, ingested: BatchResult, in_flight: int) -> BatchResult:
    """All products of a batch; those that are archived are read."""
    versions = {result.item_id: result.version for result in ingested.results}
    items = [replace(item, version=versions[item.id]) for item in batch.items if item.id in versions]

    def submit(item: Item) -> Future[Any]:
        return _submit(*choose_restore(plan, item))

    return _run("restore", items, submit, in_flight)


def choose_ingest(plan: Plan, item: Item) -> Call:
    """What a worker does first: it decodes an item that is not archived or whose source may have changed."""
    config, sources = plan.config, plan.sources
    if (archived := sources.suspects.get(item.id)) is not None:
        return ingest_item, config, item, archived
    confirmed = item.id in sources.confirmed
    if confirmed or item.key in plan.completed.frames:
        return confirm_item, config, item, confirmed
    return ingest_item, config, item


def choose_restore(plan: Plan, item: Item) -> Call:
    """What a worker does then of an item, in the version that its source was found to hold."""
    config, completed, pipeline = plan.config, plan.completed, pipeline_for(plan.config, item)
    if completed.holds_all(pipeline, item):
        return load_archived, config, item
    return restore_item, config, item, completed.labels(pipeline, item)


@task(task_run_name="draw-{batch.number}", cache_policy=NO_CACHE, persist_result=False)
def draw_batch(config: PipelineConfig, batch: Batch, report_url: str, *, in_flight: int) -> BatchResult:
    """Pictures of a batch for the report."""
    return _run("draw", batch.items, lambda item: _submit(draw_item, config, report_url, item), in_flight)


def _submit(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    future: Future[Any] = default_client().submit(function, *arguments, pure=False)
    return future


def _run(
    stage: str, items: Iterable[Item], submit: Callable[[Item], Future[Any]], in_flight: int
) -> BatchResult:
    outcomes = []
    share_credentials(default_client())
    for item, outcome in stream(submit, items, in_flight=in_flight):
        if isinstance(outcome, Exception):
            outcome = _lost(item.id, stage, outcome)
        outcomes.append(outcome)
        advance(stage, bad=isinstance(outcome, Failed))
    return BatchResult(outcomes)


def _lost(item_id: str, stage: str, error: Exception) -> Failed:
    message = redact(f"{type(error).__name__}: {error}")
    remedy = "look for the worker's end in its log: memory is the usual cause"
    return Failed(QuarantineRecord(item_id, stage, "worker_lost", message, remedy))
