"""Verbs over the results of one run: what it quarantined, its pictures and tables as files, its drift."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from flows.cli import console, options, parsing
from flows.exits import EXIT_BAD_ITEMS, EXIT_DRIFT, exits
from ldp_core.errors import SettingsError, count_of

app = typer.Typer()


@options.command(app, options.ARCHIVES)
def quarantine(
    context: typer.Context,
    run_id: options.Run,
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    as_json: options.Json = False,
) -> None:
    """List what a run quarantined, and why; `ldp restore --only-quarantined RUN` takes it up again."""
    from flows.results import describe_quarantine

    with exits():
        archive, run_id = parsing.locate_run(context, run_id, archive)
        values = describe_quarantine(archive, run_id)
    console.print_json(values) if as_json else _print_quarantine(values, archive)


@options.command(app, options.ARCHIVES)
def export(
    context: typer.Context,
    run_id: options.Run,
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    to: Annotated[
        str | None,
        options.output_option("--to", metavar="URL", help="Write pictures below this path or fsspec URL."),
    ] = None,
    what: Annotated[
        str,
        options.output_option(
            "--what", metavar="NAMES", help="restored, blur, confidence, input; several with commas between."
        ),
    ] = "restored",
    format: Annotated[  # noqa: A002
        str,
        options.output_option(
            "--format",
            help="Of pictures: png, tiff, jpeg, npy; values of maps are 32-bit TIFF, or NPY.",
            **{**options.one_of("--format", "png", "tiff", "jpeg", "npy"), "metavar": "NAME"},
        ),
    ] = "png",
    ids: options.Ids = None,
    limit: options.Limit = None,
    sample: options.Sample = None,
    seed: options.Seed = 0,
    where: options.Where = "",
    since: Annotated[
        str,
        options.source_option(
            "--since",
            metavar="DATE",
            help="Only items restored since: 2026-11-28, a time (UTC), or 12h, 7d.",
            show_default=False,
        ),
    ] = "",
    keep_all_metadata: Annotated[
        bool,
        options.output_option(
            "--keep-all-metadata", help="Carry over position, serial numbers and owner as well."
        ),
    ] = False,
    table: Annotated[
        str | None,
        options.output_option("--table", metavar="FILE", help="Write the scores to this .csv or .tsv."),
    ] = None,
    workers: options.Workers = None,
    as_json: options.Json = False,
) -> None:
    """Write the results of a run as files, under the names of its source; the same command resumes."""
    from flows.results import export_pictures, export_table
    from tasks.export import ExportSettings

    values: dict[str, Any] = {}
    with exits(), console.showing_progress():
        if to is None and table is None:
            raise SettingsError("nothing to write", remedy="give --to FOLDER, --table FILE, or both")
        archive, run_id = parsing.locate_run(context, run_id, archive)
        settings = ExportSettings(tuple(filter(None, what.split(","))), format, keep_all_metadata)
        if to is not None:
            chosen = parsing.read_ids(ids)
            values = export_pictures(
                archive,
                run_id,
                to,
                settings,
                ids=chosen,
                limit=limit,
                sample=sample,
                seed=seed,
                where=where,
                since=since,
                threads=workers,
            )
        if table is not None:
            values["table"] = export_table(archive, run_id, table)
    console.print_json(values) if as_json else _print_export(values)
    if values.get("failed"):
        raise typer.Exit(EXIT_BAD_ITEMS)


@options.command(app, options.ARCHIVES)
def figure(
    context: typer.Context,
    run_id: options.Run,
    items: Annotated[
        list[str] | None,
        typer.Argument(metavar="ITEMS", help="Ids or names of the items, a row each.", show_default=False),
    ] = None,
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    output: Annotated[
        str,
        options.output_option("--output", "-o", metavar="FILE", help="A .pdf, .png or .svg; any fsspec URL."),
    ] = "figure.pdf",
    zoom: Annotated[
        str | None,
        options.output_option(
            "--zoom", metavar="X,Y", help="Centre of the detail in px. Default: where most was changed."
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        options.output_option(
            "--label", metavar="COLUMN=TITLE", help="Another title, such as restored=Ours; may be repeated."
        ),
    ] = None,
    latex: Annotated[
        bool, options.output_option("--latex", help="Print the means of the run as a LaTeX table.")
    ] = False,
    intervals: Annotated[
        bool, options.output_option("--intervals", help="With 95 % intervals in the table.")
    ] = False,
) -> None:
    """Draw items side by side for a paper, with a detail enlarged; print the table of the run."""
    from flows.results import make_figure, make_latex

    with exits():
        if not (items or latex):
            raise SettingsError("nothing to draw", remedy="name items, give --latex, or both")
        archive, run_id = parsing.locate_run(context, run_id, archive)
        if items:
            centre = None if zoom is None else parsing.parse_point(zoom)
            labels = parsing.parse_titles(label, option="--label", form="COLUMN=TITLE, such as restored=Ours")
            values = make_figure(archive, run_id, items, output, labels=labels, centre=centre)
            for protocol in values["protocols"]:
                console.show(f"protocol: {protocol}", error=True)
            console.show(f"figure: {values['figure']}", error=True)
        if latex:
            table = make_latex(archive, run_id, intervals=intervals)
            typer.echo(table or "% no item of this run has a target", nl=not table)


@options.command(app, options.ARCHIVES)
def drift(
    archive: Annotated[str, typer.Argument(metavar="ARCHIVE", help="The archive: a path or any fsspec URL.")],
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="The run that is judged.", show_default="the newest"),
    ] = None,
    against: Annotated[
        str | None,
        options.output_option(
            "--against",
            metavar="RUN",
            help="The earlier run. Default: the one before it of the same dataset.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        options.output_option(
            "--by",
            metavar="COLUMN",
            help="Judge each value of this column of metadata, too; may be repeated.",
            show_default="camera, model",
        ),
    ] = None,
    per: Annotated[
        str,
        options.output_option(
            "--per",
            metavar="COLUMN",
            help="Items that share a value of this column, such as a scene, count as one.",
            show_default=False,
        ),
    ] = "",
    sample: Annotated[
        int, options.output_option("--sample", min=20, metavar="N", help="Items of either run, at most.")
    ] = 1000,
    history: Annotated[
        int, options.output_option("--history", min=1, metavar="N", help="Earlier runs shown over time.")
    ] = 8,
    false_alarms: Annotated[
        float,
        options.output_option(
            "--false-alarms", metavar="X", help="Share of unchanged runs that may raise an alarm."
        ),
    ] = 0.01,
    least_distance: Annotated[
        float,
        options.output_option(
            "--least-distance",
            metavar="X",
            help="Of the two distributions, 0 to 1; .2 is half a standard deviation.",
        ),
    ] = 0.2,
    html: Annotated[bool, options.output_option("--html", help="Write a page to the run.")] = False,
    output: Annotated[
        str | None,
        options.output_option("--output", "-o", metavar="FOLDER", help="Write the page here instead."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compare a run with an earlier one where there is no truth: blur, confidence, reblur score.

    Exit code 5 where a signal has drifted.
    """
    from flows.drift import judge_drift
    from tasks.drift import CAMERA_COLUMNS

    with exits():
        values = judge_drift(
            archive,
            run,
            against=against,
            by=by or CAMERA_COLUMNS,
            per=per,
            sample=sample,
            history=history,
            false_alarms=false_alarms,
            least_distance=least_distance,
            page=html,
            output=output,
        )
    console.print_json(values) if as_json else _print_drift(values)
    if values["drifted"]:
        raise typer.Exit(EXIT_DRIFT)


def _print_drift(values: Mapping[str, Any]) -> None:
    """Every signal by group, what could not be compared, and the verdict."""
    rows = [
        (
            row["signal"],
            row["group"],
            f"{row['earlier']['median']:.4g}",
            f"{row['now']['median']:.4g}",
            f"{row['distance']:.2f}",
            f"{row['p_value']:.2g}",
            f"{row['earlier_items']} / {row['items']}",
            "drifted" if row["drifted"] else "",
        )
        for row in values["signals"]
    ]
    heads = ("signal", "group", "median earlier", "now", "distance", "p", "items", "verdict")
    console.show_table(heads, rows)
    few = [f"{one['signal']}, {one['group']}" for one in values["not_compared"]]
    console.show_list(few, "not compared, fewer than 20 items in a run")
    for change in values["changes"]:
        console.show(f"{change['stage']}: {change['name']} {change['first']} -> {change['second']}")
    counts = values["items"]
    console.show(
        f"{values['run']} against {values['against']}: {counts['judged']} of {values['judged']}, "
        f"{counts['earlier']} earlier; {'drifted' if values['drifted'] else 'no drift'}"
    )
    if "page" in values:
        console.show(f"page: {values['page']}")


def _print_export(values: Mapping[str, Any]) -> None:
    """What was written and where, what failed and why."""
    for record in values.get("failed", ()):
        console.show(f"  {record['item']}: {record['message']}. {record['remedy']}", style="red")
    if "to" in values:
        failed = f", {len(values['failed'])} failed" if values["failed"] else ""
        console.show(
            f"{count_of(values['written'], 'item')} written, {values['skipped']} there already{failed}"
        )
        if values["without_metadata"]:
            console.show(f"{values['without_metadata']} without metadata: their sources tell none")
        console.show(f"pictures: {values['to']}")
    if "table" in values:
        console.show(f"table: {values['table']}")


def _print_quarantine(values: Mapping[str, Any], archive: str) -> None:
    """By kind, the most frequent first, with the reason of each item and what to do."""
    for group in values["kinds"]:
        listed = [*group["examples"]]
        console.show_problems([{**group, "examples": listed[: console.MOST_LISTED]}], style="red")
        console.show_rest(len(listed))
    total = values["quarantined"]
    console.show(
        f"{total} of {count_of(values['items'], 'item')} quarantined" if total else "nothing was quarantined"
    )
    if total:
        place = "" if archive == options.DEFAULT_ARCHIVE else f" --archive {shlex.quote(archive)}"
        console.show(f"again: ldp restore --only-quarantined {values['run_id']}{place}")
