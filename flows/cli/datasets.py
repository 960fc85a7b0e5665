"""Verbs over a dataset: what is in it, what a run would do, the run itself, its report."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli import console, options
from flows.exits import EXIT_BAD_ITEMS, exits
from ldp_core.errors import SettingsError
from ldp_core.types import GENERIC_CAMERA

app = typer.Typer()

_ITEMS_NAMED = 5
"""Changed, and vanished, items named in a terminal; `--json` has more, `items.jsonl` the version of each."""
_SIZES_SHOWN = 3
"""Picture sizes of a plan whose memory is shown, largest first: these decide whether a run fits."""


@options.command(app, options.DATASETS)
def restore(
    context: typer.Context,
    source: options.SourceOfRun = None,
    layout: options.Layout = "folders",
    dataset: options.Dataset = None,
    pair_by: options.PairBy = "",
    method: options.Methods = None,
    limit: options.Limit = None,
    sample: options.Sample = None,
    seed: options.Seed = 0,
    ids: options.Ids = None,
    where: options.Where = "",
    only_quarantined: Annotated[
        str | None,
        options.source_option(
            "--only-quarantined",
            metavar="RUN",
            help="Only what this run quarantined; what is not given (source, layout, methods) is as then.",
        ),
    ] = None,
    peak: options.Peak = None,
    to_srgb: options.ToSrgb = False,
    estimator: options.Estimator = "disparity",
    deblurrer: options.Deblurrer = "ldp",
    settings: options.Settings = None,
    baseline: options.Baselines = None,
    camera: options.Camera = GENERIC_CAMERA,
    cluster: options.Cluster = None,
    insecure_cluster: options.InsecureCluster = False,
    workers: options.Workers = None,
    max_bad: options.MaxBad = 0.05,
    allow_single: options.AllowSingle = False,
    verify_sources: options.VerifySources = False,
    allow_shrink: options.AllowShrink = False,
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    report_items: options.ReportItems = 200,
    as_json: options.Json = False,
    log_json: options.LogJson = False,
) -> None:
    """Restore every item of a dataset and write a report. What the archive has is not computed again."""
    with exits():
        chosen = options.parse_settings(settings, options.METHOD_STAGES)
        asked = _ask_for(pair_by, method, limit, sample, seed, ids, where)
        arguments = {
            "source": source,
            "layout": layout,
            "dataset": dataset,
            "estimator": estimator,
            "deblurrer": deblurrer,
            **{f"{stage}_settings": values for stage, values in chosen.items()},
            "baselines": baseline or (),
            "camera": camera,
            "max_bad": max_bad,
            "peak": peak,
            "to_srgb": to_srgb,
            **asked,
        }
        if only_quarantined is not None:
            arguments |= _as_in_run(context, archive, only_quarantined, arguments)
        elif source is None:
            raise SettingsError("no source is named", where="SOURCE", remedy="name a folder or a manifest")
        options.require_camera(arguments["camera"])  # a mistake is told before a server starts
        summary = _run_restore(
            as_json=as_json,
            archive=archive,
            cluster=cluster,
            insecure_cluster=insecure_cluster,
            processes=workers,
            report_items=report_items,
            verify_sources=verify_sources,
            allow_shrink=allow_shrink,
            allow_single=allow_single,
            **arguments,
        )
    _exit_for(summary)


@options.command(app, options.DATASETS)
def ingest(
    source: options.Source,
    layout: options.Layout = "folders",
    dataset: options.Dataset = None,
    pair_by: options.PairBy = "",
    method: options.Methods = None,
    limit: options.Limit = None,
    sample: options.Sample = None,
    seed: options.Seed = 0,
    ids: options.Ids = None,
    where: options.Where = "",
    camera: options.Camera = GENERIC_CAMERA,
    peak: options.Peak = None,
    to_srgb: options.ToSrgb = False,
    cluster: options.Cluster = None,
    insecure_cluster: options.InsecureCluster = False,
    workers: options.Workers = None,
    max_bad: options.MaxBad = 0.05,
    allow_single: options.AllowSingle = False,
    verify_sources: options.VerifySources = False,
    allow_shrink: options.AllowShrink = False,
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    as_json: options.Json = False,
    log_json: options.LogJson = False,
) -> None:
    """Archive the frames of a dataset and restore nothing; a later `ldp restore` finds them there."""
    from flows.launch import run_ingest

    with exits():
        options.require_camera(camera)  # a mistake is told before a server starts
        asked = _ask_for(pair_by, method, limit, sample, seed, ids, where)
        with console.showing_progress():
            summary = run_ingest(
                source=source,
                layout=layout,
                archive=archive,
                dataset=dataset,
                cluster=cluster,
                processes=workers,
                max_bad=max_bad,
                peak=peak,
                to_srgb=to_srgb,
                allow_single=allow_single,
                verify_sources=verify_sources,
                allow_shrink=allow_shrink,
                camera=camera,
                insecure_cluster=insecure_cluster,
                **asked,
            )
    console.print_json(summary) if as_json else _print_summary(summary)
    _exit_for(summary)


@options.command(app, options.DATASETS)
def plan(
    source: options.Source,
    layout: options.Layout = "folders",
    dataset: options.Dataset = None,
    pair_by: options.PairBy = "",
    method: options.Methods = None,
    limit: options.Limit = None,
    sample: options.Sample = None,
    seed: options.Seed = 0,
    ids: options.Ids = None,
    where: options.Where = "",
    peak: options.Peak = None,
    to_srgb: options.ToSrgb = False,
    estimator: options.Estimator = "disparity",
    deblurrer: options.Deblurrer = "ldp",
    settings: options.Settings = None,
    baseline: options.Baselines = None,
    camera: options.Camera = GENERIC_CAMERA,
    workers: options.Workers = None,
    allow_single: options.AllowSingle = False,
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    as_json: options.Json = False,
) -> None:
    """Show what `ldp restore` would do: items, problems, bytes, memory, time, what is archived already."""
    from flows.preview import preview_run
    from flows.source_options import make_source_options

    with exits():
        chosen = options.parse_settings(settings, options.METHOD_STAGES)
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
            camera=camera,
            pixels=options.parse_pixels(peak, to_srgb),
            allow_single=allow_single,
            options=make_source_options(**_ask_for(pair_by, method, limit, sample, seed, ids, where)),
        )
    console.print_json(preview) if as_json else _print_plan(preview)


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
        pixels = options.parse_pixels(peak, to_srgb)
        asked = SourceOptions(pair_by, options.parse_methods(method))
        found = read_catalogue(source, layout=layout, dataset=dataset, pixels=pixels, options=asked)
        text = catalogue_to_jsonl(found)
        typer.echo(text, nl=False) if output is None else write_bytes(str(output), text.encode())
    if any(problem.refuses_item for problem in found.problems):
        raise typer.Exit(EXIT_BAD_ITEMS)


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
    settings: Annotated[
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
        width, height = options.parse_size(size)
        chosen = options.parse_settings(settings, ["simulate"])["simulate"]
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
        _run_restore(as_json=as_json, source=source, layout="folders", archive=archive, processes=workers)


@options.command(app, options.DATASETS)
def report(
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
        archive, run_id = options.locate_run(run_id, archive)
        require_reportable(absolute_url(archive), run_id)
        with prefect_engine(), console.showing_progress():
            address = report_dataset(archive, run_id, cluster, workers, report_items, insecure_cluster)
        if single_file is not None:
            packed = pack_report(address.rpartition("/")[0], most_bytes=int(max_mb * 1e6))
            address = absolute_url(single_file)
            write_bytes(address, packed)
    typer.echo(address)


def _print_summary(summary: Mapping[str, Any]) -> None:
    """A finished run: means with intervals, counts, what was quarantined, where the report is."""
    if summary["metrics"]:
        console.show_means(summary["metrics"])
    counts = summary["items"]
    console.show(
        f"{counts['total']} items: {counts['computed']} computed, {counts['skipped']} skipped, "
        f"{counts['quarantined']} quarantined, in {console.format_duration(summary['seconds']['total'])}"
    )
    _print_sources(summary["sources"])
    console.show_problems(summary["problem_kinds"])
    console.show_problems(summary["quarantine_kinds"], style="red")
    if summary["report"]:
        console.show(f"report: {summary['report']}")


def _print_sources(sources: Mapping[str, Any]) -> None:
    """How many items changed or vanished since the run before, with examples; nothing where none did."""
    if sources["changed"] or sources["vanished"]:
        console.show(f"sources: {sources['changed']} changed, {sources['vanished']} vanished")
    for what in ("changed", "vanished"):
        for item in sources[f"{what}_items"][:_ITEMS_NAMED]:
            console.show(f"  {what}: {item}")


def _print_plan(preview: Mapping[str, Any]) -> None:
    """A plan: what there is, what is archived, what a run would read, write and take."""
    memory = preview["memory"]
    kinds = {"pairs": preview["pairs"], "single views": preview["single_views"]}
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count) or "none"
    console.show_facts(
        [
            ("dataset", preview["dataset"]),
            ("items", f"{listed}; {preview['to_do']} to do"),
            *(() if {*preview["cameras"]} == {GENERIC_CAMERA} else (_list_cameras(preview),)),
            ("archived", ", ".join(f"{stage} {n}" for stage, n in preview["done"].items())),
            ("read", console.format_size(preview["bytes_in"])),
            ("write", f"at most {console.format_size(preview['bytes_out_at_most'])}"),
            *(
                ("memory", f"{console.format_size(needed)} for an item of {size}")
                for size, needed in islice(memory["bytes_by_size"].items(), _SIZES_SHOWN)
            ),
            ("", f"each worker may take {console.format_size(memory['worker_bytes'])}"),
            ("time", f"about {console.format_duration(preview['seconds_estimated'])}"),
        ]
    )
    sources = preview["sources"]
    console.show_list(sources["suspects"], "sources that may have changed, to be compared with the archive")
    console.show_list(
        sources["vanished"], "items of the run before are no longer there; their results are kept"
    )
    if sources["refusal"]:
        console.show(f"[source_shrunk] a run would stop: {sources['refusal']}", style="red")
    if too_large := memory["too_large"]:
        console.show(f"[memory_short] {len(too_large)} items need more memory than a worker has")
    console.show_problems(preview["problem_kinds"])
    if preview["stops"]:
        console.show(f"`ldp restore` stops here: {', '.join(preview['stops'])}", style="red")


def _ask_for(
    pair_by: str,
    method: list[str] | None,
    limit: int | None,
    sample: int | None,
    seed: int,
    ids: str | None,
    where: str,
) -> dict[str, Any]:
    """What is asked of a source, as flows take it."""
    return {
        "pair_by": pair_by,
        "methods": options.parse_methods(method),
        "limit": limit,
        "sample": sample,
        "seed": seed,
        "ids": options.read_ids(ids),
        "where": where,
    }


_ALIASES = {"baselines": "baseline", "methods": "method"}
"""Parameters of flows by the names that they have as options, where these differ."""
_KNOWN_BAD = 1.0
"""The share of bad items that is allowed where all of them were bad before."""


def _as_in_run(
    context: typer.Context, archive: str, run_id: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """What a run was asked to do, but for what was given to this command."""
    from flows.source_options import find_run_source
    from ldp_core.storage import absolute_url

    def is_given(name: str) -> bool:
        if name.endswith("_settings"):
            return bool(arguments[name])
        source = context.get_parameter_source(_ALIASES.get(name, name))
        return source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP")

    recorded = find_run_source(absolute_url(archive), run_id) | {"max_bad": _KNOWN_BAD}
    taken = {name: value for name, value in recorded.items() if not is_given(name)}
    return {**taken, "only_quarantined": run_id}


def _list_cameras(preview: Mapping[str, Any]) -> tuple[str, str]:
    return "cameras", ", ".join(f"{count} {name}" for name, count in preview["cameras"].items())


def _run_restore(*, as_json: bool, **arguments: Any) -> dict[str, Any]:
    from flows.launch import run_restore

    with console.showing_progress():
        summary = run_restore(**arguments)
    console.print_json(summary) if as_json else _print_summary(summary)
    return summary


def _make_ignored(folder: Path) -> None:
    """Make the demo's folder with a .gitignore, so that git does not list it."""
    from ldp_core.storage import write_bytes

    if not folder.exists():
        write_bytes(str(folder / ".gitignore"), b"*\n")


def _exit_for(summary: Mapping[str, Any]) -> None:
    if summary["items"]["quarantined"]:
        raise typer.Exit(EXIT_BAD_ITEMS)
