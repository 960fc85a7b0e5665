"""How far a run is: counted in the coordinator, shown by whoever listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Listener(Protocol):
    """Hears of progress, from several threads."""

    def expect(self, stage: str, total: int) -> None:
        """``total`` items are going through a stage."""

    def advance(self, stage: str, done: int, bad: int, skipped: int) -> None:
        """``done`` more items have finished a stage, ``bad`` of them quarantined, ``skipped`` only read."""


_listener: ContextVar[Listener | None] = ContextVar("progress_listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send all progress made inside the block, in whatever thread, to ``listener``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def expect(stage: str, total: int) -> None:
    """Tell the listener, if there is one, how many items a stage will see."""
    if (listener := _listener.get()) is not None:
        listener.expect(stage, total)


def advance(stage: str, *, done: int = 1, bad: int = 0, skipped: int = 0) -> None:
    """Tell the listener, if there is one, that items have finished a stage."""
    if (listener := _listener.get()) is not None:
        listener.advance(stage, done, bad, skipped)
