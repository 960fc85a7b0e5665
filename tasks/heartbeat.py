"""Whether a run is alive: ``alive.json`` of its record, written anew every half minute.

In the end it says how a run ended that left no summary.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import Event, Thread
from typing import Any

from ldp_core.errors import ObjectMissingError, StorageError
from ldp_core.storage import join, read_bytes, write_bytes

ALIVE = "alive.json"
HEARTBEAT_S = 30.0
SILENCE = timedelta(minutes=5)
"""A run that was silent for ten heartbeats is taken to be lost."""


class RunState(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """It ended early, on an error or because too many items were bad."""
    CANCELLED = "cancelled"
    """Somebody ended it."""
    LOST = "lost"
    """It left no summary, and shows no sign of life: killed, or cut off from the store."""
    UNREADABLE = "unreadable"
    """Its record is corrupt: `ldp verify` says how."""


class Heartbeat:
    """The sign of life of a run, in the folder of its record."""

    def __init__(self, folder: str) -> None:
        self._url = join(folder, ALIVE)

    @contextmanager
    def beating(self, *, every_s: float = HEARTBEAT_S) -> Iterator[None]:
        """Show the run as alive for as long as the block runs, and how it ended where the block raises.

        A store that fails never stops the run.
        """
        over = Event()
        thread = Thread(target=self._beat, args=(over, every_s), daemon=True)
        thread.start()
        ended = ""
        try:
            yield
        except BaseException as error:
            faulted = isinstance(error, Exception) or type(error).__name__ == "Faulted"
            ended = RunState.STOPPED if faulted else RunState.CANCELLED
            raise
        finally:
            over.set()
            thread.join()
            if ended:
                self._show(ended=ended)

    @property
    def state(self) -> RunState:
        """How far a run is that has left no summary, as far as it tells now."""
        sign = self._read()
        if sign.get("ended") in (RunState.STOPPED, RunState.CANCELLED):
            return RunState(sign["ended"])
        seen = sign.get("moment")
        return RunState.RUNNING if seen and datetime.now(UTC) - seen < SILENCE else RunState.LOST

    def _read(self) -> dict[str, Any]:
        """When the last sign was given, and how the run ended; empty where there is none."""
        try:
            sign: dict[str, Any] = json.loads(read_bytes(self._url))
            return sign | {"moment": datetime.fromisoformat(sign["moment"])}
        except (ObjectMissingError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}

    def _show(self, **facts: str) -> None:
        sign = {"moment": datetime.now(UTC).isoformat(timespec="seconds"), "host": platform.node(), **facts}
        with suppress(StorageError):
            write_bytes(self._url, (json.dumps(sign) + "\n").encode())

    def _beat(self, over: Event, every_s: float) -> None:
        while True:
            self._show()
            if over.wait(every_s):
                return
