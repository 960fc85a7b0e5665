"""The main job: a dataset of dual-pixel pairs in; archive, restored images, scores and report out."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, cast

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifacts import RunArtifacts
from flows.draw import draw_pictures
from ldp_core.errors import TooManyBadItemsError
from ldp_core.metrics import summarise
from ldp_core.storage import absolute_url, join
from ldp_core.types import RunSummary
from tasks.batches import Batch, BatchResult, ingest_batch, restore_batch
from tasks.cluster import Workers, open_workers
from tasks.job import Job, Method, stages_of
from tasks.plan import Plan, make_batches
from tasks.prepare import prepare_run
from tasks.progress import expect
from tasks.reports import publish_report, report_url_of, worst_first
from tasks.runs import environment, new_run_id, write_end, write_start
from tasks.tally import Tally

_BATCHES_AT_ONCE = 2


@flow(
    name="restore-dataset",
    task_runner=ThreadPoolTaskRunner(max_workers=2 * _BATCHES_AT_ONCE),  # type: ignore[arg-type]
    persist_result=False,
)
def restore_dataset(
    source: str,
    layout: str,
    archive: str,
    dataset: str | None = None,
    estimator: str = "disparity",
    estimator_settings: Mapping[str, Any] | None = None,
    deblurrer: str = "ldp",
    deblurrer_settings: Mapping[str, Any] | None = None,
    cluster: str | None = None,
    processes: int | None = None,
    max_bad: float = 0.05,
    report_items: int = 200,
) -> dict[str, Any]:
    """Restore every pair of a dataset and report on it; what the archive holds is not computed again.

    Args:
        source: folder or manifest of the dataset, any fsspec URL.
        layout: how the source is laid out, one of ``ldp_core.catalogue.LAYOUTS``.
        archive: where frames, results and reports are kept, any fsspec URL.
        cluster: address of a Dask scheduler; without one, workers are embedded in this process.
        processes: embedded worker processes; one per core by default.
        max_bad: share of bad items above which the run stops; a single bad item never stops it.
        report_items: how many items, worst first, get pictures in the report.

    Returns:
        The run's summary, as ``summary.json`` holds it.

    Raises:
        LdpError: the run as a whole cannot go on; single bad items go to quarantine instead.
    """
    begin = perf_counter()
    source, archive = absolute_url(source), absolute_url(archive)
    methods = Method.of(estimator, estimator_settings), Method.of(deblurrer, deblurrer_settings)
    with open_workers(cluster, processes=processes) as workers:
        job = Job(archive, *methods, torch_threads=workers.torch_threads)
        plan = prepare_run(job, source, layout, dataset).plan
        run_id = new_run_id()
        write_start(job, run_id, plan.catalogue)
        artifacts = RunArtifacts(run_id)
        tally = Tally(plan.catalogue, max_bad=max_bad)
        stopped = _restore_batches(plan, tally, workers, artifacts)
        report_url = report_url_of(archive, run_id)
        shown = worst_first(tally.items)[:report_items]
        drawn = draw_pictures(job, plan.catalogue, shown, report_url, workers)
    for result in drawn:
        tally.add(result)
    summary = _summarise(plan, tally, run_id, join(report_url, "index.html"), begin)
    publish_report(summary, tally.items, drawn, catalogue=plan.catalogue)
    write_end(job, summary, tally.items)
    artifacts.publish(summary)
    if stopped is not None:
        raise stopped
    return asdict(summary)


def _restore_batches(
    plan: Plan, tally: Tally, workers: Workers, artifacts: RunArtifacts
) -> TooManyBadItemsError | None:
    """Ingest and restore batch by batch, a few at once; the error when too many items are bad."""
    batches = make_batches(plan.catalogue.items)
    for stage in ("ingest", "restore"):
        expect(stage, len(plan.catalogue.items))
    running: deque[PrefectFuture[BatchResult]] = deque()
    try:
        tally.check()
        for number, items in enumerate(batches):
            running.extend(_submit_batch(plan, Batch(number, items), workers.processes + 1))
            if number >= _BATCHES_AT_ONCE - 1:
                _collect(running, tally)
                artifacts.advance((number + 1) / len(batches))
        while running:
            _collect(running, tally)
    except TooManyBadItemsError as error:
        return error
    return None


def _submit_batch(plan: Plan, batch: Batch, in_flight: int) -> tuple[PrefectFuture[BatchResult], ...]:
    ingested = ingest_batch.submit(plan.job, batch, plan.done, in_flight=in_flight)
    awaited = cast(BatchResult, ingested)  # Prefect hands the task the result
    restored = restore_batch.submit(plan.job, batch, plan.done, ingested=awaited, in_flight=in_flight)
    return ingested, restored


def _collect(running: deque[PrefectFuture[BatchResult]], tally: Tally) -> None:
    """Count the oldest batch: what its ingest said, then what its restoration said."""
    for _ in range(2):
        tally.add(running.popleft().result())
    tally.check()


def _summarise(plan: Plan, tally: Tally, run_id: str, report: str, begin: float) -> RunSummary:
    return RunSummary(
        run_id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        dataset=plan.catalogue.dataset,
        layout=plan.catalogue.layout,
        source=plan.catalogue.source,
        report=report,
        stages=stages_of(plan.job),
        environment=environment(),
        items=tally.counts,
        seconds=tally.seconds | {"total": round(perf_counter() - begin, 3)},
        metrics=summarise([score for item in tally.items for score in item.scores]),
        quarantine=tuple(tally.quarantine),
        problems=plan.catalogue.problems,
    )
