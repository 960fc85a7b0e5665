"""Pictures for a report: the steps that making a report and making it again share."""

from __future__ import annotations

from collections.abc import Collection

from ldp_core.types import Catalogue
from tasks.batches import Batch, BatchResult, draw_batch
from tasks.cluster import Workers
from tasks.job import Job
from tasks.plan import make_batches
from tasks.progress import expect


def draw_pictures(
    job: Job, catalogue: Catalogue, shown: Collection[str], report_url: str, workers: Workers
) -> list[BatchResult]:
    """Have the workers draw the items shown into a report."""
    wanted = frozenset(shown)
    batches = make_batches(item for item in catalogue.items if item.id in wanted)
    expect("draw", len(wanted))
    futures = [
        draw_batch.submit(job, Batch(number, items), report_url, in_flight=workers.processes + 1)
        for number, items in enumerate(batches)
    ]
    return [future.result() for future in futures]
