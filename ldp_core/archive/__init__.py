"""The archive: pairs, blur maps, restored pictures and scores in Zarr v3, verified on every read.

The layout on disk and how to read it without this package: ``infra/archive-format.md``.
"""

from ldp_core.archive.checksums import pair_digest, pixel_sha256, stage_key
from ldp_core.archive.layout import Address, ArchiveKind, Section
from ldp_core.archive.store import Archive
from ldp_core.item_ids import check_item_id

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
