"""The main job: a dataset of dual-pixel pairs in; archive, restored images, scores and report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any, cast

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifacts import RunArtifacts
from flows.draw import draw_pictures
from flows.feed import BATCHES_AT_ONCE, feed_batches
from ldp_core.storage import join, shared_url
from tasks.batches import Batch, BatchResult, ingest_batch, restore_batch
from tasks.cluster import open_workers
from tasks.heartbeat import beating
from tasks.job import make_job, stages_for
from tasks.memory import declare_memory, require_memory
from tasks.plan import Plan
from tasks.prepare import prepare_run
from tasks.progress import expect
from tasks.reports import publish_report, report_url_of, worst_first
from tasks.runs import new_run_id, write_end, write_start
from tasks.summary import summarise_run
from tasks.tally import Tally


@flow(
    name="restore-dataset",
    task_runner=ThreadPoolTaskRunner(max_workers=2 * BATCHES_AT_ONCE),  # type: ignore[arg-type]
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
    single_estimator_settings: Mapping[str, Any] | None = None,
    single_deblurrer_settings: Mapping[str, Any] | None = None,
    baselines: Sequence[str] = (),
    cluster: str | None = None,
    processes: int | None = None,
    max_bad: float = 0.05,
    report_items: int = 200,
) -> dict[str, Any]:
    """Restore every item of a dataset and report on it; what the archive holds is not computed again.

    Items whose second view is missing go through methods that work on one view: those of the run
    where they do, else ``depth-distilled`` and ``bdir`` with the settings given for single views.

    Args:
        source: folder or manifest of the dataset, any fsspec URL.
        layout: how the source is laid out, one of ``ldp_core.catalogue.LAYOUTS``.
        archive: where frames, results and reports are kept, any fsspec URL.
        baselines: deblurrers that restore every item as well, to be scored beside the result.
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
    source, archive = shared_url(source), shared_url(archive)
    with open_workers(cluster, processes=processes) as workers:
        job = make_job(
            archive,
            estimator=(estimator, estimator_settings),
            deblurrer=(deblurrer, deblurrer_settings),
            single_settings=(single_estimator_settings, single_deblurrer_settings),
            baselines=baselines,
            torch_threads=workers.torch_threads,
        )
        plan = prepare_run(job, source, layout, dataset).plan
        require_memory(declare_memory(plan.to_do, job), workers)
        run_id = new_run_id()
        stages, single_stages = stages_for(job, plan.catalogue.items)
        write_start(job, run_id, plan.catalogue, stages=stages, single_stages=single_stages)
        artifacts = RunArtifacts(run_id, verb="restore")
        tally = Tally(plan.catalogue, max_bad=max_bad)
        for stage in ("ingest", "restore"):
            expect(stage, len(plan.catalogue.items))
        with beating(archive, run_id):
            stopped = feed_batches(
                plan.catalogue.items,
                lambda batch: _submit_batch(plan, batch, workers.processes + 1),
                tally=tally,
                artifacts=artifacts,
            )
            report_url = report_url_of(archive, run_id)
            shown = worst_first(tally.items)[:report_items]
            drawn = draw_pictures(job, plan.catalogue, shown, report_url, workers)
    for result in drawn:
        tally.add(result)
    summary = summarise_run(
        run_id,
        plan.catalogue,
        tally,
        seconds=perf_counter() - begin,
        stages=stages,
        single_stages=single_stages,
        report=join(report_url, "index.html"),
    )
    publish_report(summary, tally.items, drawn, catalogue=plan.catalogue)
    write_end(job, summary, tally.items)
    artifacts.publish(summary)
    if stopped is not None:
        raise stopped
    return asdict(summary)


def _submit_batch(plan: Plan, batch: Batch, in_flight: int) -> tuple[PrefectFuture[BatchResult], ...]:
    ingested = ingest_batch.submit(plan.job, batch, plan.done, in_flight=in_flight)
    awaited = cast(BatchResult, ingested)  # Prefect hands the task the result
    restored = restore_batch.submit(plan.job, batch, plan.done, ingested=awaited, in_flight=in_flight)
    return ingested, restored
