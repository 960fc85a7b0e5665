"""The pictures of a report, drawn by workers as a Prefect task run per batch."""

from __future__ import annotations

from collections.abc import Collection

from ldp_core.types import Catalogue
from tasks.batches import draw_batch, unvisited
from tasks.cluster import Workers
from tasks.progress import expect
from tasks.stage import PipelineConfig
from tasks.work import Batch, BatchResult, make_batches


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
