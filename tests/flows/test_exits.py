"""Errors end a command with a code; an interruption is raised even where Python would forget it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import typer
from prefect.exceptions import TerminationSignal

from flows.exits import Terminated, exits, noting_interrupts, raise_lost_interrupt
from ldp_core.errors import RunCancelledError, SettingsError, TooManyBadItemsError

LOST = (
    "ldp: [engine] Prefect's server cannot be used\n"
    "  got: RuntimeError: Failed to reach API at http://127.0.0.1:9/api/\n"
    "  do: see whether it runs and has room on its disk, then give the same command again to continue\n"
)


class Careless:
    """Raises nothing whatever happens in it, as every `__del__`."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_that_python_forgets_is_raised() -> None:
    with noting_interrupts():
        Careless()
        with pytest.raises(KeyboardInterrupt):
            raise_lost_interrupt()
    raise_lost_interrupt()


def test_others_are_raised_where_they_arrive() -> None:
    before = signal.getsignal(signal.SIGINT)
    with noting_interrupts(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_termination_is_raised() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with noting_interrupts(), pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def after(signalled: BaseException) -> Exception:
    """What the client of Prefect's server raises when both get a signal."""
    error = ConnectionError("refused")
    error.__context__ = signalled
    return error


def test_other_errors_are_not_taken_for_signals() -> None:
    with pytest.raises(ConnectionError), exits():
        raise ConnectionError("refused")


PROGRAM = """
import time
import flows.exits
flows.exits.PATIENCE_S = 0.5
with flows.exits.exits():
    try:
        with flows.exits.ending_soon():
            print("ready", flush=True)
            time.sleep(60)
    finally:
        time.sleep(60)
"""


def terminate(program: str) -> tuple[int, str]:
    """Exit code and standard error of a program that gets SIGTERM once it is ready."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=-1, stderr=-1, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        started.terminate()
        _, err = started.communicate(timeout=50)
    return started.returncode, err


def test_what_goes_on_after_a_signal_is_ended() -> None:
    assert terminate(PROGRAM) == (143, "ldp: terminated; give the same command again to continue\n")


BOTH = """
import os, time
import flows.exits
flows.exits.PATIENCE_S = 0.5
end = os._exit
os._exit = lambda code: (time.sleep(2), end(code))
with flows.exits.exits():
    try:
        with flows.exits.ending_soon():
            print("ready", flush=True)
            time.sleep(60)
    finally:
        time.sleep(1)
"""


def test_a_command_that_ends_as_its_patience_ends_says_so_once() -> None:
    _, err = terminate(BOTH)
    assert err.count("ldp: terminated") == 1


SILENT = """
import threading, time, typer
import flows.exits
flows.exits.PATIENCE_S = 0.5
threading.Thread(target=time.sleep, args=[60]).start()
try:
    with flows.exits.exits():
        raise flows.exits.server_lost("no answer")
except typer.Exit:
    pass
"""


def test_what_has_still_to_be_told_to_a_lost_server_is_not_waited_for() -> None:
    done = subprocess.run([sys.executable, "-c", SILENT], capture_output=True, text=True, timeout=50)
    assert done.returncode == 1
    assert done.stderr.startswith("ldp: [engine] Prefect's server cannot be used\n  got: no answer\n")


def refused() -> Exception:
    """What Prefect raises where nobody listens."""
    error = RuntimeError("Failed to reach API at http://127.0.0.1:9/api/")
    error.__cause__ = ConnectionError("refused")
    return error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (SettingsError("not a size", where="--size"), 1, "ldp: [settings] not a size\n  where: --size\n"),
        (TooManyBadItemsError("stopped"), 4, "ldp: [too_many_bad_items] stopped\n"),
        (refused(), 1, LOST),
        (RunCancelledError("cancelled"), 143, "ldp: [cancelled] cancelled\n"),
        (KeyboardInterrupt(), 130, "ldp: interrupted; give the same command again to continue\n"),
        (Terminated(), 143, "ldp: terminated; give the same command again to continue\n"),
        (after(TerminationSignal(15)), 143, "ldp: terminated; give the same command again to continue\n"),
        (after(KeyboardInterrupt()), 130, "ldp: interrupted; give the same command again to continue\n"),
    ],
)
def test_errors_end_a_command_with_a_message_and_a_code(
    error: BaseException,
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(typer.Exit) as caught, exits():
        raise error
    assert caught.value.exit_code == code
    assert capsys.readouterr().err == message
