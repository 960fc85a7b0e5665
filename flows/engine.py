"""Prefect for a single machine: where no server is configured, a private one for the run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from flows.exits import interrupt
from ldp_core.errors import EngineError

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""Read when Prefect is first imported; what the user has set stays."""


def keep_quiet() -> None:
    """Leave the terminal to the command: no log lines of Prefect or Dask below an error."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("distributed").setLevel(logging.ERROR)


@contextmanager
def prefect_engine() -> Iterator[None]:
    """Run flows against the configured Prefect server, or against a private, quiet one.

    The private server keeps its database in a folder of its own, which goes when the run ends: the
    lasting record of a run is in the archive, and runs side by side do not wait for each other. A run whose
    server ends before it is ended with one line.

    Raises:
        EngineError: the private server did not start.
    """
    from prefect.settings import PREFECT_API_URL

    if PREFECT_API_URL.value():
        yield
    else:
        from flows.private_server import private_server

        with private_server(on_death=_end_run):
            yield


def _end_run(code: int) -> None:
    ended = f"signal {-code}" if code < 0 else f"exit code {code}"
    interrupt(
        EngineError(
            "Prefect's server of this run has ended before it",
            got=ended,
            remedy="give the same command again to continue; what is archived is kept",
        )
    )
