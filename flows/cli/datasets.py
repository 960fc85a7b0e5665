"""Verbs over a dataset: what is in it, what a run would do, the run itself, its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.console import (
    format_duration,
    format_interval,
    format_size,
    print_json,
    show,
    show_facts,
    show_parts,
    showing_progress,
)
from flows.cli.options import (
    DATASETS,
    METHOD_STAGES,
    ArchiveOption,
    BaselineOption,
    ClusterOption,
    DatasetOption,
    DeblurrerOption,
    EstimatorOption,
    JsonOption,
    LayoutOption,
    MaxBadOption,
    ReportItemsOption,
    SetOption,
    SourceArgument,
    WorkersOption,
    command,
    output_option,
    parse_settings,
    parse_size,
)
from flows.exits import EXIT_BAD_ITEMS, exits

app = typer.Typer()

_SIZES_SHOWN = 3
"""Picture sizes of a plan whose memory is shown, largest first: these decide whether a run fits."""


@command(app, DATASETS)
def restore(
    source: SourceArgument,
    layout: LayoutOption = "folders",
    dataset: DatasetOption = None,
    estimator: EstimatorOption = "disparity",
    deblurrer: DeblurrerOption = "ldp",
    settings: SetOption = None,
    baseline: BaselineOption = None,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
    max_bad: MaxBadOption = 0.05,
    archive: ArchiveOption = "archive",
    report_items: ReportItemsOption = 200,
    as_json: JsonOption = False,
) -> None:
    """Restore every item of a dataset and write a report. What the archive has is not computed again."""
    with exits():
        chosen = parse_settings(settings, METHOD_STAGES)
        summary = _run_restore(
            as_json=as_json,
            source=source,
            layout=layout,
            archive=archive,
            dataset=dataset,
            estimator=estimator,
            deblurrer=deblurrer,
            **{f"{stage}_settings": values for stage, values in chosen.items()},
            baselines=baseline or (),
            cluster=cluster,
            processes=workers,
            max_bad=max_bad,
            report_items=report_items,
        )
    _exit_for(summary)


@command(app, DATASETS)
def ingest(
    source: SourceArgument,
    layout: LayoutOption = "folders",
    dataset: DatasetOption = None,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
    max_bad: MaxBadOption = 0.05,
    archive: ArchiveOption = "archive",
    as_json: JsonOption = False,
) -> None:
    """Archive the frames of a dataset and restore nothing; a later `ldp restore` finds them there."""
    from flows.engine import prefect_engine
    from flows.ingest import ingest_dataset

    with exits(), prefect_engine(), showing_progress():
        summary = ingest_dataset(source, layout, archive, dataset, cluster, workers, max_bad)
    print_json(summary) if as_json else _print_summary(summary)
    _exit_for(summary)


@command(app, DATASETS)
def plan(
    source: SourceArgument,
    layout: LayoutOption = "folders",
    dataset: DatasetOption = None,
    estimator: EstimatorOption = "disparity",
    deblurrer: DeblurrerOption = "ldp",
    settings: SetOption = None,
    baseline: BaselineOption = None,
    workers: WorkersOption = None,
    archive: ArchiveOption = "archive",
    as_json: JsonOption = False,
) -> None:
    """Show what `ldp restore` would do: items, problems, bytes, memory, time, what is archived already."""
    from flows.preview import preview_run

    with exits():
        chosen = parse_settings(settings, METHOD_STAGES)
        preview = preview_run(
            source,
            layout,
            archive,
            dataset=dataset,
            estimator=(estimator, chosen["estimator"]),
            deblurrer=(deblurrer, chosen["deblurrer"]),
            processes=workers,
            single_settings=(chosen["single_estimator"], chosen["single_deblurrer"]),
            baselines=baseline or (),
        )
    print_json(preview) if as_json else _print_plan(preview)


@command(app, DATASETS)
def catalogue(
    source: SourceArgument,
    layout: LayoutOption = "folders",
    dataset: DatasetOption = None,
    output: Annotated[
        Path | None, output_option("--output", "-o", metavar="FILE", help="Write to this file instead.")
    ] = None,
) -> None:
    """List a dataset as JSON lines: a header, its items, its problems."""
    from ldp_core.catalogue import catalogue_to_jsonl, read_catalogue
    from ldp_core.storage import write_bytes

    with exits():
        found = read_catalogue(source, layout=layout, dataset=dataset)
        text = catalogue_to_jsonl(found)
        typer.echo(text, nl=False) if output is None else write_bytes(str(output), text.encode())
    if any(problem.refuses_item for problem in found.problems):
        raise typer.Exit(EXIT_BAD_ITEMS)


@command(app, DATASETS)
def simulate(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="Where the new dataset goes, in the layout `folders`.")
    ],
    count: Annotated[int, typer.Option("--count", min=1, metavar="N", help="How many pairs.")] = 12,
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Width and height in px.")] = "840x560",
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="The same seed gives the same dataset.")
    ] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SETTING", help="simulate.NAME=VALUE; may be repeated."),
    ] = None,
    workers: WorkersOption = None,
) -> None:
    """Simulate a dataset of dual-pixel pairs with their all-in-focus images; needs no photographs."""
    from flows.engine import prefect_engine
    from flows.simulate import simulate_dataset
    from ldp_core.optics import SimulationSettings

    with exits():
        width, height = parse_size(size)
        options = parse_settings(settings, ["simulate"])["simulate"] | {"width": width, "height": height}
        SimulationSettings.parse(options)  # a mistake is told before a server starts
        with prefect_engine(), showing_progress():
            simulate_dataset(folder, count, seed=seed, settings=options, processes=workers)


@command(app, DATASETS)
def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the demo's dataset and archive go.")
    ] = Path("ldp-demo"),
    count: Annotated[int, typer.Option("--count", min=1, metavar="N", help="How many pairs.")] = 6,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a small dataset, restore it, and show where the report is."""
    from flows.engine import prefect_engine
    from flows.simulate import simulate_dataset

    with exits(), prefect_engine():
        source, archive = str(folder / "dataset"), str(folder / "archive")
        _make_ignored(folder)
        with showing_progress():
            simulate_dataset(source, count, seed=1, settings={"width": 720, "height": 480}, processes=workers)
        _run_restore(as_json=as_json, source=source, layout="folders", archive=archive, processes=workers)


@command(app, DATASETS)
def report(
    run_id: Annotated[
        str, typer.Argument(metavar="RUN", help="The run, by its name below runs/ in the archive.")
    ],
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
    archive: ArchiveOption = "archive",
    report_items: ReportItemsOption = 200,
) -> None:
    """Make the report of an earlier run again."""
    from flows.engine import prefect_engine
    from flows.report import report_dataset

    with exits(), prefect_engine(), showing_progress():
        address = report_dataset(archive, run_id, cluster, workers, report_items)
    typer.echo(address)


def print_means(means: Sequence[Mapping[str, Any]]) -> None:
    """Means with their intervals; the protocol, which the rows below share, above them."""
    parts: dict[str, list[tuple[object, ...]]] = {}
    for mean in means:
        interval = format_interval(mean["low"], mean["high"])
        row = (mean["metric"], mean["subject"], f"{mean['mean']:.3f}", interval, mean["n"])
        parts.setdefault(f"protocol: {mean['protocol']}", []).append(row)
    show_parts(("metric", "subject", "mean", "95 % interval", "n"), parts)


def _print_summary(summary: Mapping[str, Any]) -> None:
    """A finished run: means with intervals, counts, what was quarantined, where the report is."""
    if summary["metrics"]:
        print_means(summary["metrics"])
    counts = summary["items"]
    show(
        f"{counts['total']} items: {counts['computed']} computed, {counts['skipped']} skipped, "
        f"{counts['quarantined']} quarantined, in {format_duration(summary['seconds']['total'])}"
    )
    for record in summary["quarantine"]:
        show(f"{record['item']}: [{record['kind']}] {record['message']}. {record['remedy']}", style="red")
    if summary["report"]:
        show(f"report: {summary['report']}")


def _print_plan(preview: Mapping[str, Any]) -> None:
    """A plan: what there is, what is archived, what a run would read, write and take."""
    memory = preview["memory"]
    singles = f" and {preview['single_views']} single views" if preview["single_views"] else ""
    show_facts(
        [
            ("dataset", preview["dataset"]),
            ("pairs", f"{preview['pairs']}{singles}, {preview['to_do']} to do"),
            ("archived", ", ".join(f"{stage} {n}" for stage, n in preview["done"].items())),
            ("read", format_size(preview["bytes_in"])),
            ("write", f"at most {format_size(preview['bytes_out_at_most'])}"),
            *(
                ("memory", f"{format_size(needed)} for a pair of {size}")
                for size, needed in islice(memory["bytes_by_size"].items(), _SIZES_SHOWN)
            ),
            ("", f"each worker may take {format_size(memory['worker_bytes'])}"),
            ("time", f"about {format_duration(preview['seconds_estimated'])} of computation"),
        ]
    )
    if too_large := memory["too_large"]:
        show(f"[memory_short] {len(too_large)} pairs need more memory than a worker has")
    for problem in preview["problems"]:
        show(f"[{problem['kind']}] {problem['where']}: {problem['message']}")


def _run_restore(*, as_json: bool, **options: Any) -> dict[str, Any]:
    from flows.engine import prefect_engine
    from flows.restore import restore_dataset

    with prefect_engine(), showing_progress():
        summary: dict[str, Any] = restore_dataset(**options)
    print_json(summary) if as_json else _print_summary(summary)
    return summary


def _make_ignored(folder: Path) -> None:
    """Make the demo's folder so that git and tools that heed it see nothing of it, wherever it is."""
    if not folder.exists():
        folder.mkdir(parents=True)
        (folder / ".gitignore").write_text("*\n")


def _exit_for(summary: Mapping[str, Any]) -> None:
    if summary["items"]["quarantined"]:
        raise typer.Exit(EXIT_BAD_ITEMS)
