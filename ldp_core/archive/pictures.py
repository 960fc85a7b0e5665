"""Restored pictures in an archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ldp_core.archive.addresses import Address
from ldp_core.archive.arrays import damage_named, read_array, reads_back, write_array
from ldp_core.archive.digests import pixel_sha256
from ldp_core.archive.records import check_input
from ldp_core.errors import ArchiveError
from ldp_core.storage import join
from ldp_core.types import Pixels

_PICTURE_DIMENSIONS = ("y", "x", "channel")


def write_restored(root: str, address: Address, restored: Pixels, *, origin: Mapping[str, Any]) -> bool:
    """Archive a restored picture ``(h, w, c)`` uint8 or uint16; False when an intact one is there."""
    if restored.ndim != 3 or restored.dtype not in (np.uint8, np.uint16):
        raise ArchiveError(
            "this is no picture",
            where=address.path,
            expected="(h, w, c) uint8 or uint16",
            got=f"{restored.shape} {restored.dtype}",
        )
    if reads_back(lambda: read_restored(root, address, input_digest=str(origin["input"]))):
        return False
    facts = {"pixels_sha256": [pixel_sha256(restored)], **origin}
    write_array(root, address, restored, dimensions=_PICTURE_DIMENSIONS, facts=facts)
    return True


def read_restored(root: str, address: Address, *, input_digest: str = "") -> Pixels:
    """A restored picture ``(h, w, c)``, verified; errors as for ``read_blur_map``."""
    stored = read_array(root, address)
    where = join(root, address.path)
    with damage_named(where):
        check_input(stored.record, input_digest=input_digest, where=where)
    pixels: Pixels = stored.pixels
    return pixels
