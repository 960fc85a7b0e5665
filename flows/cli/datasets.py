"""Verbs over a dataset: what is in it, one that is simulated, a demonstration, the report of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli import console, options, parsing
from flows.cli.runs import show_restore
from flows.exits import EXIT_BAD_ITEMS, exits
from flows.settings_file import DEFAULT_FILE, write_example
from ldp_core.errors import SettingsError

app = typer.Typer()


@options.command(app, options.DATASETS)
def catalogue(
    source: options.Source,
    layout: options.Layout = "folders",
    dataset: options.Dataset = None,
    pair_by: options.PairBy = "",
    method: options.Methods = None,
    peak: options.Peak = None,
    to_srgb: options.ToSrgb = False,
    output: Annotated[
        Path | None,
        options.output_option("--output", "-o", metavar="FILE", help="Write to this file instead."),
    ] = None,
) -> None:
    """List a dataset as JSON lines: a header, its items, its problems."""
    from ldp_core.catalogue import SourceOptions, catalogue_to_jsonl, read_catalogue
    from ldp_core.storage import write_bytes

    with exits():
        pixels = parsing.parse_pixels(peak, to_srgb)
        asked = SourceOptions(pair_by, parsing.parse_methods(method))
        found = read_catalogue(source, layout=layout, dataset=dataset, pixels=pixels, options=asked)
        text = catalogue_to_jsonl(found)
        typer.echo(text, nl=False) if output is None else write_bytes(str(output), text.encode())
    if any(problem.refuses_item for problem in found.problems):
        raise typer.Exit(EXIT_BAD_ITEMS)


@options.command(app, options.DATASETS, kind=options.WithoutSettings)
def init(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="Folder or manifest of the dataset.", show_default=False)
    ] = "pairs",
    layout: options.Layout = "folders",
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    output: Annotated[
        str, options.output_option("--output", "-o", metavar="FILE", help="The file to write.")
    ] = DEFAULT_FILE,
) -> None:
    """Write a commented settings file, which other commands read: source, archive, methods, cluster."""
    from ldp_core.storage import exists, write_bytes

    with exits():
        if exists(output):
            raise SettingsError(
                "this file is there already", where=output, remedy="edit it, or remove it first"
            )
        write_bytes(output, write_example(source=source, layout=layout, archive=archive).encode())
    typer.echo(output)


@options.command(app, options.DATASETS)
def simulate(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Where the new dataset goes, in the layout `folders`.")
    ],
    count: Annotated[int, typer.Option("--count", min=1, metavar="N", help="How many pairs.")] = 12,
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Width and height in px.")] = "840x560",
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", help="The same seed gives the same pairs, another one others."),
    ] = 0,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SETTING", help="simulate.NAME=VALUE; may be repeated."),
    ] = None,
    workers: options.Workers = None,
) -> None:
    """Simulate a dataset of dual-pixel pairs with their all-in-focus images; needs no photographs."""
    from flows.engine import prefect_engine
    from flows.simulate import simulate_dataset
    from ldp_core.optics import SimulationSettings

    with exits():
        width, height = parsing.parse_size(size)
        chosen = parsing.parse_settings(assignments, ["simulate"])["simulate"]
        _refuse_own_options(chosen)
        chosen |= {"width": width, "height": height}
        SimulationSettings.parse({**chosen, "seed": seed})  # a mistake is told before a server starts
        with prefect_engine(), console.showing_progress():
            simulate_dataset(folder, count, seed=seed, settings=chosen, processes=workers)


def _refuse_own_options(chosen: Mapping[str, Any]) -> None:
    own = {"seed": "--seed", "width": "--size", "height": "--size"}
    for name in chosen.keys() & own.keys():
        raise SettingsError(
            "this setting is an option of its own", where=f"--set simulate.{name}", remedy=f"use {own[name]}"
        )


@options.command(app, options.DATASETS)
def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the demo's dataset and archive go.")
    ] = Path("ldp-demo"),
    count: Annotated[int, typer.Option("--count", min=1, metavar="N", help="How many pairs.")] = 6,
    workers: options.Workers = None,
    as_json: options.Json = False,
) -> None:
    """Simulate a small dataset, restore it, and show where the report is."""
    from flows.engine import prefect_engine
    from flows.simulate import simulate_dataset

    with exits(), prefect_engine():
        source, archive = str(folder / "dataset"), str(folder / "archive")
        _make_ignored(folder)
        with console.showing_progress():
            simulate_dataset(source, count, seed=1, settings={"width": 720, "height": 480}, processes=workers)
        show_restore(as_json=as_json, source=source, layout="folders", archive=archive, processes=workers)


@options.command(app, options.DATASETS)
def report(
    context: typer.Context,
    run_id: options.Run,
    cluster: options.Cluster = None,
    insecure_cluster: options.InsecureCluster = False,
    workers: options.Workers = None,
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    report_items: options.ReportItems = 200,
    single_file: Annotated[
        str | None,
        options.output_option(
            "--single-file",
            metavar="FILE",
            help="Write it also as one HTML file with pictures of the worst items and a random sample.",
        ),
    ] = None,
    max_mb: Annotated[
        float,
        options.output_option("--max-mb", min=0.1, metavar="MB", help="Size of --single-file at most."),
    ] = 20.0,
) -> None:
    """Make the report of an earlier run again."""
    from flows.engine import prefect_engine
    from flows.report import report_dataset, require_reportable
    from ldp_core.report.single_file import pack_report
    from ldp_core.storage import absolute_url, write_bytes

    with exits():
        archive, run_id = parsing.locate_run(context, run_id, archive)
        require_reportable(absolute_url(archive), run_id)
        with prefect_engine(), console.showing_progress():
            address = report_dataset(archive, run_id, cluster, workers, report_items, insecure_cluster)
        if single_file is not None:
            packed = pack_report(address.rpartition("/")[0], most_bytes=int(max_mb * 1e6))
            address = absolute_url(single_file)
            write_bytes(address, packed)
    typer.echo(address)


def _make_ignored(folder: Path) -> None:
    """Make the demo's folder with a .gitignore, so that git does not list it."""
    from ldp_core.storage import write_bytes

    if not folder.exists():
        write_bytes(str(folder / ".gitignore"), b"*\n")
