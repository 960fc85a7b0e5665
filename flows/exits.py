"""How a command ends: exit codes, messages for errors made on purpose, an interruption that is not lost.

Python raises an interruption wherever the program happens to be; in a callback that must not fail it is
reported and forgotten. So it is remembered as well, and raised again between batches.

Where Prefect's server is gone, Prefect tries for more than a minute to tell it of the end, and raises what
its client met: that is one line here, and takes `patience_s` at most.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from ldp_core.errors import LdpError, TooManyBadItemsError

EXIT_ERROR, EXIT_BAD_ITEMS, EXIT_STOPPED, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 3, 4, 130, 143
EXIT_CODES = (
    "Exit codes: 0 done, 1 error, 2 usage, 3 done with bad items, 4 too many bad items, 130 interrupted, "
    "143 terminated."
)
PATIENCE_S = 20.0
"""From a signal to the end of its command; Kubernetes kills after 30 s. Closing the workers takes a few.
The variable LDP_PATIENCE sets another time."""

_fault: list[LdpError] = []
"""What ends the command from another thread."""
_asked = threading.Event()
_endings: list[list[threading.Timer]] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as an interruption does."""


class Faulted(KeyboardInterrupt):
    """An error of another thread, which ends a command as an interruption does."""


_MESSAGES = {
    EXIT_INTERRUPTED: "ldp: interrupted; give the same command again to continue",
    EXIT_TERMINATED: "ldp: terminated; give the same command again to continue",
}


@contextmanager
def exits() -> Iterator[None]:
    """Turn errors made on purpose into a message and an exit code."""
    try:
        with noting_interrupts(), _ending_when_asked():
            yield
    except LdpError as error:
        typer.echo(f"ldp: [{error.kind}] {error}", err=True)
        raise typer.Exit(EXIT_STOPPED if isinstance(error, TooManyBadItemsError) else EXIT_ERROR) from None
    except (Exception, KeyboardInterrupt) as error:
        if _fault:
            typer.echo(_message(EXIT_ERROR), err=True)
            raise typer.Exit(EXIT_ERROR) from None
        if (code := _code_of_signal(error)) is None:
            raise
        typer.echo(_MESSAGES[code], err=True)
        raise typer.Exit(code) from None
    finally:
        _fault.clear()


def patience_s() -> float:
    """Seconds from a signal to the end of its command."""
    try:
        return float(os.environ.get("LDP_PATIENCE", PATIENCE_S))
    except ValueError:
        return PATIENCE_S


def interrupt(error: LdpError) -> None:
    """From any thread, within `exits`: end the command with this error, after `patience_s` at the latest."""
    _fault.append(error)
    _end_soon(EXIT_ERROR)
    _thread.interrupt_main(signal.SIGINT)


@contextmanager
def ending_soon() -> Iterator[None]:
    """Within `exits`: end the process and those it started, `patience_s` after a signal ended the block."""
    try:
        yield
    except BaseException as error:
        if (code := _code_of_signal(error)) is not None:
            _end_soon(code)
        raise


def _end_soon(code: int) -> None:
    if _endings:
        _endings[-1].append(timer := threading.Timer(patience_s(), _end, [code]))
        timer.daemon = True
        timer.start()


@contextmanager
def _ending_when_asked() -> Iterator[None]:
    """Let `ending_soon` end the process for as long as the block runs."""
    _endings.append([])
    try:
        yield
    finally:
        for timer in _endings.pop():
            timer.cancel()


@contextmanager
def noting_interrupts() -> Iterator[None]:
    """Remember SIGINT and SIGTERM while the block runs, besides raising them.

    The main thread alone receives signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked.clear()


def raise_lost_interrupt() -> None:
    """Raise KeyboardInterrupt if one was asked for and lost."""
    if _asked.is_set():
        raise KeyboardInterrupt


def _note(number: int, frame: FrameType | None) -> None:
    _asked.set()
    if _fault:
        raise Faulted
    if number == signal.SIGTERM:
        raise Terminated
    signal.default_int_handler(number, frame)


def _code_of_signal(error: BaseException | None) -> int | None:
    """The exit code of the signal that an error came from, or came after; None where there was none."""
    while error is not None:
        names = {kind.__name__ for kind in type(error).__mro__}
        if not names.isdisjoint(("Terminated", "TerminationSignal")):  # ours, and Prefect's in a flow
            return EXIT_TERMINATED
        if isinstance(error, Faulted):
            return EXIT_ERROR
        if isinstance(error, KeyboardInterrupt):
            return EXIT_INTERRUPTED
        error = error.__cause__ or error.__context__
    return None


def _message(code: int) -> str:
    return f"ldp: [{_fault[0].kind}] {_fault[0]}" if _fault else _MESSAGES[code]


def _end(code: int) -> None:
    """Archives are whole whenever a process ends."""
    import psutil

    sys.stderr.write(_message(code) + "\n")
    sys.stderr.flush()
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(code)
