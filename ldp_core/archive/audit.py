"""Hash an archive's entries again, name what is corrupt and how, and put back what is known to be the same.

Only what is itself wrong is named: a result whose frames are corrupt is not, nor is a map whose
confidence is. Corrupt objects are moved below ``rotten/<when>/`` at the path they had, never deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ldp_core.archive import pairs
from ldp_core.archive.arrays import (
    check_record,
    compare_digests,
    damage_named,
    fetch_chunk,
    fetch_metadata,
    read_array,
    reads_back,
)
from ldp_core.archive.checksums import digest_pair, find_checksum, pixel_sha256
from ldp_core.archive.damage import Corruption as Corruption
from ldp_core.archive.damage import Damage as Damage
from ldp_core.archive.encoding import decode_array
from ldp_core.archive.layout import (
    CORRUPT,
    FRAMES,
    GROUP_METADATA,
    KINDS,
    SCORES,
    TRUTH,
    Address,
    ArchiveKind,
)
from ldp_core.archive.results import parse_scores, write_confidence
from ldp_core.errors import (
    ArchiveError,
    ItemConflictError,
    ItemDamagedError,
    ItemMissingError,
    ObjectMissingError,
)
from ldp_core.storage import delete, join, read_bytes, write_bytes
from ldp_core.types import FloatMap, Pair


class _CorruptError(Exception):
    def __init__(self, found: Corruption) -> None:
        super().__init__(found.path)
        self.found = found


def audit_item(root: str, address: Address, kinds: Iterable[ArchiveKind] = KINDS) -> tuple[Corruption, ...]:
    """What is wrong with one entry, and with sidecars of it that are missing or not its own.

    Raises:
        StorageError: the store refused or could not be reached.
    """
    try:
        record = _examine(root, address)
    except _CorruptError as error:
        return (error.found,)
    return tuple(_check_relations(root, address, record, kinds))


def audit_group(root: str, path: str) -> tuple[Corruption, ...]:
    """What is wrong with the metadata of a folder: nothing, or that they are not those of a group."""
    found = read_bytes(join(root, path)) == GROUP_METADATA
    return () if found else (Corruption(path, Damage.METADATA, expected=GROUP_METADATA.decode().strip()),)


def _examine(root: str, address: Address) -> Mapping[str, Any]:
    """The record of an entry whose every byte is as it was written."""
    where = join(root, address.path)
    with _found(Damage.METADATA, address):
        metadata, document = fetch_metadata(root, address)
    with _found(Damage.MISPLACED, address), damage_named(where):
        record = document["ldp"] if address.kind.is_document else document["attributes"]["ldp"]
        record = check_record(record, address, where=where)
    if address.kind.is_document:
        with _found(Damage.UNDECODABLE, address), damage_named(where):
            if address.kind == SCORES:
                parse_scores(document)
        return record
    digests = ", ".join(record["pixels_sha256"])
    with _found(Damage.CHUNK_MISSING, address, expected=digests):
        chunk = fetch_chunk(join(root, address.chunk_path))
    with _found(Damage.UNDECODABLE, address, expected=digests), damage_named(where):
        pixels = decode_array(chunk, metadata=metadata)
    with _found(Damage.PIXELS, address), damage_named(where):
        by_view = address.kind == FRAMES
        compare_digests(pixels, record["pixels_sha256"], by_view=by_view, where=where)
    return record


def _check_relations(
    root: str, address: Address, record: Mapping[str, Any], kinds: Iterable[ArchiveKind]
) -> Iterator[Corruption]:
    if address.kind == FRAMES:
        yield from _check_sidecar(root, pairs.truth_address(address.item), record["blur_truth_sha256"])
    elif address.stage_key != TRUTH:
        yield from _check_input(root, address, record["input"])
        for kind in kinds:
            if kind.owner == address.kind.name:
                yield from _check_sidecar(root, address.sidecar(kind), record[kind.digest_field])


def _check_input(root: str, address: Address, recorded: str) -> Iterator[Corruption]:
    """Frames that are absent or corrupt are named in their own place."""
    try:
        digest = pairs.read_digest(root, address.item)
    except (ItemMissingError, ItemDamagedError):
        return
    if recorded and recorded != digest:
        yield Corruption(address.path, Damage.OTHER_INPUT, expected=digest, got=recorded)


def _check_sidecar(root: str, address: Address, sha256: str | None) -> Iterator[Corruption]:
    if sha256 is None:
        return
    where = join(root, address.path)
    try:
        _, document = fetch_metadata(root, address)
        with damage_named(where):
            found = check_record(document["attributes"]["ldp"], address, where=where)["pixels_sha256"]
    except ItemMissingError:
        yield Corruption(address.path, Damage.MISSING, expected=sha256)
    except ItemDamagedError:
        return
    else:
        if found != [sha256]:
            yield Corruption(address.path, Damage.SIDECAR, expected=sha256, got=", ".join(found))


@contextmanager
def _found(damage: Damage, address: Address, *, expected: str = "") -> Iterator[None]:
    """Turn what a step of reading refuses into the corruption it is."""
    try:
        yield
    except ItemMissingError as error:
        raise _CorruptError(Corruption(address.path, Damage.MISSING)) from error
    except ItemDamagedError as error:
        found = Corruption(address.path, damage, error.expected or expected, error.got)
        raise _CorruptError(found) from error
    except ArchiveError as error:
        found = Corruption(address.path, Damage.VERSION, error.expected, error.got)
        raise _CorruptError(found) from error


def move_corrupt(root: str, paths: Iterable[str], *, when: str) -> None:
    """Move objects, those that are there, below ``rotten/<when>/``; copied before they are removed."""
    for path in paths:
        try:
            content = read_bytes(join(root, path))
        except ObjectMissingError:
            continue
        write_bytes(join(root, CORRUPT, when, path), content)
        delete(join(root, path))


def read_remains(root: str, address: Address) -> bytes:
    """The metadata object of an entry as it lies there, however damaged; empty where there is none."""
    try:
        return read_bytes(join(root, address.metadata_path))
    except ObjectMissingError:
        return b""


def repair_group(root: str, path: str, *, when: str) -> None:
    """Put the metadata of a folder again."""
    move_corrupt(root, [path], when=when)
    write_bytes(join(root, path), GROUP_METADATA)


def repair_pair(
    root: str,
    pair: Pair,
    corrupt: Iterable[Address],
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
    digests, bad = digest_pair(pair), set(corrupt)
    if not any(digests.pair in text for text in known):
        raise ItemConflictError(
            "no record says that the source still holds this pair",
            where=pair.id,
            got=digests.pair,
            remedy="if the source is right, delete the frames and archive it again",
        )
    frames, truth = pairs.frames_address(pair.key), pairs.truth_address(pair.key)
    if pair.blur_truth is not None and not reads_back(lambda: read_array(root, truth)):
        bad.add(truth)
    for address in bad:
        move_corrupt(root, address.object_paths, when=when)
    if truth in bad:
        pairs.write_truth(root, pair, digests)
    if frames in bad:
        pairs.write_frames(root, pair, digests, provenance=provenance)


def repair_sidecar(
    root: str, address: Address, owner: Address, pixels: FloatMap | None, *, when: str
) -> None:
    """Put the sidecar of an intact entry again.

    Raises:
        ItemConflictError: it is not the one that its owner recorded.
    """
    _, document = fetch_metadata(root, owner)
    record = document["attributes"]["ldp"]
    recorded, found = record[address.kind.digest_field], None if pixels is None else pixel_sha256(pixels)
    if found != recorded:
        raise ItemConflictError(
            f"the {address.kind.name} comes out different from the one that was recorded",
            where=join(root, address.path),
            expected=str(recorded),
            got=str(found),
            remedy=f"delete {owner.path} and {address.path}; the next run makes both",
        )
    move_corrupt(root, address.object_paths, when=when)
    origin = {name: record[name] for name in ("spec", "input", "provenance")}
    write_confidence(root, address, pixels, origin=origin)


def is_same(root: str, address: Address, remains: bytes) -> bool:
    """Whether an entry made again has the digests that the remains of the old one still show."""
    text, document = fetch_metadata(root, address)
    if address.kind.is_document:
        return find_checksum(text) in remains
    record = check_record(document["attributes"]["ldp"], address, where=join(root, address.path))
    return all(digest.encode() in remains for digest in record["pixels_sha256"])
