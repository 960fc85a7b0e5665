"""Two runs side by side, as plain values, and as a page with the items that differ most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from ldp_core.archive import Archive
from ldp_core.errors import ItemDamagedError, ItemMissingError
from ldp_core.metrics.summary import compare_means
from ldp_core.report.comparison import ItemChange, list_changes
from ldp_core.report.comparison_page import write_comparison
from ldp_core.report.comparison_pictures import difference_paths, draw_difference
from ldp_core.storage import absolute_url, join, write_bytes
from tasks.compare import ComparedRuns, compare_runs

MOST_SHOWN = 6
"""Items of the largest gains, and of the largest losses."""


def compare(archive: str, first: str, second: str) -> tuple[ComparedRuns, dict[str, Any]]:
    """Second minus first over the items that both runs restored.

    Raises:
        ItemMissingError: a run is not there, did not come to its end, or they share no item.
        MetricError: the runs were scored under different protocols.
    """
    found = compare_runs(absolute_url(archive), first, second)
    gains, losses = list_changes(found.paired, most=MOST_SHOWN)
    return found, {
        "first": first,
        "second": second,
        "items": {
            "common": len(found.paired.common),
            "only_first": len(found.paired.only_first),
            "only_second": len(found.paired.only_second),
        },
        "differences": [_flatten(row) for row in compare_means(found.paired)],
        "refused": [asdict(refusal) for refusal in found.paired.refusals],
        "changes": [asdict(change) for change in found.changes],
        "largest_gains": [_brief(change) for change in gains],
        "largest_losses": [_brief(change) for change in losses],
    }


def write_page(archive: str, found: ComparedRuns, *, output: str | None = None) -> str:
    """Draw and write the page; returns its address. It lies with the second run unless told otherwise."""
    archive = absolute_url(archive)
    second = Archive(archive).run_url(found.second.run_id)
    url = absolute_url(output) if output else join(second, f"compared-with-{found.first.run_id}")
    gains, losses = (_draw(archive, found, some, url) for some in list_changes(found.paired, most=MOST_SHOWN))
    runs = found.first, found.second
    return write_comparison(url, runs, found.paired, changes=found.changes, gains=gains, losses=losses)


def _draw(archive: str, found: ComparedRuns, changes: Sequence[ItemChange], url: str) -> list[ItemChange]:
    return [replace(change, pictures=_draw_item(archive, found, change.item, url)) for change in changes]


def _draw_item(archive: str, found: ComparedRuns, item_id: str, url: str) -> dict[str, str]:
    """Pictures of an item; none where one of its results is no longer there."""
    opened = Archive(archive)
    try:
        pair = opened.read_pair(item_id)
        first, second = (opened.read_restored(keys.of(item_id), item_id) for keys in found.restored)
    except (ItemMissingError, ItemDamagedError):
        return {}
    files = draw_difference(pair, first, second)
    paths = difference_paths(item_id, files)
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
