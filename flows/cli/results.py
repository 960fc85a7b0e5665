"""Verbs over the results of one run: what it quarantined, its pictures and tables as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from flows.cli import console, options
from flows.exits import exits

app = typer.Typer()

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The run, by its name below runs/ in the archive.")
]


@options.command(app, options.ARCHIVES)
def quarantine(
    run_id: RunArgument, archive: options.Archive = "archive", as_json: options.Json = False
) -> None:
    """List what a run quarantined, and why; `ldp restore --only-quarantined RUN` takes it up again."""
    from flows.results import describe_quarantine

    with exits():
        values = describe_quarantine(archive, run_id)
    console.print_json(values) if as_json else _print_quarantine(values)


def _print_quarantine(values: Mapping[str, Any]) -> None:
    """By kind, the most frequent first, with the reason of each item and what to do."""
    for group in values["kinds"]:
        listed = [*group["examples"]]
        console.show_problems([{**group, "examples": listed[: console.MOST_LISTED]}], style="red")
        console.show_rest(len(listed))
    total = values["quarantined"]
    console.show(f"{total} of {values['items']} items quarantined" if total else "nothing was quarantined")
    if total:
        console.show(f"again: ldp restore --only-quarantined {values['run_id']}")
