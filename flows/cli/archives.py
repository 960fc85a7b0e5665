"""Verbs over an archive: what it holds, whether it is intact, how two runs differ, what may be deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from flows.cli import console, options, parsing
from flows.exits import EXIT_BAD_ITEMS, exits
from ldp_core.catalogue.since import parse_age
from ldp_core.errors import SettingsError

app = typer.Typer()

ArchiveArgument = Annotated[
    str, typer.Argument(metavar="ARCHIVE", help="The archive: a path or any fsspec URL.")
]

_LEFTOVERS = {
    "incomplete": "chunks of items that were never finished (`ldp gc` removes them)",
    "partial": "temporary files of writers (`ldp gc` removes them)",
    "orphaned": "sidecars of items that are not there",
    "unknown": "objects that belong to no archive",
}
_OUTCOMES = {"identical": "repaired, identical", "remade": "repaired, remade", "not_repaired": "not repaired"}
_FACTS = (
    "run_id", "state", "started", "source", "layout", "estimator", "deblurrer", "baselines", "report",
)  # fmt: skip


@options.command(app, options.ARCHIVES)
def status(
    archive: ArchiveArgument,
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run, by its name below runs/ in the archive.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the runs of an archive and what it holds, or show all of one run."""
    from flows.archives import describe_archive, describe_one_run

    with exits():
        values = describe_archive(archive) if run is None else describe_one_run(archive, run)
    if as_json:
        console.print_json(values)
    else:
        (_print_archive if run is None else _print_run)(values)


@options.command(app, options.ARCHIVES)
def verify(
    archive: ArchiveArgument,
    repair: Annotated[
        bool, options.execution_option("--repair", help="Compute again what can be computed again.")
    ] = False,
    cluster: options.Cluster = None,
    insecure_cluster: options.InsecureCluster = False,
    workers: options.Workers = None,
    as_json: options.Json = False,
) -> None:
    """Hash everything in an archive again and list what is corrupt; exit code 3 if something stays so."""
    from flows.archives import verify as verify_all

    with exits(), console.showing_progress():
        found = verify_all(
            archive,
            repair=repair,
            cluster=cluster,
            processes=workers,
            insecure_cluster=insecure_cluster,
        )
    console.print_json(found) if as_json else _print_verification(found)
    if found["not_repaired"]:
        raise typer.Exit(EXIT_BAD_ITEMS)


@options.command(app, options.ARCHIVES)
def compare(
    archive: ArchiveArgument,
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="The run to compare with, then those that are judged."),
    ],
    name: Annotated[
        list[str] | None,
        options.output_option(
            "--name", metavar="RUN=NAME", help="What a run is called. Default: its methods. May be repeated."
        ),
    ] = None,
    html: Annotated[
        bool, options.output_option("--html", help="Write a page with pictures to the run.")
    ] = False,
    output: Annotated[
        str | None,
        options.output_option("--output", "-o", metavar="FOLDER", help="Write the page here instead."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compare runs item by item: differences with intervals, never across protocols.

    Of two runs every metric is compared, of more the first one, each run with every other.
    """
    from flows.comparison import compare as compare_two
    from flows.comparison import compare_all, name_runs, write_comparison_page

    with exits():
        _require_comparable(runs, page=html or output is not None)
        names = name_runs(archive, runs, parsing.parse_titles(name, option="--name", form="RUN=NAME"))
        if len(runs) > 2:
            values = compare_all(archive, runs, names=names)
        else:
            found, values = compare_two(archive, *runs, names=names)
            if html or output:
                values["page"] = write_comparison_page(archive, found, names=names, output=output)
    if as_json:
        console.print_json(values)
    else:
        (_print_matrix if len(runs) > 2 else _print_comparison)(values)


@options.command(app, options.ARCHIVES)
def gc(
    archive: ArchiveArgument,
    delete: Annotated[
        bool,
        options.execution_option("--delete/--dry-run", help="Delete; without it the command only lists."),
    ] = False,
    grace_hours: Annotated[
        float,
        options.execution_option(
            "--grace-hours",
            min=0,
            max=1_000_000,
            metavar="HOURS",
            help="Keep what is younger: a run that is working may need it.",
        ),
    ] = 24.0,
    older_than: Annotated[
        str | None,
        options.execution_option(
            "--older-than",
            metavar="AGE",
            help="Runs this old go as well, such as 90d, but for the last finished ones of every dataset.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List, or delete, results that no run refers to and temporary files of stopped runs."""
    from flows.archives import collect_garbage

    with exits():
        age = None if older_than is None else parse_age(older_than, "--older-than")
        values = collect_garbage(archive, delete=delete, grace_hours=grace_hours, older_than=age)
    console.print_json(values) if as_json else _print_garbage(values)


def _print_archive(values: Mapping[str, Any]) -> None:
    """The runs of an archive, newest first, and what it holds by stage key."""
    rows = []
    for run in values["runs"]:
        counts = (run["counts"].get(name, "") for name in ("computed", "skipped", "quarantined"))
        methods = " + ".join(filter(None, (run["estimator"], run["deblurrer"], run["baselines"])))
        dataset = f"{run['dataset']} ({run['layout']}, {run['listed']})" if run["dataset"] else ""
        rows.append((run["run_id"], run["state"], *counts, dataset, methods))
    console.show_table(("run", "state", "computed", "skipped", "quarantined", "dataset", "methods"), rows)
    _show_sections(values["sections"])
    earlier = f" and {n} earlier versions" if (n := values["earlier_versions"]) else ""
    size = console.format_size(values["size_bytes"])
    console.show(f"{len(values['runs'])} runs, {values['items']} items{earlier}, {size}")


def _print_run(values: Mapping[str, Any]) -> None:
    """All of one run: what it was, what came of it, why items were quarantined."""
    counts = ", ".join(f"{count} {name}" for name, count in values["counts"].items())
    sources = ", ".join(f"{count} {name}" for name, count in values["sources"].items())
    keys = [
        (label if pipeline == "pair" else f"{label}, {pipeline}", key)
        for pipeline, keyed in values["stage_keys"].items()
        for label, key in keyed.items()
    ]
    console.show_facts(
        [
            *((name.removesuffix("_id"), values[name] or "-") for name in _FACTS),
            (
                "items",
                f"{'-' if values['listed'] is None else values['listed']} listed"
                + (f"; {counts}" if counts else ""),
            ),
            *([("sources", sources)] if sources else []),
            *keys,
        ]
    )
    if values.get("metrics"):
        console.show_means(values["metrics"])
    for kind, records in values.get("quarantine", {}).items():
        console.show(f"{kind}: {len(records)} quarantined")
        for record in records[: console.MOST_LISTED]:
            console.show(f"  {record['item']} at {record['stage']}: {record['message']}. {record['remedy']}")
        console.show_rest(len(records))


def _print_verification(found: Mapping[str, Any]) -> None:
    """What was hashed, what is corrupt and what became of it, and what was left behind."""
    console.show_table(("hashed", "items"), [*found["items"].items(), ("runs", found["runs"])])
    for row in found["corrupt"]:
        outcome = _OUTCOMES.get(row["outcome"], row["outcome"]) + (
            f": {row['reason']}" if row["reason"] else ""
        )
        console.show(f"{row['path']}: {row['damage']}{_describe_digests(row)}; {outcome}")
    for name, meaning in _LEFTOVERS.items():
        console.show_list(found[name], meaning)
    if found["unchecked"]:
        console.show(f"{len(found['unchecked'])} runs without digests; their records can be read")
    count, unrepaired = len(found["corrupt"]), found["not_repaired"]
    verdict = f"{count} corrupt, {count - unrepaired} repaired" if count else "nothing is corrupt"
    console.show(f"{console.format_size(found['size_bytes'])} hashed: {verdict}")


def _require_comparable(runs: list[str], *, page: bool) -> None:
    if len(runs) < 2 or len(set(runs)) < len(runs):
        raise SettingsError(
            "nothing to compare", where="RUN", expected="two runs or more, each once", got=", ".join(runs)
        )
    if page and len(runs) > 2:
        raise SettingsError(
            "a page compares two runs", where="--html", got=f"{len(runs)} runs", remedy="name two runs"
        )


def _print_matrix(values: Mapping[str, Any]) -> None:
    """The differences of every two runs as a matrix, then each with its interval."""
    changes = {}
    for row in values["matrix"]:
        mark = "*" if row["claimed"] else ""
        changes[row["second_name"], row["first_name"]] = f"{row['mean']:+.3f}{mark}"
        changes[row["first_name"], row["second_name"]] = f"{-row['mean']:+.3f}{mark}"
    names = values["names"]
    rows = [(name, *(changes.get((name, other), "") for other in names)) for name in names]
    console.show_table(("minus", *names), rows)
    console.show("*: the interval excludes zero, and there are five items or more")
    listed = [
        (
            f"{row['second_name']} minus {row['first_name']}",
            row["metric"],
            f"{row['mean']:+.3f}",
            console.format_interval(row["low"], row["high"], signed=True),
            row["n"],
        )
        for row in values["matrix"]
    ]
    console.show_table(("runs", "metric", "change", "95 % interval", "n"), listed)


def _print_comparison(values: Mapping[str, Any]) -> None:
    """Differences of two runs, what could not be compared, and the items that differ most."""
    parts: dict[str, list[tuple[object, ...]]] = {}
    for row in values["differences"]:
        means = (f"{row['first']:.3f}", f"{row['second']:.3f}", f"{row['mean']:+.3f}")
        interval = console.format_interval(row["low"], row["high"], signed=True)
        cells = (row["metric"], row["subject"], *means, interval, row["n"])
        parts.setdefault(f"protocol: {row['protocol']}", []).append(
            (*cells, "" if row["claimed"] else "within noise")
        )
    console.show_parts(("metric", "subject", *values["names"], "change", "95 % interval", "n", "note"), parts)
    _print_groups(values)
    for row in values["refused"]:
        where = f"{row['metric']} of {row['subject']}, {row['items']} items"
        console.show(f"not compared: {where}: '{row['first']}' is not '{row['second']}'")
    for title, name in (("largest_gains", "gain"), ("largest_losses", "loss")):
        for row in values[title]:
            console.show(
                f"{name}: {row['item']} {row['first']:.3f} -> {row['second']:.3f} ({row['gain']:+.3f})"
            )
    others = [f"{o['item']}: version {o['first']} and {o['second']}" for o in values["other_content"]]
    console.show_list(others, "items not compared, their sources changed between the runs")
    counts = values["items"]
    console.show(
        f"{counts['common']} items in both, {counts['only_first']} only in {values['names'][0]}, "
        f"{counts['only_second']} only in {values['names'][1]}"
    )
    if "page" in values:
        console.show(f"page: {values['page']}")


def _print_groups(values: Mapping[str, Any]) -> None:
    """The change of restored images by group, of the metric that stands first; nothing without groups."""
    restored = [row for row in values["groups"] if row["subject"] == "restored"]
    rows = [
        (
            f"{row['column']}: {row['value']}",
            row["metric"],
            f"{row['mean']:+.3f}",
            console.format_interval(row["low"], row["high"], signed=True),
            row["n"],
            "" if row["claimed"] else "within noise",
        )
        for row in restored
        if row["metric"] == restored[0]["metric"]
    ]
    if rows:
        console.show_table(("group", "metric", "change", "95 % interval", "n", "note"), rows)


def _print_garbage(values: Mapping[str, Any]) -> None:
    """What no run refers to, by stage key, and whether it was deleted."""
    if not (values["sections"] or values["runs"]):
        console.show("nothing is left over")
        return
    console.show_list(values["runs"], "runs of long ago")
    _show_sections([{**row, "leftovers": len(row["leftovers"])} for row in values["sections"]])
    did = "deleted" if values["deleted"] else "can be deleted: give --delete"
    console.show(f"{console.format_size(values['size_bytes'])} {did}")


def _show_sections(sections: list[dict[str, Any]]) -> None:
    """Items and bytes by stage key; how many leftovers, where they were counted."""
    names = [name for name in ("items", "leftovers") if any(name in row for row in sections)]
    rows = [
        (row["path"], *(row[name] for name in names), console.format_size(row["size_bytes"]))
        for row in sections
    ]
    console.show_table(("stage key", *names, "size"), rows)


def _describe_digests(row: Mapping[str, Any]) -> str:
    facts = (("expected", row["expected"]), ("got", row["got"]))
    return "".join(f", {name} {_shorten(text)}" for name, text in facts if text)


def _shorten(text: str) -> str:
    """Digests to 12 digits, enough to tell two apart by eye."""
    return ", ".join(part[:12] if len(part) == 64 else part for part in text.split(", "))
