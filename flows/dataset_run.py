"""What runs over a dataset share: a record from their start to their end, and batches counted in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from types import MappingProxyType
from typing import Protocol

from flows.exits import ending_soon, raise_lost_interrupt
from ldp_core.errors import TooManyBadItemsError
from ldp_core.storage import join
from ldp_core.types import Catalogue, RunSummary
from tasks.items import ItemResult
from tasks.pipeline import Pipeline
from tasks.plan import Plan
from tasks.reports import publish_report, report_url_of
from tasks.run import Run, RunState
from tasks.run_stats import RunStats
from tasks.sources import apply_versions
from tasks.stored_run import describe_request
from tasks.work import Batch, BatchResult, make_batches

BATCHES_AT_ONCE = 2
"""While one is counted the next is at work; more would only hold more results in memory."""


class Counted(Protocol):
    """The result of a batch, once it is there."""

    def result(self) -> BatchResult: ...


class Artifacts(Protocol):
    """Shows a run while it is at work, and what came of it."""

    def __init__(self, run_id: str, *, verb: str) -> None: ...

    def advance(self, share: float) -> None:
        """Show which share of the batches has been counted, 0..1."""

    def publish(self, summary: RunSummary) -> None:
        """Show the counts, the means and the address of the report, where there are any."""


class NoArtifacts:
    """Of a run that nobody watches."""

    def __init__(self, run_id: str, *, verb: str) -> None: ...

    def advance(self, share: float) -> None: ...

    def publish(self, summary: RunSummary) -> None: ...


Submit = Callable[[Batch], Sequence[Counted]]
"""Starts the task runs of a batch; their results are counted in this order."""
Draw = Callable[["DatasetRun"], list[BatchResult]]
"""Draws the pictures of a run's report."""


@dataclass(slots=True)
class DatasetRun:
    """A run at work. ``summary`` is there once it has come to its end."""

    plan: Plan
    run: Run
    stats: RunStats
    artifacts: Artifacts
    summary: RunSummary | None = None

    def run_batches(
        self, submit: Submit, *, recorded: Mapping[str, ItemResult] = MappingProxyType({}), at_once: int = 1
    ) -> None:
        """Have every batch of items worked on, a few at once, but for those whose results are ``recorded``.

        ``at_once`` is how many pieces of work of a batch are with workers at once.

        Raises:
            TooManyBadItemsError: more items are bad than the run allows.
            KeyboardInterrupt: one was asked for.
        """
        rest = (item for item in self.plan.catalogue.items if item.id not in recorded)
        batches = make_batches(rest, at_once=at_once)
        running: deque[Sequence[Counted]] = deque()
        self.stats.check()
        self.stats.add(BatchResult(recorded.values()))
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

    def _count(self, futures: Sequence[Counted]) -> None:
        for future in futures:
            self.stats.add(future.result())
        self.stats.check()
        raise_lost_interrupt()


@contextmanager
def record_run(
    verb: str,
    plan: Plan,
    pipelines: Mapping[str, Pipeline],
    *,
    max_bad: float,
    draw: Draw | None = None,
    artifacts: type[Artifacts] = NoArtifacts,
) -> Iterator[DatasetRun]:
    """Record a run: what it sets out to do, that it is alive, and what came of it.

    What is done when too many items are bad is kept and reported before the error goes on. ``verb``, such as
    ``restore``, begins the names of its artifacts.
    """
    begin = perf_counter()
    asked = describe_request(plan.options, plan.camera)
    run = Run.start(plan.config, plan.catalogue, pipelines, asked=asked)
    stats = RunStats(plan.catalogue, max_bad=max_bad, vanished=plan.sources.vanished)
    current = DatasetRun(plan, run, stats, artifacts(run.run_id, verb=verb))
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
