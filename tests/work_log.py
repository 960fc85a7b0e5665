"""Has a worker of Dask write down what it works on; imported by ``--preload work_log``.

WORK_LOG names its file of JSON lines; an item is restored WORK_PAUSE_S seconds later than it could be.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def dask_setup(worker: Any) -> None:
    """Called by Dask before the worker is known to the scheduler."""
    from tasks import items, work

    items.ingest_item = noting("ingest", items.ingest_item, _item_of, pause_s=0)
    items.restore_item = noting(
        "restore", items.restore_item, _item_of, pause_s=float(os.environ["WORK_PAUSE_S"])
    )
    work.make_calls = noting("chunk", work.make_calls, _chunk_of, pause_s=0)


def noting(
    what: str, function: Callable[..., T], on_what: Callable[..., list[str]], *, pause_s: float
) -> Callable[..., T]:
    """A function that says when it begins and when it has ended."""

    @functools.wraps(function)
    def note(*arguments: Any, **options: Any) -> T:
        told = {"what": what, "items": on_what(*arguments)}
        _write(told | {"event": "begin"})
        time.sleep(pause_s)
        try:
            return function(*arguments, **options)
        finally:
            _write(told | {"event": "end"})

    return note


def _item_of(config: Any, item: Any, *_: Any) -> list[str]:
    return [item.key]


def _chunk_of(calls: Any) -> list[str]:
    from tasks.work import item_of

    return [item_of(call).key for call in calls]


def _write(told: dict[str, Any]) -> None:
    with Path(os.environ["WORK_LOG"]).open("a") as log:
        log.write(json.dumps(told | {"time": time.time()}) + "\n")
