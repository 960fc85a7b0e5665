"""Results of one run as plain values and files."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import Any

from ldp_core.storage import absolute_url
from tasks.run import Run


def describe_quarantine(archive: str, run_id: str) -> dict[str, Any]:
    """What a run quarantined by kind, the most frequent first; fields as in `ProblemGroup`, all items listed.

    Raises:
        ItemMissingError: there is no such run, or it did not come to its end.
        ItemDamagedError: its record cannot be read.
    """
    summary = Run(absolute_url(archive), run_id).summary
    by_kind = groupby(sorted(summary.quarantine, key=lambda one: one.kind), key=lambda one: one.kind)
    groups = [(kind, [asdict(record) for record in records]) for kind, records in by_kind]
    return {
        "run_id": run_id,
        "items": summary.items.total,
        "quarantined": len(summary.quarantine),
        "kinds": [
            {"kind": kind, "count": len(rows), "examples": [{**row, "where": row["item"]} for row in rows]}
            for kind, rows in sorted(groups, key=lambda group: (-len(group[1]), group[0]))
        ],
    }
