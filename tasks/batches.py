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

from ldp_core.types import GENERIC_CAMERA, Item, QuarantineRecord
from tasks.cluster import stream
from tasks.items import Failed, draw_item
from tasks.plan import Plan, make_checked_plan
from tasks.progress import advance
from tasks.stage import PipelineConfig
from tasks.work import Batch, BatchResult, choose_ingest, choose_restore

T = TypeVar("T")


def unvisited(value: T) -> T:
    """A value that Prefect hands to a task without walking through it."""
    return cast(T, quote(value))


def awaited(future: PrefectFuture[T]) -> T:
    """What Prefect hands to a task once a future has it, without walking through it."""
    return cast(T, opaque(future))


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
) -> quote:
    """`tasks.plan.make_checked_plan` as a task; the plan, quoted."""
    plan = make_checked_plan(
        config,
        source,
        layout,
        dataset,
        allow_single=allow_single,
        verify_sources=verify_sources,
        camera=camera,
        allow_shrink=allow_shrink,
    )
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
    for item, outcome in stream(submit, items, in_flight=in_flight):
        if isinstance(outcome, Exception):
            outcome = _lost(item.id, stage, outcome)
        outcomes.append(outcome)
        advance(stage, bad=isinstance(outcome, Failed))
    return BatchResult(outcomes)


def _lost(item_id: str, stage: str, error: Exception) -> Failed:
    message = f"{type(error).__name__}: {error}"
    remedy = "look for the worker's end in its log: memory is the usual cause"
    return Failed(QuarantineRecord(item_id, stage, "worker_lost", message, remedy))
