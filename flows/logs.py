"""Log lines of a command: on standard error, where warnings are shown or, with ``--log-json``, all lines.

``ldp.run`` tells how a run goes, ``ldp.items`` what is quarantined, ``ldp.workers`` which workers are lost.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

from ldp_core.errors import LdpError

LOG: Final = logging.getLogger("ldp")
RUN, ITEMS = "ldp.run", "ldp.items"
_FIELDS: Final = ("asctime", "levelname", "name", "message")
_NAMES: Final = {"asctime": "time", "levelname": "level", "name": "logger"}


class _StandardHandler(logging.Handler):
    """What standard error is when a line is written: progress bars and tests put another in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


class _JsonHandler(_StandardHandler):
    """A JSON object a line: time, level, logger, message, and what the record has besides."""


def show_warnings() -> None:
    """Show warnings as ``ldp: ...``, but for what the summary of a run tells."""
    handler = _StandardHandler(logging.WARNING)
    handler.setFormatter(logging.Formatter("ldp: %(message)s"))
    handler.addFilter(lambda record: record.name not in (ITEMS, RUN))
    _use(handler)


def show_json() -> None:
    """Show all lines as JSON, the last one of a command included."""
    from pythonjsonlogger.json import JsonFormatter

    handler = _JsonHandler()
    handler.setFormatter(JsonFormatter(_FIELDS, rename_fields=_NAMES, datefmt="%Y-%m-%dT%H:%M:%S%z"))
    _use(handler)
    LOG.setLevel(logging.INFO)


def is_json() -> bool:
    """Whether lines are shown as JSON."""
    return any(isinstance(handler, _JsonHandler) for handler in LOG.handlers)


def tell_end(text: str, *, exit_code: int, error: LdpError | None = None) -> None:
    """The last line of a command that did not come to its end."""
    if not is_json():
        sys.stderr.write(f"ldp: {text}\n")
    elif error is None:
        LOG.error(text, extra={"exit_code": exit_code})
    else:
        facts = {"where": error.where, "expected": error.expected, "got": error.got, "remedy": error.remedy}
        LOG.error(error.what, extra={"exit_code": exit_code, "kind": error.kind, **facts})
    sys.stderr.flush()


def _use(handler: logging.Handler) -> None:
    LOG.handlers[:] = [handler]
    LOG.propagate = False  # Prefect gives the root logger a handler of its own
