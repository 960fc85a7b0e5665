"""The archive: pairs, blur maps, restored pictures and scores in Zarr v3, verified on every read.

The layout on disk and how to read it without this package: ``infra/archive-format.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ldp_core.archive.checksums import pair_digest, pixel_sha256, stage_key
from ldp_core.archive.layout import Address, ArchiveKind, Section
from ldp_core.item_ids import check_item_id

if TYPE_CHECKING:
    from ldp_core.archive.store import Archive

__all__ = [
    "Address",
    "Archive",
    "ArchiveKind",
    "Section",
    "check_item_id",
    "pair_digest",
    "pixel_sha256",
    "stage_key",
]


def __getattr__(name: str) -> Any:
    """`Archive` is imported when it is asked for: listings and keys need no Zarr: half a second."""
    if name == "Archive":
        from ldp_core.archive.store import Archive

        return Archive
    raise AttributeError(name)
