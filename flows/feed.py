"""The loop that runs share: batches go out a few at once, and what comes back is counted in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from prefect.futures import PrefectFuture

from flows.artifacts import RunArtifacts
from flows.exits import heed_interrupt
from ldp_core.errors import TooManyBadItemsError
from ldp_core.types import Item
from tasks.batches import Batch, BatchResult
from tasks.plan import make_batches
from tasks.tally import Tally

BATCHES_AT_ONCE = 2

Submit = Callable[[Batch], tuple[PrefectFuture[BatchResult], ...]]
"""Starts the task runs of a batch, one per stage; their results are counted in this order."""


def feed_batches(
    items: Iterable[Item], submit: Submit, *, tally: Tally, artifacts: RunArtifacts
) -> TooManyBadItemsError | None:
    """Have every batch of items worked on; the error when too many items are bad."""
    batches = make_batches(items)
    running: deque[tuple[PrefectFuture[BatchResult], ...]] = deque()
    try:
        tally.check()
        for number, batch in enumerate(batches):
            running.append(submit(Batch(number, batch)))
            if len(running) == BATCHES_AT_ONCE:
                _collect(running.popleft(), tally)
                artifacts.advance(number / len(batches))
        while running:
            _collect(running.popleft(), tally)
    except TooManyBadItemsError as error:
        return error
    return None


def _collect(stages: tuple[PrefectFuture[BatchResult], ...], tally: Tally) -> None:
    """Count a batch: what each of its stages said, in order."""
    for future in stages:
        tally.add(future.result())
    tally.check()
    heed_interrupt()
