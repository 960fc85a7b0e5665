"""The record of a run that found nothing left to compute; made in this process, without server or workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from flows.dataset_run import Artifacts, DatasetRun, NoArtifacts, record_run
from ldp_core.types import RunSummary
from tasks.items import ItemResult, draw_item
from tasks.pipeline import Pipeline
from tasks.plan import Plan
from tasks.progress import advance, expect
from tasks.reports import choose_drawn, report_url_of
from tasks.work import BatchResult


def record_finished(
    verb: str,
    plan: Plan,
    results: Sequence[ItemResult],
    *,
    pipelines: Mapping[str, Pipeline] = MappingProxyType({}),
    max_bad: float = 0.05,
    report_items: int = 200,
    artifacts: type[Artifacts] = NoArtifacts,
) -> RunSummary:
    """Record a run with the results that were read of all its items; no ``pipelines`` where it archives.

    Raises:
        TooManyBadItemsError: the catalogue refused more items than the run allows.
    """

    def draw(run: DatasetRun) -> list[BatchResult]:
        return _draw_chosen(run, report_items)

    with record_run(
        verb, plan, pipelines, max_bad=max_bad, draw=draw if pipelines else None, artifacts=artifacts
    ) as run:
        run.stats.check()
        run.stats.add(BatchResult(results))
    return run.finished_summary


def _draw_chosen(run: DatasetRun, count: int) -> list[BatchResult]:
    shown = {*choose_drawn(run.stats.items, count)}
    expect("draw", len(shown))
    report_url, drawn = report_url_of(run.run.archive, run.run.run_id), []
    for item in run.catalogue.items:
        if item.id in shown:
            drawn.append(draw_item(run.plan.config, report_url, item))
            advance("draw")
    return [BatchResult(drawn)]
