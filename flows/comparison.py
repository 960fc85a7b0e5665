"""Runs compared, as plain values and as a page: two in every metric, more by a matrix of the first metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any

from ldp_core.archive import Archive
from ldp_core.errors import ItemDamagedError, ItemMissingError, SettingsError, suggest
from ldp_core.metrics.groups import compare_groups, find_groups
from ldp_core.metrics.summary import compare_means
from ldp_core.report.comparison import (
    ItemChange,
    compare_headline,
    difference_paths,
    draw_difference,
    list_changes,
    write_comparison,
)
from ldp_core.storage import absolute_url, join, write_bytes
from tasks.run import Run
from tasks.status import ComparedRuns, compare_runs, describe_run

MOST_SHOWN = 6
"""Items of the largest gains, and of the largest losses, in a comparison."""


def name_runs(archive: str, runs: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """What runs are called: as given, else by their methods where these tell all apart, else by their ids.

    Raises:
        SettingsError: a name is given to a run that is not among these, or two runs have one name.
        ItemMissingError: the archive holds no such run.
    """
    for run in given:
        if run not in runs:
            raise SettingsError(
                "this run is not compared",
                where="--name",
                expected=", ".join(runs),
                got=run,
                remedy=suggest(run, runs) or "name one of the runs that are given",
            )
    facts = [describe_run(Run(absolute_url(archive), run)) for run in runs]
    methods = [" + ".join(filter(None, (one.estimator, one.deblurrer))) for one in facts]
    otherwise = methods if len(set(methods)) == len(methods) else list(runs)
    names = [given.get(run, name) for run, name in zip(runs, otherwise, strict=True)]
    if len(set(names)) < len(names):
        raise SettingsError("two runs have the same name", where="--name", got=", ".join(names))
    return names


def compare(
    archive: str, first: str, second: str, *, names: Sequence[str] = ("first", "second")
) -> tuple[ComparedRuns, dict[str, Any]]:
    """Second minus first over the items that both runs restored, all of them and in groups.

    Raises:
        ItemMissingError: a run is not there, did not come to its end, or they share no item.
        MetricError: the runs were scored under different protocols.
    """
    found = compare_runs(absolute_url(archive), first, second)
    gains, losses = list_changes(found.paired, most=MOST_SHOWN)
    groups = compare_groups(found.paired, find_groups(_metadata_of(found)))
    return found, {
        "first": first,
        "second": second,
        "names": list(names),
        "items": {
            "common": len(found.paired.common),
            "only_first": len(found.paired.only_first),
            "only_second": len(found.paired.only_second),
        },
        "other_content": [asdict(other) for other in found.other_content],
        "differences": [_flatten(row) for row in compare_means(found.paired)],
        "groups": [
            {"column": group.column, "value": group.value, **_flatten(row)}
            for group, rows in groups
            for row in rows
        ],
        "refused": [asdict(refusal) for refusal in found.paired.refusals],
        "changes": [asdict(change) for change in found.changes],
        "largest_gains": [_brief(change) for change in gains],
        "largest_losses": [_brief(change) for change in losses],
    }


def compare_all(archive: str, runs: Sequence[str], *, names: Sequence[str]) -> dict[str, Any]:
    """Every two of several runs by the first metric that they share: the later given minus the earlier.

    Raises:
        ItemMissingError, MetricError: as `compare`, of any two.
    """
    named = list(zip(runs, names, strict=True))
    rows = []
    for (first, name), (second, other) in combinations(named, 2):
        found = compare_headline(compare_runs(absolute_url(archive), first, second).paired)
        if found is not None:
            rows.append({"first_name": name, "second_name": other, **_flatten(found)})
    return {"runs": list(runs), "names": list(names), "matrix": rows}


def write_comparison_page(
    archive: str, found: ComparedRuns, *, names: Sequence[str], output: str | None = None
) -> str:
    """Draw and write the page; returns its address. It lies with the second run unless told otherwise."""
    archive = absolute_url(archive)
    second = Archive(archive).run_url(found.second.run_id)
    url = absolute_url(output) if output else join(second, f"compared-with-{found.first.run_id}")
    gains, losses = (_draw(archive, found, some, url) for some in list_changes(found.paired, most=MOST_SHOWN))
    others = [f"{one.item}: version {one.first}, version {one.second}" for one in found.other_content]
    return write_comparison(
        url,
        (found.first, found.second),
        found.paired,
        names=(names[0], names[1]),
        groups=find_groups(_metadata_of(found)),
        changes=found.changes,
        gains=gains,
        losses=losses,
        other_content=others,
    )


def _metadata_of(found: ComparedRuns) -> dict[str, Any]:
    """What the second run knows of the items that both restored."""
    return {item: known for item, known in found.runs[1].metadata.items() if item in found.paired.common}


def _draw(archive: str, found: ComparedRuns, changes: Sequence[ItemChange], url: str) -> list[ItemChange]:
    return [replace(change, pictures=_draw_item(archive, found, change.item, url)) for change in changes]


def _draw_item(archive: str, found: ComparedRuns, item: str, url: str) -> dict[str, str]:
    """Pictures of an item; none where one of its results is no longer there."""
    opened = Archive(archive)
    try:
        item_key = found.item_key(item)
        pair = opened.read_pair(item_key)
        first, second = (opened.read_restored(key, item_key) for key in found.restored_keys(item))
    except (ItemMissingError, ItemDamagedError):
        return {}
    files = draw_difference(pair, first, second)
    paths = difference_paths(item, files)
    for file, content in files.items():
        write_bytes(join(url, paths[file.removesuffix(".jpg")]), content)
    return paths


def _flatten(row: Any) -> dict[str, Any]:
    values = asdict(row)
    difference = values.pop("difference")
    difference.pop("baseline")
    return {**difference, **values, "claimed": row.difference.claimed}


def _brief(change: ItemChange) -> dict[str, Any]:
    return {"item": change.item, "first": change.first, "second": change.second, "gain": change.gain}
