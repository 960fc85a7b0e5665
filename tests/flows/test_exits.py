"""Errors end a command with a code; an interruption is raised even where Python would forget it."""

from __future__ import annotations

import os
import signal

import pytest
import typer

from flows.exits import exits, noting_interrupts, raise_lost_interrupt
from ldp_core.errors import SettingsError, TooManyBadItemsError


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


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (SettingsError("not a size", where="--size"), 1, "ldp: [settings] not a size\n  where: --size\n"),
        (TooManyBadItemsError("stopped"), 4, "ldp: [too_many_bad_items] stopped\n"),
        (KeyboardInterrupt(), 130, "ldp: interrupted; give the same command again to continue\n"),
    ],
)
def test_errors_end_a_command_with_a_message_and_a_code(
    error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught, exits():
        raise error
    assert caught.value.exit_code == code
    assert capsys.readouterr().err == message
