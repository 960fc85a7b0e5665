"""What a run shows in Prefect: how far it is, its warnings, what was quarantined, its means, its report."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.events import emit_event
from prefect.logging.handlers import APILogHandler
from prefect.runtime import flow_run

from flows.logs import ITEMS, LOG
from flows.watch import watching_flow_run
from ldp_core.types import RunSummary

_MOST_LINES: Final = 100
"""Quarantined items that get a log line each; a run of a million may have 50,000."""


class RunArtifacts:
    """The artifacts of one run; made inside its flow. ``verb``, such as ``restore``, begins their keys."""

    def __init__(self, run_id: str, *, verb: str) -> None:
        self._verb, self._run_id = verb, run_id
        self._progress: UUID | None = None

    @contextmanager
    def following(self) -> Iterator[None]:
        """Show the run, send its warnings to Prefect, and heed what becomes of the flow run there."""
        handler = _RunLog(flow_run.id)
        LOG.addHandler(handler)
        try:
            with watching_flow_run():
                self.advance(0.0)
                yield
        finally:
            LOG.removeHandler(handler)

    def advance(self, share: float) -> None:
        """Show which share of the batches has been counted, 0..1."""
        progress = round(100 * share, 1)
        if self._progress is None:
            made = create_progress_artifact(
                progress, key=f"{self._verb}-progress", description=f"run {self._run_id}"
            )
            self._progress = made  # type: ignore[assignment]
        else:
            update_progress_artifact(self._progress, progress=progress)

    def publish(self, summary: RunSummary) -> None:
        """Show the counts, the means, the reasons of quarantine and the report, where there are any.

        An event ``ldp.run.finished`` has the counts; ``ldp.items.quarantined`` is sent where there are such.
        """
        self.advance(1.0)
        if summary.metrics:
            self._show_means(summary)
        if summary.quarantine:
            self._show_quarantine(summary)
        counts = summary.items
        report = f"\n\nReport: `{summary.report}`" if summary.report else ""
        sources = summary.sources
        create_markdown_artifact(
            f"**{counts.computed}** computed, **{counts.skipped}** already there, "
            f"**{counts.quarantined}** quarantined, of {counts.total}; "
            f"sources: **{sources.changed}** changed, **{sources.vanished}** vanished.{report}",
            key=f"{self._verb}-report",
            description=f"run {summary.run_id}",
        )
        self._emit("ldp.run.finished", summary)
        if counts.quarantined:
            self._emit("ldp.items.quarantined", summary)

    def _show_means(self, summary: RunSummary) -> None:
        rows = [
            {
                "metric": mean.metric,
                "subject": mean.subject,
                "mean": round(mean.mean, 4),
                "95 %": f"{mean.low:.4f} .. {mean.high:.4f}",
                "n": mean.n,
                "protocol": mean.protocol,
            }
            for mean in summary.metrics
        ]
        create_table_artifact(rows, key=f"{self._verb}-summary", description=f"run {summary.run_id}")

    def _show_quarantine(self, summary: RunSummary) -> None:
        rows = [
            {"kind": one.kind, "item": one.item, "stage": one.stage, "message": one.message, "do": one.remedy}
            for one in summary.quarantine[:_MOST_LINES]
        ]
        count = f"{len(rows)} of {len(summary.quarantine)}; all are in quarantine.jsonl"
        create_table_artifact(rows, key=f"{self._verb}-quarantine", description=count)

    def _emit(self, event: str, summary: RunSummary) -> None:
        counts = summary.items
        emit_event(
            event,
            resource={
                "prefect.resource.id": f"ldp.dataset.{summary.dataset}",
                "ldp.run": summary.run_id,
                "ldp.state": summary.state,
            },
            payload={"total": counts.total, "quarantined": counts.quarantined, "report": summary.report},
        )


class _RunLog(APILogHandler):
    """Log lines of whatever thread, as those of one flow run."""

    def __init__(self, flow_run_id: str) -> None:
        super().__init__(logging.WARNING)
        self._flow_run_id, self._items = flow_run_id, 0

    def emit(self, record: logging.LogRecord) -> None:
        self._items += record.name == ITEMS
        if record.name != ITEMS or self._items <= _MOST_LINES:
            record.flow_run_id = self._flow_run_id
            super().emit(record)
