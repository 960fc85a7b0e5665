"""A sign of life of a running run: `runs/<run id>/alive.json`, written anew every half minute."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

from ldp_core.archive import Archive
from ldp_core.errors import ObjectMissingError, StorageError
from ldp_core.storage import join, read_bytes, write_bytes

ALIVE = "alive.json"
BEAT_S = 30.0
SILENCE = timedelta(minutes=5)
"""A run that was silent for this long is taken to have been interrupted."""


@contextmanager
def beating(archive: str, run_id: str, *, every_s: float = BEAT_S) -> Iterator[None]:
    """Show a run as alive for as long as the block runs. A store that fails never stops the run."""
    over = Event()
    url = join(Archive(archive).run_url(run_id), ALIVE)
    thread = Thread(target=_beat, args=(url, over, every_s), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def last_beat(archive: str, run_id: str) -> datetime | None:
    """When a run last showed itself alive; None where it never did or its sign cannot be read."""
    try:
        content = read_bytes(join(Archive(archive).run_url(run_id), ALIVE))
        return datetime.fromisoformat(json.loads(content)["moment"])
    except (ObjectMissingError, ValueError, KeyError, TypeError):
        return None


def _beat(url: str, over: Event, every_s: float) -> None:
    while True:
        sign = {"moment": datetime.now(UTC).isoformat(timespec="seconds"), "host": platform.node()}
        with suppress(StorageError):
            write_bytes(url, (json.dumps(sign) + "\n").encode())
        if over.wait(every_s):
            return
