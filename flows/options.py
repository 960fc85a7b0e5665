"""Options that several commands share, and the progress that they show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

ClusterOption = Annotated[str | None, typer.Option("--cluster", help="Address of a Dask scheduler.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", min=1, help="Embedded worker processes.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@contextmanager
def showing_progress() -> Iterator[None]:
    """Live progress on standard error while the block runs."""
    from flows.console import live_progress
    from tasks.progress import listening

    with live_progress() as listener, listening(listener):
        yield
