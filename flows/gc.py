"""What no run of an archive refers to, listed or deleted, as plain values."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ldp_core.archive.contents import require_archive
from ldp_core.storage import absolute_url
from tasks.collect import Garbage, collect, find_garbage


def collect_garbage(archive: str, *, delete: bool, grace_hours: float) -> dict[str, Any]:
    """List what may go, and delete it where asked to.

    Raises:
        ArchiveError: there is no archive, or no record that tells what is in use.
        ItemDamagedError: the record of a run cannot be read, so that nothing is sure.
    """
    archive = absolute_url(archive)
    require_archive(archive)
    found = find_garbage(archive, grace=timedelta(hours=grace_hours))
    if delete:
        found = collect(archive, found)
    return {
        "archive": archive,
        "deleted": delete,
        "sections": [_describe(garbage) for garbage in found],
        "size_bytes": sum(garbage.size_bytes for garbage in found),
    }


def _describe(garbage: Garbage) -> dict[str, Any]:
    return {
        "path": garbage.section.path,
        "items": len(garbage.items),
        "leftovers": list(garbage.leftovers),
        "size_bytes": garbage.size_bytes,
    }
