"""Prefect tasks: one run per stage and batch. Pixels stay with the workers; records come back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from distributed import Future, default_client
from prefect import task
from prefect.cache_policies import NO_CACHE

from ldp_core.types import Item, QuarantineRecord
from tasks.cluster import stream
from tasks.job import Job
from tasks.plan import Done
from tasks.progress import advance
from tasks.stages import (
    Drawn,
    Failed,
    Outcome,
    Work,
    chain_of,
    conclude_item,
    confirm_item,
    draw_item,
    ingest_item,
    recall_item,
)

Result = Outcome | Drawn | Failed


class Batch:
    """Some items of a run. A plain class: Prefect walks through collections, but not through this."""

    def __init__(self, number: int, items: tuple[Item, ...]) -> None:
        self.number = number
        self.items = items


class BatchResult:
    """What became of a batch: for each item an outcome, or the reason why it was set aside."""

    def __init__(self, results: Iterable[Result]) -> None:
        self.results = tuple(results)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(result for result in self.results if isinstance(result, Outcome))

    @property
    def drawn(self) -> tuple[Drawn, ...]:
        return tuple(result for result in self.results if isinstance(result, Drawn))

    @property
    def quarantine(self) -> tuple[QuarantineRecord, ...]:
        return tuple(result.record for result in self.results if isinstance(result, Failed))


@task(task_run_name="ingest-{batch.number}", cache_policy=NO_CACHE, persist_result=False)
def ingest_batch(job: Job, batch: Batch, done: Done, *, in_flight: int) -> BatchResult:
    """Archive the frames of a batch; those that are there are compared with their source."""
    client = default_client()

    def submit(item: Item) -> Future[Any]:
        return _submit(client, confirm_item if item.id in done.ingest else ingest_item, job, item)

    return _run("ingest", batch.items, submit, in_flight)


@task(task_run_name="restore-{batch.number}", cache_policy=NO_CACHE, persist_result=False)
def restore_batch(
    job: Job, batch: Batch, done: Done, *, ingested: BatchResult, in_flight: int
) -> BatchResult:
    """Blur maps, restored images and scores of a batch; what is archived is recalled."""
    client = default_client()
    bad = {record.item for record in ingested.quarantine}
    chain = chain_of(job)

    def submit(item: Item) -> Future[Any]:
        if item.id in done.items:
            return _submit(client, recall_item, job, item)
        work: Any = Work(item, done.stages(item.id))
        for stage in chain:
            work = _submit(client, stage, job, work)
        return _submit(client, conclude_item, work)

    return _run("restore", [item for item in batch.items if item.id not in bad], submit, in_flight)


@task(task_run_name="draw-{batch.number}", cache_policy=NO_CACHE, persist_result=False)
def draw_batch(job: Job, batch: Batch, report_url: str, *, in_flight: int) -> BatchResult:
    """Pictures of a batch for the report."""
    client = default_client()
    return _run(
        "draw", batch.items, lambda item: _submit(client, draw_item, job, report_url, item), in_flight
    )


def _submit(client: Any, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    future: Future[Any] = client.submit(function, *arguments, pure=False)
    return future


def _run(
    stage: str, items: Iterable[Item], submit: Callable[[Item], Future[Any]], in_flight: int
) -> BatchResult:
    results: list[Result] = []
    for item, result in stream(submit, items, in_flight=in_flight):
        if isinstance(result, Exception):
            result = _lost(item.id, stage, result)
        results.append(result)
        advance(stage, bad=isinstance(result, Failed))
    return BatchResult(results)


def _lost(item_id: str, stage: str, error: Exception) -> Failed:
    message = f"{type(error).__name__}: {error}"
    remedy = "look for the worker's end in its log: memory is the usual cause"
    return Failed(QuarantineRecord(item_id, stage, "worker_lost", message, remedy))
