"""How a command ends: exit codes, messages for errors made on purpose, an interruption that is not lost.

Python raises an interruption wherever the program happens to be; in a callback that must not fail it is
reported and forgotten. So it is remembered as well, and raised again between batches.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from ldp_core.errors import LdpError, TooManyBadItemsError

EXIT_ERROR, EXIT_BAD_ITEMS, EXIT_STOPPED, EXIT_INTERRUPTED = 1, 3, 4, 130
EXIT_CODES = (
    "Exit codes: 0 done, 1 error, 2 usage, 3 done with bad items, 4 too many bad items, 130 interrupted."
)

_asked = threading.Event()


@contextmanager
def exits() -> Iterator[None]:
    """Turn errors made on purpose into a message and an exit code."""
    try:
        with noting_interrupts():
            yield
    except LdpError as error:
        typer.echo(f"ldp: [{error.kind}] {error}", err=True)
        raise typer.Exit(EXIT_STOPPED if isinstance(error, TooManyBadItemsError) else EXIT_ERROR) from None
    except KeyboardInterrupt:
        typer.echo("ldp: interrupted; give the same command again to continue", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


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


def raise_lost_interrupt() -> None:
    """Raise KeyboardInterrupt if one was asked for and lost."""
    if _asked.is_set():
        raise KeyboardInterrupt


def _note(number: int, frame: FrameType | None) -> None:
    _asked.set()
    signal.default_int_handler(number, frame)
