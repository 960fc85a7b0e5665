"""An interruption that is not lost.

Python raises it wherever the program happens to be; in a callback that must not fail it is reported and
forgotten. So it is remembered as well, and heeded between batches.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_asked = threading.Event()


@contextmanager
def noting_interrupts() -> Iterator[None]:
    """Remember SIGINT while the block runs, besides raising it; the main thread alone receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _asked.clear()


def heed_interrupt() -> None:
    """Raise KeyboardInterrupt if one was asked for and lost."""
    if _asked.is_set():
        raise KeyboardInterrupt


def _note(number: int, frame: FrameType | None) -> None:
    _asked.set()
    signal.default_int_handler(number, frame)
