"""Items of which nothing is left to compute: their results are read, in this process.

A finished run has recorded the scores of its items, under a digest of their table. They are taken from there
where nothing of an item can differ: its source is as that run found it, the stage keys are the same, and
nothing of it was written since. Of any other item the entries in the archive say what its results are.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ldp_core.errors import ItemDamagedError, ItemMissingError
from ldp_core.types import Item
from tasks.items import ItemResult, read_finished
from tasks.plan import Plan
from tasks.run import Run, RunItem
from tasks.stage import ItemTraits
from tasks.stages import SCORE

# Two small objects are read of each item: on a store that answers in 30 ms, 500 items a second.
_READERS: Final = 32


def read_recorded(plan: Plan, *, scored: bool) -> dict[str, ItemResult]:
    """By id, the results of finished items that the newest finished run has recorded.

    ``scored``: the run is to have their scores; without, it archives frames and no more.
    """
    if plan.recorded is None:
        return {}
    try:
        recorded = {item.id: item for item in plan.recorded.read_recorded()}
        doubted = {problem.where for problem in plan.recorded.summary.problems}
    except (ItemMissingError, ItemDamagedError):
        return {}
    pipelines = _same_scores(plan, plan.recorded) if scored else frozenset()
    found = ((item, recorded[item.id]) for item in _find_untouched(plan, scored) if item.id in recorded)
    return {
        item.id: ItemResult(item.id, (), one.scores if scored else (), {}, one.digest, one.version)
        for item, one in found
        if item.id not in doubted and _is_result(item, one) and (not scored or _name(item) in pipelines)
    }


def read_all_finished(plan: Plan, *, scored: bool) -> tuple[ItemResult, ...] | None:
    """The results of all items of a plan; None where any has to be looked at closer, or made."""
    items, confirmed = plan.catalogue.items, plan.sources.confirmed
    if not items or not all(_is_finished(plan, item, scored) for item in items):
        return None
    found = read_recorded(plan, scored=scored)
    rest = [item for item in items if item.id not in found]
    with ThreadPoolExecutor(_READERS) as readers:
        reading = [
            readers.submit(read_finished, plan.config, item, item.id in confirmed, scored=scored)
            for item in rest
        ]
        for future in reading:
            if (result := future.result()) is None:
                readers.shutdown(wait=False, cancel_futures=True)
                return None
            found[result.item_id] = result
    return tuple(found[item.id] for item in items)


def _is_finished(plan: Plan, item: Item, scored: bool) -> bool:
    if scored:
        return plan.is_done(item)
    return item.key in plan.completed.frames and item.id not in plan.sources.suspects


def _find_untouched(plan: Plan, scored: bool) -> Iterator[Item]:
    """Finished items whose source is as a run found it, and of which nothing was written since."""
    for item in plan.catalogue.items:
        confirmed = item.id in plan.sources.confirmed and item.key not in plan.completed.changed
        if confirmed and _is_finished(plan, item, scored):
            yield item


def _same_scores(plan: Plan, run: Run) -> frozenset[str]:
    """Names of the pipelines whose scores have the key that they had in a run."""
    return frozenset(n for n, ours in plan.pipelines.items() if run.key_of(SCORE, n) == ours.keys[SCORE])


def _name(item: Item) -> str:
    return ItemTraits.of(item).name


def _is_result(item: Item, recorded: RunItem) -> bool:
    return recorded.version == item.version and bool(recorded.digest)
