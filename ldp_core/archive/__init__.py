"""The archive: pairs, blur maps, restored pictures and scores in Zarr v3, verified on every read.

The layout on disk and how to read it without this package: ``infra/archive-format.md``.
"""

from ldp_core.archive.addresses import ItemKind
from ldp_core.archive.digests import pair_digest, pixel_sha256
from ldp_core.archive.keys import stage_key
from ldp_core.archive.store import Archive
from ldp_core.item_ids import check_item_id

__all__ = ["Archive", "ItemKind", "check_item_id", "pair_digest", "pixel_sha256", "stage_key"]
