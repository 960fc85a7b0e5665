"""What runs over a dataset share: a record from their start to their end, and batches counted in order."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from time import perf_counter
from types import MappingProxyType
from typing import Protocol

from flows.exits import ending_soon, raise_lost_interrupt
from flows.logs import ITEMS, RUN
from ldp_core.errors import TooManyBadItemsError
from ldp_core.storage import join
from ldp_core.traffic import process_traffic
from ldp_core.types import Catalogue, QuarantineRecord, RunSummary
from tasks.heartbeat import RunState
from tasks.items import ItemResult
from tasks.pipeline import Pipeline
from tasks.plan import Plan
from tasks.reports import publish_report, report_url_of
from tasks.run import Run
from tasks.run_stats import RunStats
from tasks.sources import apply_versions
from tasks.stored_run import describe_request
from tasks.work import Batch, BatchResult, make_batches

_RUN, _ITEMS = logging.getLogger(RUN), logging.getLogger(ITEMS)
BATCHES_AT_ONCE = 2
"""While one is counted the next is at work; more would only hold more results in memory."""


class Counted(Protocol):
    """The result of a batch, once it is there."""

    def result(self) -> BatchResult: ...


class Artifacts(Protocol):
    """Shows a run while it is at work, and what came of it."""

    def __init__(self, run_id: str, *, verb: str) -> None: ...

    def following(self) -> AbstractContextManager[None]:
        """Tell others of the run, and let them end it, while a block runs."""

    def advance(self, share: float) -> None:
        """Show which share of the batches has been counted, 0..1."""

    def publish(self, summary: RunSummary) -> None:
        """Show the counts, the means and the address of the report, where there are any."""


class NoArtifacts:
    """Of a run that nobody watches."""

    def __init__(self, run_id: str, *, verb: str) -> None: ...

    def following(self) -> AbstractContextManager[None]:
        return nullcontext()

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
        self.add(BatchResult(recorded.values()))
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

    def add(self, batch: BatchResult) -> None:
        """Count what came of a batch, and log what is quarantined of it."""
        known = len(self.stats.quarantine)
        self.stats.add(batch)
        _log_quarantine(self.stats.quarantine[known:])

    def _count(self, futures: Sequence[Counted]) -> None:
        for future in futures:
            self.add(future.result())
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
    asked = describe_request(plan.options, plan.camera, from_archive=plan.config.from_archive)
    run = Run.start(plan.config, plan.catalogue, pipelines, asked=asked)
    stats = RunStats(plan.catalogue, max_bad=max_bad, vanished=plan.sources.vanished)
    current = DatasetRun(plan, run, stats, artifacts(run.run_id, verb=verb))
    stopped: TooManyBadItemsError | None = None
    with ending_soon(), run.heartbeat.beating(), current.artifacts.following():
        begun = {"run": run.run_id, "dataset": plan.catalogue.dataset, "items": stats.total}
        _RUN.info("%s of %d items begins", verb, stats.total, extra=begun)
        _log_quarantine(stats.quarantine)
        try:
            yield current
        except TooManyBadItemsError as error:
            stopped = error
        drawn = [] if draw is None else draw(current)
        for batch in drawn:
            current.add(batch)
        current.summary = current.stats.summarise(
            run.run_id,
            pipelines,
            seconds=perf_counter() - begin,
            report="" if draw is None else join(report_url_of(run.archive, run.run_id), "index.html"),
            state=RunState.FINISHED if stopped is None else RunState.STOPPED,
            traffic=process_traffic() - plan.begun,
        )
        if draw is not None:
            publish_report(current.summary, current.stats.items, drawn, catalogue=plan.catalogue)
        run.finish(current.summary, current.stats.items)
        counts = asdict(current.summary.items)
        ended = {"run": run.run_id, "state": current.summary.state, **counts}
        level = logging.WARNING if current.stats.quarantine else logging.INFO
        _RUN.log(level, "%(quarantined)d of %(total)d items are quarantined", counts, extra=ended)
        current.artifacts.publish(current.summary)
    if stopped is not None:
        raise stopped


def _log_quarantine(records: Iterable[QuarantineRecord]) -> None:
    for one in records:
        facts = {"item": one.item, "stage": one.stage, "kind": one.kind, "remedy": one.remedy}
        _ITEMS.warning("%s is quarantined: [%s] %s", one.item, one.kind, one.message, extra=facts)
