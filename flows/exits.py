"""How a command ends: exit codes, messages for errors made on purpose, results as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from flows.interrupts import noting_interrupts
from ldp_core.errors import LdpError, TooManyBadItemsError

EXIT_ERROR, EXIT_BAD_ITEMS, EXIT_STOPPED, EXIT_INTERRUPTED = 1, 3, 4, 130


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
        typer.echo("ldp: interrupted; give the same command again to go on", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None


def print_json(content: Any) -> None:
    """Write a result to standard output, alone."""
    json.dump(content, sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")
