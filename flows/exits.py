"""How a command ends: exit codes, messages for errors made on purpose, an interruption that is not lost.

Python raises an interruption wherever the program happens to be; in a callback that must not fail it is
reported and forgotten. So it is remembered as well, and raised again between batches.

Where Prefect's server is gone, Prefect tries for more than a minute to tell it of the end, and raises what
its client met: that is one line here, and takes `patience_s` at most, once it is known (`flows.watch`).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from flows.logs import tell_end
from ldp_core.errors import EngineError, LdpError, RunCancelledError, TooManyBadItemsError

EXIT_ERROR, EXIT_BAD_ITEMS, EXIT_STOPPED, EXIT_DRIFT, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 3, 4, 5, 130, 143
EXIT_CODES = (
    "Exit codes: 0 done, 1 error, 2 usage, 3 done with bad items, 4 too many bad items, 5 drift, "
    "130 interrupted, 143 terminated."
)
PATIENCE_S = 20.0
"""From a signal to the end of its command; Kubernetes kills after 30 s. Closing the workers takes a few.
The variable LDP_PATIENCE sets another time."""

_fault: list[LdpError] = []
"""What ends the command from another thread."""
_asked = threading.Event()
_endings: list[list[threading.Timer]] = []
_telling = threading.Lock()
"""Held from the message on: a command that comes to its end while its patience ends says it once."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as an interruption does."""


class Faulted(KeyboardInterrupt):
    """An error of another thread, which ends a command as an interruption does."""


class Cancelled(Faulted):
    """Somebody has cancelled the run in Prefect. Holds the id of its flow run."""


_MESSAGES = {
    EXIT_INTERRUPTED: "interrupted; give the same command again to continue",
    EXIT_TERMINATED: "terminated; give the same command again to continue",
}


@contextmanager
def exits() -> Iterator[None]:
    """Turn errors made on purpose into a message and an exit code."""
    try:
        with noting_interrupts(), _ending_when_asked():
            yield
    except (Exception, KeyboardInterrupt) as error:
        found = _fault[0] if _fault else error if isinstance(error, LdpError) else None
        code = _code_of_error(found) if found else _code_of_signal(error)
        if code is None:
            found, code = _explain_engine(error), EXIT_ERROR
            if found is None:
                raise
        _tell(code, found)
        if isinstance(found, EngineError):
            threading.Thread(target=_end_late, args=[code], daemon=True).start()
        raise typer.Exit(code) from None
    finally:
        _fault.clear()
        if _telling.locked():
            _telling.release()


def patience_s() -> float:
    """Seconds from a signal to the end of its command."""
    try:
        return float(os.environ.get("LDP_PATIENCE", PATIENCE_S))
    except ValueError:
        return PATIENCE_S


def interrupt(error: LdpError) -> None:
    """From any thread, within `exits`: end the command with this error, after `patience_s` at the latest."""
    _fault.append(error)
    _end_soon(_code_of_error(error))
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


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
        raise Cancelled if isinstance(_fault[0], RunCancelledError) else Faulted
    if number == signal.SIGTERM:
        raise Terminated
    signal.default_int_handler(number, frame)


def _code_of_error(error: LdpError) -> int:
    """The exit code of a command that ends with an error."""
    if isinstance(error, RunCancelledError):
        return EXIT_TERMINATED
    return EXIT_STOPPED if isinstance(error, TooManyBadItemsError) else EXIT_ERROR


def _explain_engine(error: BaseException) -> EngineError | None:
    """What Prefect's client raised where its server does not answer, or answers with an error; else None."""
    cause: BaseException | None = error
    while cause is not None:
        if type(cause).__module__.startswith("httpx") or str(cause).startswith("Failed to reach API"):
            return server_lost(f"{type(cause).__name__}: {cause}".partition("\n")[0])
        cause = cause.__cause__ or cause.__context__
    return None


def server_lost(got: str) -> EngineError:
    """The error of a run whose Prefect server cannot be used any more."""
    return EngineError(
        "Prefect's server cannot be used",
        where=os.environ.get("PREFECT_API_URL", ""),
        got=got,
        remedy="see whether it runs and has room on its disk, then give the same command again to continue",
    )


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


def _tell(code: int, error: LdpError | None) -> None:
    if _telling.acquire(blocking=False):
        tell_end(f"[{error.kind}] {error}" if error else _MESSAGES[code], exit_code=code, error=error)


def _end_late(code: int) -> None:
    """End a process that has come to its end: Prefect waits there to tell its server what is left to tell."""
    threading.main_thread().join()
    time.sleep(patience_s())
    os._exit(code)


def _end(code: int) -> None:
    """Archives are whole whenever a process ends."""
    import psutil

    _tell(code, _fault[0] if _fault else None)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(code)
