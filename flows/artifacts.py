"""What a run shows in the Prefect UI: how far it is, its means, and where its report lies."""

from __future__ import annotations

from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from ldp_core.types import RunSummary


class RunArtifacts:
    """The artifacts of one run; made inside its flow. ``verb``, such as ``restore``, begins their keys."""

    def __init__(self, run_id: str, *, verb: str) -> None:
        self._verb = verb
        made = create_progress_artifact(0.0, key=f"{verb}-progress", description=f"run {run_id}")
        self._progress: UUID = made  # type: ignore[assignment]

    def advance(self, share: float) -> None:
        """Show which share of the batches has been counted, 0..1."""
        update_progress_artifact(self._progress, progress=round(100 * share, 1))

    def publish(self, summary: RunSummary) -> None:
        """Show the counts, the means and the address of the report, where there are any."""
        self.advance(1.0)
        if summary.metrics:
            self._show_means(summary)
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
