"""What runs over a dataset share: a record from their start to their end, and batches counted in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from prefect.futures import PrefectFuture

from flows.artifacts import RunArtifacts
from flows.exits import ending_soon, raise_lost_interrupt
from ldp_core.errors import TooManyBadItemsError
from ldp_core.storage import join
from ldp_core.types import Catalogue, RunSummary
from tasks.batches import Batch, BatchResult, draw_batch, unvisited
from tasks.cluster import Workers
from tasks.pipeline import Pipeline
from tasks.plan import Plan, make_batches
from tasks.progress import expect
from tasks.reports import publish_report, report_url_of
from tasks.run import Run, RunState
from tasks.run_stats import RunStats
from tasks.sources import apply_versions
from tasks.stage import PipelineConfig
from tasks.stored_run import describe_request

BATCHES_AT_ONCE = 2
"""While one is counted the next is at work; more would only hold more results in memory."""

Submit = Callable[[Batch], Sequence[PrefectFuture[BatchResult]]]
"""Starts the task runs of a batch; their results are counted in this order."""
Draw = Callable[["DatasetRun"], list[BatchResult]]
"""Draws the pictures of a run's report."""


@dataclass(slots=True)
class DatasetRun:
    """A run at work. ``summary`` is there once it has come to its end."""

    plan: Plan
    run: Run
    stats: RunStats
    artifacts: RunArtifacts
    summary: RunSummary | None = None

    def run_batches(self, submit: Submit) -> None:
        """Have every batch of items worked on, a few at once.

        Raises:
            TooManyBadItemsError: more items are bad than the run allows.
            KeyboardInterrupt: one was asked for.
        """
        batches = make_batches(self.plan.catalogue.items)
        running: deque[Sequence[PrefectFuture[BatchResult]]] = deque()
        self.stats.check()
        for number, items in enumerate(batches):
            running.append(submit(Batch(number, items)))
            if len(running) == BATCHES_AT_ONCE:
                self._count(running.popleft())
                self.artifacts.advance(number / len(batches))
        while running:
            self._count(running.popleft())

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue with the versions that the sources were found to hold so far."""
        return apply_versions(self.plan.catalogue, {item.id: item.version for item in self.stats.items})

    @property
    def finished_summary(self) -> RunSummary:
        """The summary of a run that has come to its end."""
        if self.summary is None:
            raise RuntimeError("the run has not come to its end")
        return self.summary

    def _count(self, futures: Sequence[PrefectFuture[BatchResult]]) -> None:
        for future in futures:
            self.stats.add(future.result())
        self.stats.check()
        raise_lost_interrupt()


@contextmanager
def record_run(
    verb: str, plan: Plan, pipelines: Mapping[str, Pipeline], *, max_bad: float, draw: Draw | None = None
) -> Iterator[DatasetRun]:
    """Record a run: what it sets out to do, that it is alive, and what came of it.

    What is done when too many items are bad is kept and reported before the error goes on. ``verb``, such as
    ``restore``, begins the names of its artifacts.
    """
    begin = perf_counter()
    asked = describe_request(plan.options, plan.camera)
    run = Run.start(plan.config, plan.catalogue, pipelines, asked=asked)
    stats = RunStats(plan.catalogue, max_bad=max_bad, vanished=plan.sources.vanished)
    current = DatasetRun(plan, run, stats, RunArtifacts(run.run_id, verb=verb))
    stopped: TooManyBadItemsError | None = None
    with ending_soon(), run.heartbeat():
        try:
            yield current
        except TooManyBadItemsError as error:
            stopped = error
        drawn = [] if draw is None else draw(current)
        for batch in drawn:
            current.stats.add(batch)
        current.summary = current.stats.summarise(
            run.run_id,
            pipelines,
            seconds=perf_counter() - begin,
            report="" if draw is None else join(report_url_of(run.archive, run.run_id), "index.html"),
            state=RunState.FINISHED if stopped is None else RunState.STOPPED,
        )
        if draw is not None:
            publish_report(current.summary, current.stats.items, drawn, catalogue=plan.catalogue)
        run.finish(current.summary, current.stats.items)
    current.artifacts.publish(current.summary)
    if stopped is not None:
        raise stopped


def draw_pictures(
    config: PipelineConfig, catalogue: Catalogue, shown: Collection[str], report_url: str, workers: Workers
) -> list[BatchResult]:
    """Have the workers draw the items shown into a report."""
    wanted = frozenset(shown)
    batches = make_batches(item for item in catalogue.items if item.id in wanted)
    expect("draw", len(wanted))
    in_flight = workers.processes + 1
    futures = [
        draw_batch.submit(unvisited(config), Batch(number, items), report_url, in_flight=in_flight)
        for number, items in enumerate(batches)
    ]
    return [future.result() for future in futures]
