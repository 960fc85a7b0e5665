"""Pairs as frames: all views of one item in one array, its blur truth beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ldp_core.archive.addresses import TRUTH, Address, ItemKind
from ldp_core.archive.arrays import (
    StoredArray,
    damage_named,
    read_array,
    read_companion,
    reads_back,
    write_array,
)
from ldp_core.archive.digests import PairDigests, digest_pair, external_among, named_views, scoring_facts
from ldp_core.archive.records import check_record, fetch_sealed
from ldp_core.errors import ItemConflictError, PairMismatchError
from ldp_core.storage import join
from ldp_core.types import BlurTruthKind, DpAxis, FloatMap, Pair, Region

_FRAME_DIMENSIONS = ("view", "y", "x", "channel")


def frames_address(item_id: str) -> Address:
    return Address(ItemKind.FRAMES, "", item_id)


def truth_address(item_id: str) -> Address:
    return Address(ItemKind.BLUR, TRUTH, item_id)


def write_pair(root: str, pair: Pair, *, provenance: Mapping[str, Any]) -> bool:
    """Archive a pair; False when it is there already, intact. The frames are written last.

    Raises:
        ItemConflictError: the id is archived with other content.
        PairMismatchError: an external result differs from the views in size or dtype.
    """
    _check_external(pair)
    digests = digest_pair(pair)
    if _is_there(root, pair.id, digests.pair):
        return False
    write_truth(root, pair, digests)
    write_frames(root, pair, digests, provenance=provenance)
    return True


def write_frames(root: str, pair: Pair, digests: PairDigests, *, provenance: Mapping[str, Any]) -> None:
    """Put the views of a pair, whatever was there."""
    pixels = np.stack(list(named_views(pair).values()))
    facts = _frame_facts(pair, digests) | {"provenance": dict(provenance)}
    write_array(root, frames_address(pair.id), pixels, dimensions=_FRAME_DIMENSIONS, facts=facts)


def write_truth(root: str, pair: Pair, digests: PairDigests) -> None:
    """Put the blur truth of a pair, if it has one, whatever was there."""
    if pair.blur_truth is None:
        return
    facts = {
        "pixels_sha256": [digests.blur_truth],
        "blur_kind": TRUTH,
        "blur_truth_kind": pair.blur_truth_kind.value,
    }
    write_array(root, truth_address(pair.id), pair.blur_truth, dimensions=("y", "x"), facts=facts)


def read_pair(root: str, item_id: str) -> tuple[Pair, str]:
    """The pair as it was written, verified, and its digest.

    Raises:
        ItemMissingError: there is no such item.
        ItemDamagedError: anything of it is not as it was written.
    """
    address = frames_address(item_id)
    frames = read_array(root, address)
    with damage_named(join(root, address.path)):
        truth = read_companion(root, truth_address(item_id), sha256=frames.record["blur_truth_sha256"])
        return _build_pair(item_id, frames, truth), str(frames.record["digest"])


def read_digest(root: str, item_id: str) -> str:
    """Digest of an archived pair, from its metadata alone."""
    address = frames_address(item_id)
    where = join(root, address.path)
    _, document = fetch_sealed(root, address)
    with damage_named(where):
        return str(check_record(document["attributes"]["ldp"], address, where=where)["digest"])


def _frame_facts(pair: Pair, digests: PairDigests) -> dict[str, Any]:
    return {
        "digest": digests.pair,
        "views": list(digests.views),
        "pixels_sha256": list(digests.views.values()),
        "blur_truth_sha256": digests.blur_truth,
        **scoring_facts(pair),
    }


def _build_pair(item_id: str, frames: StoredArray, truth: FloatMap | None) -> Pair:
    record = frames.record
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


def _is_there(root: str, item_id: str, digest: str) -> bool:
    def read_the_same() -> None:
        _refuse_other(root, item_id, digest)
        read_pair(root, item_id)

    return reads_back(read_the_same)


def _refuse_other(root: str, item_id: str, digest: str) -> None:
    recorded = read_digest(root, item_id)
    if recorded != digest:
        raise ItemConflictError(
            "this id is archived with other content",
            where=join(root, frames_address(item_id).path),
            expected=recorded,
            got=digest,
            remedy="give the changed pair a new id or dataset name, or use another archive",
        )
