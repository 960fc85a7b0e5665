"""Archive the frames of a dataset, and no more: no method runs, no accelerator is needed."""

from __future__ import annotations

from dataclasses import asdict
from time import perf_counter
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifacts import RunArtifacts
from flows.feed import BATCHES_AT_ONCE, feed_batches
from ldp_core.storage import shared_url
from tasks.batches import ingest_batch
from tasks.cluster import open_workers
from tasks.heartbeat import beating
from tasks.job import Job
from tasks.prepare import prepare_run
from tasks.progress import expect
from tasks.runs import new_run_id, write_end, write_start
from tasks.summary import summarise_run
from tasks.tally import Tally


@flow(
    name="ingest-dataset",
    task_runner=ThreadPoolTaskRunner(max_workers=BATCHES_AT_ONCE),  # type: ignore[arg-type]
    persist_result=False,
)
def ingest_dataset(
    source: str,
    layout: str,
    archive: str,
    dataset: str | None = None,
    cluster: str | None = None,
    processes: int | None = None,
    max_bad: float = 0.05,
) -> dict[str, Any]:
    """Archive the frames of every pair of a dataset; those that are there are compared with their source.

    Args:
        source: folder or manifest of the dataset, any fsspec URL.
        layout: how the source is laid out, one of ``ldp_core.catalogue.LAYOUTS``.
        archive: where frames and the records of runs are kept, any fsspec URL.
        cluster: address of a Dask scheduler; without one, workers are embedded in this process.
        processes: embedded worker processes; one per core by default.
        max_bad: share of bad items above which the run stops; a single bad item never stops it.

    Returns:
        The run's summary, as ``summary.json`` holds it: no stages, no metrics, no report.

    Raises:
        LdpError: the run as a whole cannot go on; single bad items go to quarantine instead.
    """
    begin = perf_counter()
    job = Job(shared_url(archive))
    with open_workers(cluster, processes=processes) as workers:
        plan = prepare_run(job, shared_url(source), layout, dataset).plan
        run_id = new_run_id()
        write_start(job, run_id, plan.catalogue, stages=())
        artifacts = RunArtifacts(run_id, verb="ingest")
        tally = Tally(plan.catalogue, max_bad=max_bad)
        expect("ingest", len(plan.catalogue.items))
        with beating(job.archive, run_id):
            stopped = feed_batches(
                plan.catalogue.items,
                lambda batch: (ingest_batch.submit(job, batch, plan.done, in_flight=workers.processes + 1),),
                tally=tally,
                artifacts=artifacts,
            )
    summary = summarise_run(run_id, plan.catalogue, tally, seconds=perf_counter() - begin)
    write_end(job, summary, tally.items)
    artifacts.publish(summary)
    if stopped is not None:
        raise stopped
    return asdict(summary)
