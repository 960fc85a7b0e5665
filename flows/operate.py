"""Commands over an archive: what it holds, whether it is whole, what may go."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.exits import EXIT_BAD_ITEMS, exits, print_json
from flows.options import ClusterOption, JsonOption, WorkersOption, showing_progress

app = typer.Typer(no_args_is_help=True)

Archive = Annotated[str, typer.Argument(help="The archive: a path or any fsspec URL.")]


@app.command()
def verify(
    archive: Archive,
    repair: Annotated[bool, typer.Option("--repair", help="Make again what can be made again.")] = False,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hash everything in an archive again and name what is rotten; exit code 3 where something stays so."""
    from flows.archives import verify as verify_all
    from flows.operate_console import print_verification

    with exits(), showing_progress():
        found = verify_all(archive, repair=repair, cluster=cluster, processes=workers)
    print_json(found) if as_json else print_verification(found)
    if found["not_repaired"]:
        raise typer.Exit(EXIT_BAD_ITEMS)


@app.command()
def status(
    archive: Archive,
    run: Annotated[str | None, typer.Argument(help="One run, as runs/ in the archive names it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs of an archive and what it holds, or tell all of one run."""
    from flows.archives import describe_archive, describe_one_run
    from flows.operate_console import print_archive, print_run

    with exits():
        values = describe_archive(archive) if run is None else describe_one_run(archive, run)
    if as_json:
        print_json(values)
    else:
        (print_archive if run is None else print_run)(values)


@app.command()
def compare(
    archive: Archive,
    first: Annotated[str, typer.Argument(help="The run to compare with.")],
    second: Annotated[str, typer.Argument(help="The run that is judged.")],
    html: Annotated[bool, typer.Option("--html", help="Write a page with pictures beside the run.")] = False,
    output: Annotated[str | None, typer.Option("--output", "-o", help="Write the page below here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two runs item by item: differences with intervals, never across protocols."""
    from flows.archives import compare as compare_two
    from flows.archives import write_comparison_page
    from flows.operate_console import print_comparison

    with exits():
        found, values = compare_two(archive, first, second)
        if html or output:
            values["page"] = write_comparison_page(archive, found, output=output)
    print_json(values) if as_json else print_comparison(values)


@app.command()
def gc(
    archive: Archive,
    delete: Annotated[
        bool, typer.Option("--delete/--dry-run", help="Delete; without it the command only lists.")
    ] = False,
    grace_hours: Annotated[
        float, typer.Option(min=0, help="Whatever is younger stays; a run at work may need it.")
    ] = 24.0,
    as_json: JsonOption = False,
) -> None:
    """List, or delete, results that no run refers to and what stopped writers left behind."""
    from flows.archives import collect_garbage
    from flows.operate_console import print_garbage

    with exits():
        values = collect_garbage(archive, delete=delete, grace_hours=grace_hours)
    print_json(values) if as_json else print_garbage(values)


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="Print the whole card of this model.")] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            "--folder", envvar="LDP_MODELS", help="Your own models: NAME.safetensors with NAME.json."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the models that come with the package and your own, each checked against its sha256."""
    from flows.models import describe_models, read_one
    from flows.operate_console import print_models

    with exits():
        if name is not None:
            print_json(read_one(name, folder=folder))
            return
        listed = describe_models(folder=folder)
    print_json(listed) if as_json else print_models(listed)
    if any(model["state"] != "verified" for model in listed):
        raise typer.Exit(EXIT_BAD_ITEMS)
