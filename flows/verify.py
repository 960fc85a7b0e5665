"""Hash an archive again, and mend what can be mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ldp_core.archive.audit import Rot
from ldp_core.archive.contents import require_archive
from ldp_core.storage import absolute_url
from tasks.cluster import open_workers
from tasks.repair import Mended, Outcome, repair_items
from tasks.repair_runs import repair_runs
from tasks.runs import new_run_id
from tasks.spread import Spread, over
from tasks.verify import Verification, verify_archive


def verify(
    archive: str, *, repair: bool = False, cluster: str | None = None, processes: int | None = None
) -> dict[str, Any]:
    """What was hashed, what is rotten and what became of it, as plain values.

    Raises:
        ArchiveError: there is no archive at this address.
        StorageError: the store refused or could not be reached.
    """
    archive = absolute_url(archive)
    require_archive(archive)
    with open_workers(cluster, processes=processes) as workers:
        found = verify_archive(archive, spread := over(workers))
        mended = mend(archive, found, spread) if repair else {}
    return _describe(archive, found, mended)


def mend(archive: str, found: Verification, spread: Spread) -> Mapping[str, Mended]:
    """What became of everything rotten, by path: items first, for the records draw on them."""
    rotten, when = tuple(found.rotten.values()), new_run_id()
    mended = [*repair_items(archive, rotten, spread, when=when), *repair_runs(archive, rotten, when=when)]
    return {one.path: one for one in mended}


def _describe(archive: str, found: Verification, mended: Mapping[str, Mended]) -> dict[str, Any]:
    rotten = [_describe_rot(rot, mended.get(rot.path)) for _, rot in sorted(found.rotten.items())]
    facts = asdict(found) | {"rotten": rotten}
    unmended = sum(row["outcome"] == Outcome.NOT_MENDED for row in rotten)
    return {"archive": archive, "whole": not rotten, "unmended": unmended, **facts}


def _describe_rot(rot: Rot, mended: Mended | None) -> dict[str, Any]:
    outcome, reason = (mended.outcome, mended.reason) if mended else (Outcome.NOT_MENDED, "")
    return {**asdict(rot), "outcome": outcome, "reason": reason}
