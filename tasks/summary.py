"""One run in a record: counts, worker seconds by stage, means."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from ldp_core.metrics import summarise
from ldp_core.types import Catalogue, RunSummary, StageSpec
from tasks.runs import environment
from tasks.tally import Tally


def summarise_run(
    run_id: str,
    catalogue: Catalogue,
    tally: Tally,
    *,
    seconds: float,
    stages: Iterable[StageSpec] = (),
    single_stages: Iterable[StageSpec] = (),
    report: str = "",
) -> RunSummary:
    """What has become of a run after ``seconds`` of wall clock.

    ``stages`` are those beyond ingest, of pairs and of items of a single view.
    """
    return RunSummary(
        run_id=run_id,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        dataset=catalogue.dataset,
        layout=catalogue.layout,
        source=catalogue.source,
        report=report,
        stages=tuple(stages),
        environment=environment(),
        items=tally.counts,
        seconds=tally.seconds | {"total": round(seconds, 3)},
        metrics=summarise([score for item in tally.items for score in item.scores]),
        quarantine=tuple(tally.quarantine),
        problems=catalogue.problems,
        single_stages=tuple(single_stages),
    )
