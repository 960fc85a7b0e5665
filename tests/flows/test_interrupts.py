"""An interruption is heeded even where Python would forget it."""

from __future__ import annotations

import os
import signal

import pytest

from flows.interrupts import heed_interrupt, noting_interrupts


class Careless:
    """Raises nothing whatever happens in it, as every `__del__`."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interruption_that_python_forgets_is_heeded() -> None:
    with noting_interrupts():
        Careless()
        with pytest.raises(KeyboardInterrupt):
            heed_interrupt()
    heed_interrupt()


def test_others_are_raised_where_they_arrive() -> None:
    before = signal.getsignal(signal.SIGINT)
    with noting_interrupts(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
