"""Archives as plain values: what they hold, whether they are whole, what may go."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from ldp_core.archive.audit import Corruption
from ldp_core.archive.layout import require_archive
from ldp_core.storage import absolute_url
from tasks.cluster import on_workers, open_workers
from tasks.collect import Garbage, collect, find_expired, find_garbage, forget_runs
from tasks.repair import Repair, RepairOutcome, repair_archive
from tasks.run import Run, new_run_id
from tasks.status import (
    describe_run,
    describe_runs,
    describe_sections,
    group_quarantine,
)
from tasks.verify import Verification, verify_archive


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
