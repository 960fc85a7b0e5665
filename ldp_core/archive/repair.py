"""Mend an archive: set rotten objects aside, put back what is known to be the same.

What is set aside lies under ``rotten/<when>/`` at the path it had; nothing here deletes for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ldp_core.archive import pairs
from ldp_core.archive.addresses import Address, ItemKind
from ldp_core.archive.arrays import read_array, reads_back
from ldp_core.archive.blur_maps import write_confidence
from ldp_core.archive.contents import ROTTEN, object_paths
from ldp_core.archive.digests import digest_pair, pixel_sha256
from ldp_core.archive.records import check_record, fetch_sealed
from ldp_core.archive.sealed import find_seal
from ldp_core.errors import ItemConflictError, ObjectMissingError
from ldp_core.storage import delete, join, read_bytes, write_bytes
from ldp_core.types import BlurMap, Pair


def set_aside(root: str, paths: Iterable[str], *, when: str) -> None:
    """Move objects, those that are there, below ``rotten/<when>/``; copied before they are removed."""
    for path in paths:
        try:
            content = read_bytes(join(root, path))
        except ObjectMissingError:
            continue
        write_bytes(join(root, ROTTEN, when, path), content)
        delete(join(root, path))


def read_remains(root: str, address: Address) -> bytes:
    """The metadata object of an item as it lies there, however damaged; empty where there is none."""
    try:
        return read_bytes(join(root, address.metadata_path))
    except ObjectMissingError:
        return b""


def mend_pair(
    root: str,
    pair: Pair,
    rotten: Iterable[Address],
    *,
    known: Iterable[str],
    provenance: Mapping[str, Any],
    when: str,
) -> None:
    """Put the frames or the blur truth of a pair again; what is intact is not touched.

    ``known`` are digests that were recorded of this pair, or texts that hold them.

    Raises:
        ItemConflictError: the pair is not the one that was archived, as far as is known.
    """
    digests, rotten = digest_pair(pair), set(rotten)
    if not any(digests.pair in text for text in known):
        raise ItemConflictError(
            "no record says that the source still holds this pair",
            where=pair.id,
            got=digests.pair,
            remedy="if the source is right, delete the frames and archive it again",
        )
    frames, truth = pairs.frames_address(pair.id), pairs.truth_address(pair.id)
    if pair.blur_truth is not None and not reads_back(lambda: read_array(root, truth)):
        rotten.add(truth)
    for address in rotten:
        set_aside(root, object_paths(address), when=when)
    if truth in rotten:
        pairs.write_truth(root, pair, digests)
    if frames in rotten:
        pairs.write_frames(root, pair, digests, provenance=provenance)


def mend_confidence(root: str, address: Address, blur_map: BlurMap, *, when: str) -> None:
    """Put the confidence of an intact blur map again.

    Raises:
        ItemConflictError: the confidence made again is not the one that the map recorded.
    """
    _, document = fetch_sealed(root, Address(ItemKind.BLUR, address.stage_key, address.item_id))
    record = document["attributes"]["ldp"]
    found = None if blur_map.confidence is None else pixel_sha256(blur_map.confidence)
    if found != record["confidence_sha256"]:
        raise ItemConflictError(
            "the confidence comes out different from the one that its map recorded",
            where=join(root, address.path),
            expected=str(record["confidence_sha256"]),
            got=str(found),
            remedy="delete this blur map and its confidence; the next run makes both",
        )
    set_aside(root, object_paths(address), when=when)
    origin = {name: record[name] for name in ("spec", "input", "provenance")}
    write_confidence(root, address, blur_map.confidence, origin=origin)


def is_same(root: str, address: Address, remains: bytes) -> bool:
    """Whether an item made again has the digests that the remains of the old one still show."""
    text, document = fetch_sealed(root, address)
    if address.kind is ItemKind.SCORES:
        return find_seal(text) in remains
    record = check_record(document["attributes"]["ldp"], address, where=join(root, address.path))
    return all(digest.encode() in remains for digest in record["pixels_sha256"])
