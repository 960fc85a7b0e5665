"""Make the report of an earlier run again, from what the archive holds."""

from __future__ import annotations

from dataclasses import replace

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows.draw import draw_pictures
from ldp_core.storage import absolute_url, join
from tasks.cluster import open_workers
from tasks.reports import publish_report, report_url_of, worst_first
from tasks.runs import read_end, read_start


@flow(
    name="report-dataset",
    task_runner=ThreadPoolTaskRunner(max_workers=2),  # type: ignore[arg-type]
    persist_result=False,
)
def report_dataset(
    archive: str,
    run_id: str,
    cluster: str | None = None,
    processes: int | None = None,
    report_items: int = 200,
) -> str:
    """Draw the pictures and the page of a run again; returns the address of the page.

    Raises:
        ItemMissingError: the archive holds no such run, or it did not come to its end.
    """
    archive = absolute_url(archive)
    job, catalogue = read_start(archive, run_id)
    summary, items = read_end(archive, run_id)
    report_url = report_url_of(archive, run_id)
    with open_workers(cluster, processes=processes) as workers:
        shown = worst_first(items)[:report_items]
        drawn = draw_pictures(job, catalogue, shown, report_url, workers)
    summary = replace(summary, report=join(report_url, "index.html"))
    return publish_report(summary, items, drawn, catalogue=catalogue)
