"""Hash an item again and compare it with all that is recorded of it: what is rotten, and how.

Only what is itself wrong is named: a result whose frames are rotten is not, nor is a map whose
confidence is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ldp_core.archive import pairs
from ldp_core.archive.addresses import TRUTH, Address, ItemKind
from ldp_core.archive.arrays import compare_digests, damage_named, fetch_chunk
from ldp_core.archive.contents import object_paths
from ldp_core.archive.encoding import decode_array
from ldp_core.archive.records import check_record, fetch_sealed
from ldp_core.archive.scores import parse_scores
from ldp_core.errors import ArchiveError, ItemDamagedError, ItemMissingError
from ldp_core.storage import join


class Damage(StrEnum):
    """What is wrong with something in an archive."""

    MISSING = "missing"
    """A record says that it is there."""
    METADATA = "metadata_altered"
    """Its seal is broken: flipped, cut or formatted."""
    MISPLACED = "misplaced"
    """The metadata of another item lies here."""
    VERSION = "other_version"
    """Written in another version of the format; it cannot be checked."""
    CHUNK_MISSING = "chunk_missing"
    UNDECODABLE = "undecodable"
    """A checksum or a codec refuses its chunk, or the content is not of its kind."""
    PIXELS = "pixels_altered"
    """The chunk decodes, to other pixels than recorded."""
    OTHER_INPUT = "made_from_other_frames"
    """A result of other frames than the ones archived."""
    COMPANION = "belongs_to_another"
    """A confidence or blur truth other than the one its item recorded."""
    RECORD = "record_altered"
    """A file of a run's record."""


@dataclass(frozen=True, slots=True)
class Rot:
    """One rotten thing: its path below the archive, what is wrong, and digests where they are known."""

    path: str
    damage: Damage
    expected: str = ""
    got: str = ""


class _RottenError(Exception):
    def __init__(self, rot: Rot) -> None:
        super().__init__(rot.path)
        self.rot = rot


def audit_items(root: str, addresses: Iterable[Address]) -> tuple[Rot, ...]:
    """What is rotten among some items; they are read one at a time."""
    return tuple(rot for address in addresses for rot in audit_item(root, address))


def audit_item(root: str, address: Address) -> tuple[Rot, ...]:
    """What is wrong with one item, and with companions that are missing or not its own.

    Raises:
        StorageError: the store refused or could not be reached.
    """
    try:
        record = _examine(root, address)
    except _RottenError as found:
        return (found.rot,)
    return tuple(_cross_check(root, address, record))


def _examine(root: str, address: Address) -> Mapping[str, Any]:
    """The record of an item whose every byte is as it was written."""
    where, is_scores = join(root, address.path), address.kind is ItemKind.SCORES
    with _found(Damage.METADATA, address):
        metadata, document = fetch_sealed(root, address)
    with _found(Damage.MISPLACED, address), damage_named(where):
        record = document["ldp"] if is_scores else document["attributes"]["ldp"]
        record = check_record(record, address, where=where)
    if is_scores:
        with _found(Damage.UNDECODABLE, address), damage_named(where):
            parse_scores(document)
        return record
    digests = ", ".join(record["pixels_sha256"])
    with _found(Damage.CHUNK_MISSING, address, expected=digests):
        chunk = fetch_chunk(join(root, object_paths(address)[1]))
    with _found(Damage.UNDECODABLE, address, expected=digests), damage_named(where):
        pixels = decode_array(chunk, metadata=metadata)
    with _found(Damage.PIXELS, address), damage_named(where):
        by_view = address.kind is ItemKind.FRAMES
        compare_digests(pixels, record["pixels_sha256"], by_view=by_view, where=where)
    return record


def _cross_check(root: str, address: Address, record: Mapping[str, Any]) -> Iterator[Rot]:
    if address.kind is ItemKind.FRAMES:
        yield from _check_companion(root, pairs.truth_address(address.item_id), record["blur_truth_sha256"])
    elif address.stage_key != TRUTH:
        yield from _check_input(root, address, record["input"])
    if address.kind is ItemKind.BLUR and address.stage_key != TRUTH:
        confidence = Address(ItemKind.CONFIDENCE, address.stage_key, address.item_id)
        yield from _check_companion(root, confidence, record["confidence_sha256"])


def _check_input(root: str, address: Address, recorded: str) -> Iterator[Rot]:
    """Frames that are absent or rotten are named in their own place."""
    try:
        digest = pairs.read_digest(root, address.item_id)
    except (ItemMissingError, ItemDamagedError):
        return
    if recorded and recorded != digest:
        yield Rot(address.path, Damage.OTHER_INPUT, expected=digest, got=recorded)


def _check_companion(root: str, address: Address, sha256: str | None) -> Iterator[Rot]:
    if sha256 is None:
        return
    where = join(root, address.path)
    try:
        _, document = fetch_sealed(root, address)
        with damage_named(where):
            found = check_record(document["attributes"]["ldp"], address, where=where)["pixels_sha256"]
    except ItemMissingError:
        yield Rot(address.path, Damage.MISSING, expected=sha256)
    except ItemDamagedError:
        return
    else:
        if found != [sha256]:
            yield Rot(address.path, Damage.COMPANION, expected=sha256, got=", ".join(found))


@contextmanager
def _found(damage: Damage, address: Address, *, expected: str = "") -> Iterator[None]:
    """Turn what a step of reading refuses into the rot it is."""
    try:
        yield
    except ItemMissingError as error:
        raise _RottenError(Rot(address.path, Damage.MISSING)) from error
    except ItemDamagedError as error:
        raise _RottenError(Rot(address.path, damage, error.expected or expected, error.got)) from error
    except ArchiveError as error:
        raise _RottenError(Rot(address.path, Damage.VERSION, error.expected, error.got)) from error
