"""Archives as plain values: what they hold, whether they are whole, what may go, how two runs compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

from ldp_core.archive import Archive
from ldp_core.archive.audit import Corruption
from ldp_core.archive.layout import require_archive
from ldp_core.errors import ItemDamagedError, ItemMissingError
from ldp_core.metrics.summary import compare_means
from ldp_core.report.comparison import (
    ItemChange,
    difference_paths,
    draw_difference,
    list_changes,
    write_comparison,
)
from ldp_core.storage import absolute_url, join, write_bytes
from tasks.cluster import on_workers, open_workers
from tasks.collect import Garbage, collect, find_expired, find_garbage, forget_runs
from tasks.repair import Repair, RepairOutcome, repair_archive
from tasks.run import Run, new_run_id
from tasks.status import (
    ComparedRuns,
    compare_runs,
    describe_run,
    describe_runs,
    describe_sections,
    group_quarantine,
)
from tasks.verify import Verification, verify_archive

MOST_SHOWN = 6
"""Items of the largest gains, and of the largest losses, in a comparison."""


def describe_archive(archive: str) -> dict[str, Any]:
    """Runs, newest first, and items and bytes by stage key.

    Raises:
        ArchiveError: there is no archive at this address.
    """
    archive = absolute_url(archive)
    require_archive(archive)
    sections = [asdict(section) for section in describe_sections(archive)]
    frames = next(row for row in sections if row["path"] == "frames")
    return {
        "archive": archive,
        "runs": [asdict(run) for run in describe_runs(archive)],
        "sections": sections,
        "items": frames["ids"],
        "earlier_versions": frames["items"] - frames["ids"],
        "size_bytes": sum(row["size_bytes"] for row in sections),
    }


def describe_one_run(archive: str, run_id: str) -> dict[str, Any]:
    """One run with its stage keys by pipeline, its means, and why items were quarantined.

    Raises:
        ItemMissingError: the archive holds no such run.
        ItemDamagedError: its record cannot be read.
    """
    run = Run(absolute_url(archive), run_id)
    facts = asdict(describe_run(run))
    facts["stage_keys"] = {
        pipeline: {stage.label: stage.key for stage in stages} for pipeline, stages in run.stages.items()
    }
    facts["environment"] = run.environment
    if run.is_finished:
        facts["seconds"] = dict(run.summary.seconds)
        facts["metrics"] = [asdict(mean) for mean in run.summary.metrics]
        facts["quarantine"] = group_quarantine(run.summary)
    return facts


def verify(
    archive: str,
    *,
    repair: bool = False,
    cluster: str | None = None,
    processes: int | None = None,
    insecure_cluster: bool = False,
) -> dict[str, Any]:
    """What was hashed, what is corrupt and what became of it.

    Raises:
        ArchiveError: there is no archive at this address.
        StorageError: the store refused or could not be reached.
        ClusterError: the workers cannot be reached, or not in safety.
    """
    archive = absolute_url(archive)
    require_archive(archive)
    with open_workers(cluster, processes=processes, insecure=insecure_cluster) as workers:
        found = verify_archive(archive, run_calls := on_workers(workers))
        corrupt = found.corrupt.values()
        repairs = repair_archive(archive, corrupt, run_calls, when=new_run_id()) if repair else {}
    return _describe_verification(archive, found, repairs)


def collect_garbage(
    archive: str, *, delete: bool, grace_hours: float, older_than: timedelta | None = None
) -> dict[str, Any]:
    """List what no run refers to, and delete it where asked to.

    Args:
        older_than: take runs of whose record nothing was written for so long to be gone, but for the last
            finished ones of every dataset; their records go as well.

    Raises:
        ArchiveError: there is no archive, or no record that tells what is in use.
        ItemDamagedError: the record of a run cannot be read, so that nothing is sure.
    """
    archive = absolute_url(archive)
    require_archive(archive)
    expired = find_expired(archive, age=older_than) if older_than else []
    gone = [run.run_id for run in expired]
    found = find_garbage(archive, grace=timedelta(hours=grace_hours), without=gone)
    if delete:
        forget_runs(archive, expired)
        found = collect(archive, found)
    return {
        "archive": archive,
        "deleted": delete,
        "runs": gone,
        "sections": [_describe_garbage(garbage) for garbage in found],
        "size_bytes": sum(one.size_bytes for one in expired) + sum(one.size_bytes for one in found),
    }


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
        "other_content": [asdict(other) for other in found.other_content],
        "differences": [_flatten(row) for row in compare_means(found.paired)],
        "refused": [asdict(refusal) for refusal in found.paired.refusals],
        "changes": [asdict(change) for change in found.changes],
        "largest_gains": [_brief(change) for change in gains],
        "largest_losses": [_brief(change) for change in losses],
    }


def write_comparison_page(archive: str, found: ComparedRuns, *, output: str | None = None) -> str:
    """Draw and write the page; returns its address. It lies with the second run unless told otherwise."""
    archive = absolute_url(archive)
    second = Archive(archive).run_url(found.second.run_id)
    url = absolute_url(output) if output else join(second, f"compared-with-{found.first.run_id}")
    gains, losses = (_draw(archive, found, some, url) for some in list_changes(found.paired, most=MOST_SHOWN))
    runs = found.first, found.second
    others = [f"{one.item}: version {one.first}, version {one.second}" for one in found.other_content]
    return write_comparison(
        url,
        runs,
        found.paired,
        changes=found.changes,
        gains=gains,
        losses=losses,
        other_content=others,
    )


def _describe_verification(archive: str, found: Verification, repairs: dict[str, Repair]) -> dict[str, Any]:
    corrupt = [_describe_corruption(one, repairs.get(one.path)) for _, one in sorted(found.corrupt.items())]
    not_repaired = sum(row["outcome"] == RepairOutcome.NOT_REPAIRED for row in corrupt)
    facts = asdict(found) | {"corrupt": corrupt}
    return {"archive": archive, "whole": not corrupt, "not_repaired": not_repaired, **facts}


def _describe_corruption(corruption: Corruption, repair: Repair | None) -> dict[str, Any]:
    outcome, reason = (repair.outcome, repair.reason) if repair else (RepairOutcome.NOT_REPAIRED, "")
    return {**asdict(corruption), "outcome": outcome, "reason": reason}


def _describe_garbage(garbage: Garbage) -> dict[str, Any]:
    return {
        "path": garbage.section.path,
        "items": len(garbage.items),
        "leftovers": list(garbage.leftovers),
        "size_bytes": garbage.size_bytes,
    }


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
