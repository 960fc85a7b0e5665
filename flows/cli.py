"""The ``ldp`` command. Heavy imports wait until a command needs them, so that ``--help`` is quick."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import evaluate, operate, train
from flows.exits import EXIT_BAD_ITEMS, exits, print_json
from flows.options import ClusterOption, JsonOption, WorkersOption, showing_progress
from ldp_core.errors import SettingsError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 error, 3 done but items set aside, 4 too many bad items, 130 interrupted.",
)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(operate.app)
app.add_typer(train.app, name="train")

Source = Annotated[str, typer.Argument(help="Folder or manifest of the dataset: a path or any fsspec URL.")]
LayoutOption = Annotated[str, typer.Option("--layout", help="How the source is laid out.")]
ArchiveOption = Annotated[str, typer.Option("--archive", help="Where frames, results and reports are kept.")]
DatasetOption = Annotated[str | None, typer.Option("--dataset", help="First part of the item ids.")]
EstimatorOption = Annotated[str, typer.Option("--estimator", help="How blur maps are estimated.")]
DeblurrerOption = Annotated[str, typer.Option("--deblurrer", help="How images are restored.")]
BaselineOption = Annotated[
    list[str] | None,
    typer.Option("--baseline", help="A deblurrer to restore by as well and score beside; may be repeated."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting, such as estimator.largest_disparity_px=12; may be repeated."),
]
_SETTABLE = ("estimator", "deblurrer", "single_estimator", "single_deblurrer", "simulate")
"""What `--set` sets something of; the `single_` ones serve items whose second view is missing."""
MaxBadOption = Annotated[float, typer.Option(min=0, max=1, help="Share of bad items that stops a run.")]


@app.callback()
def main() -> None:
    """Blur maps and all-in-focus images from datasets of dual-pixel photographs."""
    from flows.engine import keep_quiet

    keep_quiet()


@app.command()
def restore(
    source: Source,
    layout: LayoutOption = "folders",
    archive: ArchiveOption = "archive",
    dataset: DatasetOption = None,
    estimator: EstimatorOption = "disparity",
    deblurrer: DeblurrerOption = "ldp",
    settings: SetOption = None,
    baseline: BaselineOption = None,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
    max_bad: MaxBadOption = 0.05,
    report_items: Annotated[int, typer.Option(min=0, help="Items with pictures in the report.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """Restore every item of a dataset and report on it. What is archived is not computed again."""
    with exits():
        chosen = _parse_settings(settings)
        summary = _run_restore(
            as_json=as_json,
            source=source,
            layout=layout,
            archive=archive,
            dataset=dataset,
            estimator=estimator,
            estimator_settings=chosen["estimator"],
            deblurrer=deblurrer,
            deblurrer_settings=chosen["deblurrer"],
            single_estimator_settings=chosen["single_estimator"],
            single_deblurrer_settings=chosen["single_deblurrer"],
            baselines=baseline or (),
            cluster=cluster,
            processes=workers,
            max_bad=max_bad,
            report_items=report_items,
        )
    if summary["items"]["quarantined"]:
        raise typer.Exit(EXIT_BAD_ITEMS)


@app.command()
def ingest(
    source: Source,
    layout: LayoutOption = "folders",
    archive: ArchiveOption = "archive",
    dataset: DatasetOption = None,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
    max_bad: MaxBadOption = 0.05,
    as_json: JsonOption = False,
) -> None:
    """Archive the frames of a dataset and no more; a later `ldp restore` finds them there."""
    from flows.console import print_summary
    from flows.engine import prefect_engine
    from flows.ingest import ingest_dataset

    with exits(), prefect_engine(), showing_progress():
        summary = ingest_dataset(source, layout, archive, dataset, cluster, workers, max_bad)
    print_json(summary) if as_json else print_summary(summary)
    if summary["items"]["quarantined"]:
        raise typer.Exit(EXIT_BAD_ITEMS)


@app.command()
def plan(
    source: Source,
    layout: LayoutOption = "folders",
    archive: ArchiveOption = "archive",
    dataset: DatasetOption = None,
    estimator: EstimatorOption = "disparity",
    deblurrer: DeblurrerOption = "ldp",
    settings: SetOption = None,
    baseline: BaselineOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a run would do, before anything runs: pairs, problems, bytes, time, what is done."""
    from flows.console import print_plan
    from flows.preview import preview_run

    with exits():
        chosen = _parse_settings(settings)
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
    print_json(preview) if as_json else print_plan(preview)


@app.command()
def catalogue(
    source: Source,
    layout: LayoutOption = "folders",
    dataset: DatasetOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write here instead.")] = None,
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


@app.command()
def simulate(
    output: Annotated[str, typer.Argument(help="Folder of the new dataset (layout `folders`).")],
    count: Annotated[int, typer.Option(min=1, help="How many pairs.")] = 12,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in px.")] = "840x560",
    seed: Annotated[int, typer.Option(help="Same seed, same dataset.")] = 0,
    settings: SetOption = None,
    workers: WorkersOption = None,
) -> None:
    """Simulate a dataset of dual-pixel pairs with their all-in-focus images; needs no data."""
    from flows.engine import prefect_engine
    from flows.simulate import simulate_dataset

    with exits(), prefect_engine(), showing_progress():
        width, height = _parse_size(size)
        options = _parse_settings(settings)["simulate"] | {"width": width, "height": height}
        simulate_dataset(output, count, seed=seed, settings=options, processes=workers)


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo's dataset and archive go.")] = Path(
        "ldp-demo"
    ),
    count: Annotated[int, typer.Option(min=1, help="How many pairs.")] = 6,
    as_json: JsonOption = False,
) -> None:
    """Simulate a small dataset, run the main job on it, and show where the report is."""
    from flows.engine import prefect_engine
    from flows.simulate import simulate_dataset

    with exits(), prefect_engine():
        source = str(folder / "dataset")
        with showing_progress():
            simulate_dataset(source, count, seed=1, settings={"width": 720, "height": 480})
        _run_restore(as_json=as_json, source=source, layout="folders", archive=str(folder / "archive"))


@app.command()
def report(
    run_id: Annotated[str, typer.Argument(help="The run, as runs/ in the archive names it.")],
    archive: ArchiveOption = "archive",
    report_items: Annotated[int, typer.Option(min=0, help="Items with pictures in the report.")] = 200,
    cluster: ClusterOption = None,
    workers: WorkersOption = None,
) -> None:
    """Make the report of an earlier run again."""
    from flows.engine import prefect_engine
    from flows.report import report_dataset

    with exits(), prefect_engine(), showing_progress():
        address = report_dataset(archive, run_id, cluster, workers, report_items)
    typer.echo(address)


def _run_restore(*, as_json: bool, **options: Any) -> dict[str, Any]:
    from flows.console import print_summary
    from flows.engine import prefect_engine
    from flows.restore import restore_dataset

    with prefect_engine(), showing_progress():
        summary: dict[str, Any] = restore_dataset(**options)
    print_json(summary) if as_json else print_summary(summary)
    return summary


def _parse_settings(assignments: list[str] | None) -> dict[str, dict[str, Any]]:
    """``stage.name=value`` by stage; values are JSON, or text where they are not."""
    chosen: dict[str, dict[str, Any]] = {stage: {} for stage in _SETTABLE}
    for assignment in assignments or []:
        path, equals, value = assignment.partition("=")
        stage, _, name = path.partition(".")
        if not (equals and name and stage in chosen):
            raise SettingsError(
                "not a setting",
                where="--set",
                expected=", ".join(f"{stage}.NAME=VALUE" for stage in _SETTABLE),
                got=assignment,
            )
        chosen[stage][name] = _parse_value(value)
    return chosen


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _parse_size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise SettingsError("not a size", where="--size", expected="WIDTHxHEIGHT, such as 840x560", got=text)
    return int(width), int(height)
