"""Make the report of an earlier run again, from what the archive holds."""

from __future__ import annotations

from dataclasses import replace

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows.deployed import read_deployed
from flows.drawing import draw_pictures
from ldp_core.storage import join, shared_url
from ldp_core.types import RunSummary
from tasks.cluster import open_workers
from tasks.reports import choose_drawn, publish_report, report_url_of
from tasks.run import Run, require_restored


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
    insecure_cluster: bool = False,
    settings: str = "",
) -> str:
    """Draw the pictures and the page of a run again; returns the address of the page.

    Args:
        settings: of a deployment: a settings file (`flows.settings_file`) that has what its parameters do not
            name, or name as empty.

    Raises:
        ItemMissingError: the archive holds no such run, it did not come to its end, or it only archived.
    """
    if settings:
        return report_dataset.fn(**read_deployed(settings, of=report_dataset))
    archive = shared_url(archive)
    summary = require_reportable(archive, run_id)
    run = Run(archive, run_id)
    catalogue, items = run.catalogue, run.items
    report_url = report_url_of(archive, run_id)
    with open_workers(cluster, processes=processes, insecure=insecure_cluster) as workers:
        shown = choose_drawn(items, report_items)
        drawn = draw_pictures(run.config, catalogue, shown, report_url, workers)
    summary = replace(summary, report=join(report_url, "index.html"))
    return publish_report(summary, items, drawn, catalogue=catalogue)


def require_reportable(archive: str, run_id: str) -> RunSummary:
    """The summary of a run of which a report can be made; known without server and workers.

    Raises:
        ItemMissingError: the archive holds no such run, it did not come to its end, or it only archived.
    """
    summary = Run(archive, run_id).summary
    require_restored(summary)
    return summary
