"""Which work an item needs, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ldp_core.types import Item, QuarantineRecord
from tasks.items import DrawnItem, Failed, ItemResult, confirm_item, ingest_item, load_archived, restore_item
from tasks.pipeline import pipeline_for
from tasks.plan import Plan

Call = tuple[Any, ...]
"""A function of `tasks.items`, and its arguments."""


class Batch:
    """Some items of a run."""

    def __init__(self, number: int, items: tuple[Item, ...]) -> None:
        self.number = number
        self.items = items


class BatchResult:
    """What became of a batch: for each item a result or its pictures, or the reason why it is quarantined."""

    def __init__(self, outcomes: Iterable[ItemResult | DrawnItem | Failed]) -> None:
        found = tuple(outcomes)
        self.results = tuple(one for one in found if isinstance(one, ItemResult))
        self.drawn = tuple(one for one in found if isinstance(one, DrawnItem))
        self.quarantine: tuple[QuarantineRecord, ...] = tuple(
            one.record for one in found if isinstance(one, Failed)
        )


def choose_ingest(plan: Plan, item: Item) -> Call:
    """What a worker does first: it decodes an item that is not archived or whose source may have changed."""
    config, sources = plan.config, plan.sources
    if (archived := sources.suspects.get(item.id)) is not None:
        return ingest_item, config, item, archived
    confirmed = item.id in sources.confirmed
    if confirmed or item.key in plan.completed.frames:
        return confirm_item, config, item, confirmed
    return ingest_item, config, item


def choose_restore(plan: Plan, item: Item) -> Call:
    """What a worker does then of an item, in the version that its source was found to hold."""
    config, completed, pipeline = plan.config, plan.completed, pipeline_for(plan.config, item)
    if completed.holds_all(pipeline, item):
        return load_archived, config, item
    return restore_item, config, item, completed.labels(pipeline, item)
