"""Pairs as frames: all views of one item in one array, its blur truth beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

import numpy as np

from ldp_core.archive.arrays import (
    StoredArray,
    damage_named,
    fetch_record,
    read_array,
    read_sidecar,
    reads_back,
    write_array,
    write_until_whole,
)
from ldp_core.archive.checksums import (
    PairDigests,
    digest_pair,
    external_among,
    mask_among,
    named_views,
    scoring_facts,
)
from ldp_core.archive.layout import FRAME_SECTION, TRUTH, TRUTHS, Address
from ldp_core.errors import ItemConflictError, ItemDamagedError, ItemMissingError, PairMismatchError
from ldp_core.item_ids import make_item_key, split_item_key
from ldp_core.storage import join
from ldp_core.types import BlurTruthKind, DpAxis, FloatMap, Pair, Region


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """Under which version a pair is archived, its digest, and whether it had to be written."""

    version: int
    digest: str
    written: bool


def frames_address(item: str) -> Address:
    """Of an item key."""
    return Address(FRAME_SECTION, item)


def truth_address(item: str) -> Address:
    """Of the measured map of an item key."""
    return Address(TRUTHS, item)


def write_pair(root: str, pair: Pair, *, provenance: Mapping[str, Any]) -> bool:
    """Archive a pair; False when it is there already, intact. The frames are written last.

    Raises:
        ItemConflictError: the item key is archived with other content.
        PairMismatchError: an external result differs from the views in size or dtype.
    """
    _check_external(pair)
    return _write(root, pair, digest_pair(pair), provenance=provenance)


def write_version(
    root: str, pair: Pair, archived: Mapping[int, str], *, provenance: Mapping[str, Any]
) -> StoredVersion:
    """Archive a pair as the version that has its content, else as the version after all others.

    ``archived`` are the versions known of, each with the digest that a record gives it, or ''. Versions that
    others archive meanwhile are compared as well. A number is never given twice while it is known of.
    The version of ``pair`` itself does not matter.

    Raises:
        PairMismatchError: an external result differs from the views in size or dtype.
    """
    _check_external(pair)
    digests = digest_pair(pair)
    known = (
        v
        for v in sorted(archived, reverse=True)
        if _known_digest(root, pair.id, v, archived[v]) == digests.pair
    )
    for version in chain(known, count(max(archived, default=0) + 1)):
        try:
            written = _write(root, replace(pair, version=version), digests, provenance=provenance)
        except ItemConflictError:
            continue
        return StoredVersion(version, digests.pair, written)
    raise AssertionError("versions are without end")


def _known_digest(root: str, item_id: str, version: int, recorded: str) -> str:
    """Digest of a version by its frames; where these are gone or damaged, the one that a record gives."""
    try:
        return read_digest(root, make_item_key(item_id, version))
    except (ItemMissingError, ItemDamagedError):
        return recorded


def _write(root: str, pair: Pair, digests: PairDigests, *, provenance: Mapping[str, Any]) -> bool:
    if _is_there(root, pair.key, digests.pair):
        return False

    def write() -> bool:
        write_truth(root, pair, digests)
        return write_frames(root, pair, digests, provenance=provenance)

    undisturbed = write_until_whole(
        write,
        is_ours=lambda: _has_truth(root, pair.key, digests),
        read=lambda: read_pair(root, pair.key),
        where=join(root, frames_address(pair.key).path),
    )
    if not undisturbed:
        _refuse_other(root, pair.key, digests.pair)
    return undisturbed


def _has_truth(root: str, item: str, digests: PairDigests) -> bool:
    """Whether the archived truth is the one that the frames recorded."""
    if digests.blur_truth is None:
        return True
    return bool(fetch_record(root, truth_address(item))["pixels_sha256"] == [digests.blur_truth])


def write_frames(root: str, pair: Pair, digests: PairDigests, *, provenance: Mapping[str, Any]) -> bool:
    """Put the views of a pair, whatever was there; False where another writer's stay."""
    facts = {
        "digest": digests.pair,
        "views": list(digests.views),
        "pixels_sha256": list(digests.views.values()),
        "blur_truth_sha256": digests.blur_truth,
        **scoring_facts(pair),
        "provenance": dict(provenance),
    }
    return write_array(
        root, frames_address(pair.key), np.stack(list(named_views(pair).values())), facts=facts
    )


def write_truth(root: str, pair: Pair, digests: PairDigests) -> None:
    """Put the blur truth of a pair, if it has one, whatever was there."""
    if pair.blur_truth is None:
        return
    facts = {
        "pixels_sha256": [digests.blur_truth],
        "blur_kind": TRUTH,
        "blur_truth_kind": pair.blur_truth_kind.value,
    }
    write_array(root, truth_address(pair.key), pair.blur_truth, facts=facts)


def read_pair(root: str, item: str) -> tuple[Pair, str]:
    """The pair as it was written, verified, and its digest.

    Raises:
        ItemMissingError: there is no such item.
        ItemDamagedError: anything of it is not as it was written.
    """
    address = frames_address(item)
    frames = read_array(root, address)
    with damage_named(join(root, address.path)):
        truth = read_sidecar(root, truth_address(item), sha256=frames.record["blur_truth_sha256"])
        return _build_pair(item, frames, truth), str(frames.record["digest"])


def read_digest(root: str, item: str) -> str:
    """Digest of an archived pair, from its metadata alone."""
    address = frames_address(item)
    record = fetch_record(root, address)
    with damage_named(join(root, address.path)):
        return str(record["digest"])


def _build_pair(item: str, frames: StoredArray, truth: FloatMap | None) -> Pair:
    record, (item_id, version) = frames.record, split_item_key(item)
    views = dict(zip(record["views"], frames.pixels, strict=True))
    pair = Pair(
        id=item_id,
        left=views["left"],
        right=views.get("right"),
        target=views.get("target"),
        blur_truth=truth,
        external=external_among(views),
        score_region=Region(**record["score_region"]),
        aligned=record["aligned"],
        blur_truth_kind=BlurTruthKind(record["blur_truth_kind"]),
        dp_axis=DpAxis(record.get("dp_axis", DpAxis.X)),
        version=version,
        source_peak=record.get("peak"),
        colour=record.get("colour", ""),
        mask=mask_among(views),
    )
    if list(named_views(pair)) != record["views"]:
        raise ValueError(f"views {record['views']}, of which {list(named_views(pair))} are known")
    return pair


def _check_external(pair: Pair) -> None:
    for name, picture in pair.external.items():
        if picture.shape != pair.left.shape or picture.dtype != pair.left.dtype:
            raise PairMismatchError(
                f"external result '{name}' does not match the views",
                where=pair.id,
                expected=f"{pair.left.shape} {pair.left.dtype}",
                got=f"{picture.shape} {picture.dtype}",
                remedy="leave it out, or give it the size and bit depth of the views",
            )


def _is_there(root: str, item: str, digest: str) -> bool:
    def read_the_same() -> None:
        _refuse_other(root, item, digest)
        read_pair(root, item)

    return reads_back(read_the_same)


def _refuse_other(root: str, item: str, digest: str) -> None:
    recorded = read_digest(root, item)
    if recorded != digest:
        raise ItemConflictError(
            "this id is archived with other content",
            where=join(root, frames_address(item).path),
            expected=recorded,
            got=digest,
            remedy="give the changed pair a new id or dataset name, or use another archive",
        )
