"""Prefect for a single machine: where no server is configured, a private one for the run."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.exits import Cancelled, interrupt
from ldp_core.errors import EngineError

_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""Read when Prefect is first imported; what the user has set stays."""


_SETTINGS = (
    (Path.home() / ".prefect" / "profiles.toml", b""),
    (Path("prefect.toml"), b""),
    (Path("pyproject.toml"), b"[tool.prefect"),
    (Path(".env"), b"prefect_"),
)
"""Files that Prefect reads settings from, and what they hold if they have any."""


def keep_quiet() -> None:
    """Leave the terminal to the command: no log lines of Prefect or Dask below an error."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("distributed").setLevel(logging.ERROR)


def server_is_configured() -> bool:
    """Whether the user has named a Prefect server.

    Prefect knows, but importing it takes seconds: it is asked where the environment, a profile or a file of
    this folder may name one.
    """
    named = any(name.startswith("PREFECT_") and name not in _QUIET for name in os.environ)
    if not (named or "prefect" in sys.modules or any(_names_settings(*one) for one in _SETTINGS)):
        return False
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def _names_settings(file: Path, sign: bytes) -> bool:
    try:
        return sign in file.read_bytes().lower()
    except OSError:
        return False


@contextmanager
def prefect_engine() -> Iterator[None]:
    """Run flows against the configured Prefect server, or against a private, quiet one.

    The private server keeps its database in a folder of its own, which goes when the run ends: the
    lasting record of a run is in the archive, and runs side by side do not wait for each other. A run whose
    server ends before it is ended with one line.

    Raises:
        EngineError: the private server did not start.
    """
    if server_is_configured():
        try:
            yield
        except Cancelled as error:
            from flows.watch import confirm_cancelled

            for run_id in error.args:
                confirm_cancelled(run_id)
            raise
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
