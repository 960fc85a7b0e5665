"""Which work an item needs, and what became of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ldp_core.traffic import NO_TRAFFIC, counting
from ldp_core.types import Item, QuarantineRecord
from tasks.items import DrawnItem, Failed, ItemResult, confirm_item, ingest_item, load_archived, restore_item
from tasks.pipeline import pipeline_for
from tasks.plan import Plan, pixels_of
from tasks.stage import PipelineConfig

Outcome = ItemResult | DrawnItem | Failed
Call = tuple[Any, ...]
"""A function of `tasks.items`, and its arguments."""


_MOST_BATCHES = 100
"""A batch is two Prefect task runs, and bursts of a thousand of them make its server refuse requests."""
_SMALLEST_BATCH = 8
_PIXELS_OF_ANY = 40_000
"""Reading, writing and scoring a picture of 64x48 px take as long as computing so many pixels."""
_PIXELS_READ = 2_000
"""As much for an item whose results are only read."""
_CHUNK_PIXELS = 500_000
"""What a worker is given at once: a pair of 840x560 px, two seconds of work. A Dask task costs 20 ms."""


class Batch:
    """Some items of a run."""

    def __init__(self, number: int, items: tuple[Item, ...]) -> None:
        self.number = number
        self.items = items


class BatchResult:
    """What became of a batch: for each item a result or its pictures, or the reason why it is quarantined."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        found = tuple(outcomes)
        self.traffic = sum((one.traffic for one in found), NO_TRAFFIC)
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


def cost_of(call: Call) -> int:
    """What a call takes of a worker's time, in pixels."""
    if call[0] in (confirm_item, load_archived):
        return _PIXELS_READ
    return _PIXELS_OF_ANY + pixels_of(item_of(call))


def item_of(call: Call) -> Item:
    """The item that a call is for."""
    return next(argument for argument in call if isinstance(argument, Item))


def config_of(call: Call) -> PipelineConfig:
    """The configuration that a call works by."""
    return next(argument for argument in call if isinstance(argument, PipelineConfig))


def make_chunks(calls: Iterable[Call], *, most: int) -> Iterator[tuple[Call, ...]]:
    """Calls in groups of about one cost, one call at least and ``most`` at most."""
    chunk: list[Call] = []
    cost = 0
    for call in calls:
        chunk.append(call)
        cost += cost_of(call)
        if cost >= _CHUNK_PIXELS or len(chunk) == most:
            yield tuple(chunk)
            chunk, cost = [], 0
    if chunk:
        yield tuple(chunk)


def make_calls(calls: Sequence[Call]) -> list[Any]:
    """What a worker does with a chunk: the results of its calls, none of which raises."""
    return [_make(*call) for call in calls]


def _make(function: Callable[..., Any], *arguments: Any) -> Any:
    with counting() as asked:
        outcome = function(*arguments)
    return replace(outcome, traffic=asked.total) if isinstance(outcome, Outcome) else outcome


def make_batches(items: Iterable[Item], *, at_once: int = 1) -> list[tuple[Item, ...]]:
    """Items in batches of ``at_once`` chunks at least; a hundred at most, whatever a dataset's size."""
    listed = tuple(items)
    cost = sum(_PIXELS_OF_ANY + pixels_of(item) for item in listed) / max(len(listed), 1)
    least = max(_SMALLEST_BATCH, int(at_once * _CHUNK_PIXELS / max(cost, 1)))
    size = max(least, math.ceil(len(listed) / _MOST_BATCHES))
    return [listed[start : start + size] for start in range(0, len(listed), size)]
