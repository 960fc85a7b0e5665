"""Blur maps in an archive; the confidence of a map is an array of its own, beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ldp_core.archive.addresses import TRUTH, Address, ItemKind
from ldp_core.archive.arrays import damage_named, read_array, read_companion, reads_back, write_array
from ldp_core.archive.digests import pixel_sha256
from ldp_core.archive.records import check_input
from ldp_core.errors import BlurMapError, ItemIdError
from ldp_core.storage import join
from ldp_core.types import BlurMap, BlurMapKind, FloatMap

_MAP_DIMENSIONS = ("y", "x")


def write_blur_map(root: str, address: Address, blur_map: BlurMap, *, origin: Mapping[str, Any]) -> bool:
    """Archive a blur map, its confidence first; False when an intact one is there.

    Raises:
        BlurMapError: the maps are not ``(h, w)`` float32 of one shape.
        ItemConflictError: one is there that was made from other pixels.
    """
    if address.stage_key == TRUTH:
        raise ItemIdError(
            "this stage key is reserved for measured maps", got=TRUTH, expected="stage_key(spec)"
        )
    _check_maps(blur_map, where=address.path)
    if reads_back(lambda: read_blur_map(root, address, input_digest=str(origin["input"]))):
        return False
    confidence_sha256 = write_confidence(
        root, _confidence_address(address), blur_map.confidence, origin=origin
    )
    facts = {
        "pixels_sha256": [pixel_sha256(blur_map.values)],
        "blur_kind": blur_map.kind.value,
        "confidence_sha256": confidence_sha256,
        **origin,
    }
    write_array(root, address, blur_map.values, dimensions=_MAP_DIMENSIONS, facts=facts)
    return True


def read_blur_map(root: str, address: Address, *, input_digest: str = "") -> BlurMap:
    """A blur map with its confidence, verified.

    Raises:
        ItemMissingError, ItemDamagedError: as for every item.
        ItemConflictError: it was made from another pair than ``input_digest`` names.
        BlurMapError: a measured map, which is on no known scale.
    """
    stored = read_array(root, address)
    where = join(root, address.path)
    with damage_named(where):
        kind = _estimated_kind(stored.record["blur_kind"], where=where)
        check_input(stored.record, input_digest=input_digest, where=where)
        sha256 = stored.record["confidence_sha256"]
        confidence = read_companion(root, _confidence_address(address), sha256=sha256)
        return BlurMap(values=stored.pixels, kind=kind, confidence=confidence)


def _confidence_address(address: Address) -> Address:
    return Address(ItemKind.CONFIDENCE, address.stage_key, address.item_id)


def write_confidence(
    root: str, address: Address, confidence: FloatMap | None, *, origin: Mapping[str, Any]
) -> str | None:
    """Put a confidence, if there is one, whatever was there; returns its digest."""
    if confidence is None:
        return None
    sha256 = pixel_sha256(confidence)
    facts = {"pixels_sha256": [sha256], **origin}
    write_array(root, address, confidence, dimensions=_MAP_DIMENSIONS, facts=facts)
    return sha256


def _estimated_kind(name: str, *, where: str) -> BlurMapKind:
    if name == TRUTH:
        raise BlurMapError(
            "a measured blur map is on no known scale",
            where=where,
            remedy="read it as the blur_truth of its pair",
        )
    return BlurMapKind(name)


def _check_maps(blur_map: BlurMap, *, where: str) -> None:
    values = blur_map.values
    maps = [values] if blur_map.confidence is None else [values, blur_map.confidence]
    if any(m.ndim != 2 or m.dtype != np.float32 or m.shape != values.shape for m in maps):
        raise BlurMapError(
            "a blur map cannot be archived as it is",
            where=where,
            expected="(h, w) float32, values and confidence of one shape",
            got=", ".join(f"{m.shape} {m.dtype}" for m in maps),
        )
