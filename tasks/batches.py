"""Prefect tasks: one run per kind of work and batch. Pixels stay with the workers; records come back.

Prefect walks through what it is given and what it hands on, item by item, unless it is told not to; batches
and their results are plain classes, which it leaves alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar, cast

from distributed import Future, default_client
from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.utilities.annotations import opaque, quote

from ldp_core.catalogue import WHOLE_SOURCE, SourceOptions
from ldp_core.credentials import redact
from ldp_core.errors import MemoryShortError
from ldp_core.types import GENERIC_CAMERA, QuarantineRecord
from tasks.cluster import memory_at_end, only_with, share_credentials, stream
from tasks.items import Failed, ItemResult, draw_item, quarantined
from tasks.needs import declare_memory
from tasks.plan import Plan, make_checked_plan
from tasks.progress import advance
from tasks.stage import PipelineConfig
from tasks.work import (
    Batch,
    BatchResult,
    Call,
    choose_ingest,
    choose_restore,
    config_of,
    item_of,
    make_calls,
    make_chunks,
)

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
    options: SourceOptions = WHOLE_SOURCE,
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
        options=options,
    )
    return quote(plan)


@task(task_run_name="ingest-{batch.number}", cache_policy=NO_CACHE, persist_result=False)
def ingest_batch(plan: Plan, batch: Batch, *, in_flight: int) -> BatchResult:
    """Archive the frames of a batch; those that are there are compared with their source.

    Sources that may have changed are decoded: their pixels tell which version they hold.
    """
    return _run("ingest", (choose_ingest(plan, item) for item in batch.items), in_flight, len(batch.items))


@task(task_run_name="restore-{batch.number}", cache_policy=NO_CACHE, persist_result=False)
def restore_batch(
    plan: Plan, batch: Batch, *, ingested: BatchResult, in_flight: int, resource: str = ""
) -> BatchResult:
    """All products of a batch, by workers that have a resource; those that are archived are read."""
    versions = {result.item_id: result.version for result in ingested.results}
    items = [replace(item, version=versions[item.id]) for item in batch.items if item.id in versions]
    calls = (choose_restore(plan, item) for item in items)
    return _run("restore", calls, in_flight, len(items), resource=resource)


@task(task_run_name="draw-{batch.number}", cache_policy=NO_CACHE, persist_result=False)
def draw_batch(config: PipelineConfig, batch: Batch, report_url: str, *, in_flight: int) -> BatchResult:
    """Pictures of a batch for the report."""
    calls = [(draw_item, config, report_url, item) for item in batch.items]
    return _run("draw", calls, in_flight, len(calls))


def _run(stage: str, calls: Iterable[Call], in_flight: int, count: int, *, resource: str = "") -> BatchResult:
    """What became of ``count`` calls, made by workers some at once.

    Where a worker died of a chunk again and again, its calls are made one by one: one of them did it.
    """
    outcomes: list[Any] = []
    alone: list[Call] = []
    for chunk, found in _stream(make_chunks(calls, most=math.ceil(count / in_flight)), in_flight, resource):
        if isinstance(found, Exception) and len(chunk) > 1:
            alone += chunk
        else:
            outcomes += _count(stage, chunk, found)
    for chunk, found in _stream([(call,) for call in alone], in_flight, resource):
        outcomes += _count(stage, chunk, found)
    return BatchResult(outcomes)


def _stream(
    chunks: Iterable[tuple[Call, ...]], in_flight: int, resource: str
) -> Iterator[tuple[tuple[Call, ...], Any]]:
    def submit(chunk: tuple[Call, ...]) -> Future[Any]:
        where = only_with(resource)
        future: Future[Any] = default_client().submit(make_calls, chunk, pure=False, resources=where)
        return future

    share_credentials(default_client())
    return stream(submit, chunks, in_flight=in_flight)


def _count(stage: str, chunk: tuple[Call, ...], found: Any) -> list[Any]:
    outcomes = [_lost(chunk[0], stage, found)] if isinstance(found, Exception) else found
    bad = sum(isinstance(outcome, Failed) for outcome in outcomes)
    skipped = sum(isinstance(outcome, ItemResult) and not outcome.computed for outcome in outcomes)
    advance(stage, done=len(chunk), bad=bad, skipped=skipped)
    return list(outcomes)


def _lost(call: Call, stage: str, error: Exception) -> Failed:
    """Why a call is quarantined of which workers died again and again."""
    item = item_of(call)
    if held := memory_at_end(error):
        [needed] = declare_memory([item], config_of(call))
        short = MemoryShortError(
            "a worker has reached the limit of its memory with this item",
            expected=f"about {needed.bytes / 1e9:.1f} GB for {needed.width}x{needed.height} px",
            got=f"{held / 1e9:.1f} GB when it was ended",
            remedy="take workers with more memory (fewer --workers, or dask worker --memory-limit), then "
            "`ldp restore --only-quarantined RUN`",
        )
        return quarantined(item.id, stage, short)
    message = redact(f"{type(error).__name__}: {error}")
    remedy = "look for the worker's end in its log: memory is the usual cause"
    return Failed(QuarantineRecord(item.id, stage, "worker_lost", message, remedy))
