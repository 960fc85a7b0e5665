"""Commands over an archive: what it holds, whether it is whole, what may go."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated, Any

import typer

from flows.exits import EXIT_BAD_ITEMS, exits, print_json

app = typer.Typer(no_args_is_help=True)

Archive = Annotated[str, typer.Argument(help="The archive: a path or any fsspec URL.")]
Cluster = Annotated[str | None, typer.Option("--cluster", help="Address of a Dask scheduler.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Embedded worker processes.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@app.command()
def verify(
    archive: Archive,
    repair: Annotated[bool, typer.Option("--repair", help="Make again what can be made again.")] = False,
    cluster: Cluster = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Hash everything in an archive again and name what is rotten; exit code 3 where something stays so."""
    from flows.operate_console import print_verification
    from flows.verify import verify as verify_all

    with exits(), _progress():
        found = verify_all(archive, repair=repair, cluster=cluster, processes=workers)
    print_json(found) if as_json else print_verification(found)
    if found["unmended"]:
        raise typer.Exit(EXIT_BAD_ITEMS)


def _progress() -> AbstractContextManager[Any]:
    from contextlib import ExitStack

    from flows.console import live_progress
    from tasks.progress import listening

    stack = ExitStack()
    stack.enter_context(listening(stack.enter_context(live_progress())))
    return stack
