"""Entries of an archive: metadata and, of arrays, one chunk; written whole or not at all, verified when read.

The metadata of every entry hold one record, the key ``ldp`` of their JSON: which entry it is, what made
it, and digests.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import ldp_core
from ldp_core.archive.checksums import (
    BLANK_CHECKSUM,
    CHECKSUM_FIELD,
    WRITE_AGAIN,
    pixel_sha256,
    plain_json,
    read_checksummed,
    spec_values,
    stage_key,
    write_checksummed,
)
from ldp_core.archive.encoding import decode_array, encode_array
from ldp_core.archive.layout import Address
from ldp_core.errors import (
    ArchiveError,
    ItemConflictError,
    ItemDamagedError,
    ItemIdError,
    ItemMissingError,
    LdpError,
    ObjectMissingError,
)
from ldp_core.storage import holds, join, read_bytes, write_bytes
from ldp_core.types import StageSpec

SCHEMA = 1
WRITE_PAUSES_S = (0.05, 0.2, 0.8, 3.2)
"""Longest pauses between attempts to write; the last is longer than a writer needs for one item."""


@dataclass(frozen=True, slots=True)
class StoredArray:
    """A verified array, the names of its dimensions, and the record kept with it."""

    pixels: NDArray[Any]
    dimensions: tuple[str, ...]
    record: Mapping[str, Any]


def write_array(root: str, address: Address, pixels: NDArray[Any], *, facts: Mapping[str, Any]) -> bool:
    """Put an array, its chunk first; False where another writer has put one, whole, in the meantime.

    ``facts`` join the record; ``pixels_sha256`` must be among them.

    Raises:
        StorageError: the store refused or could not be reached.
        SettingsError: the facts are not plain JSON.
        ArchiveError: the array is empty or has other dimensions than its kind.
    """
    where, dimensions = join(root, address.path), address.kind.dimensions
    if pixels.size == 0 or pixels.ndim != len(dimensions):
        expected = f"at least one element along each of {', '.join(dimensions)}"
        raise ArchiveError(
            "this array cannot be archived", where=where, expected=expected, got=str(pixels.shape)
        )
    encoded = encode_array(pixels, dimensions=dimensions, attributes={"ldp": new_record(address, facts)})
    metadata, chunk_url = write_checksummed(encoded.metadata, where=where), join(root, address.chunk_path)

    def write() -> bool:
        write_bytes(chunk_url, encoded.chunk)
        write_bytes(join(root, address.metadata_path), metadata)
        return True

    return write_until_whole(
        write,
        is_ours=lambda: holds(chunk_url, encoded.chunk),
        read=lambda: read_array(root, address),
        where=where,
    )


def write_until_whole(
    write: Callable[[], bool], *, is_ours: Callable[[], bool], read: Callable[[], object], where: str
) -> bool:
    """Write objects that belong together until they do, though others write to the same place.

    False where the objects of another writer stay; ``write`` itself says whether it put its own.

    The last of several writers finds the objects of the others in place of its own, if any: each writes its
    last object last. Whoever finds that waits for a random moment and, unless the item is whole by then,
    writes again.

    Raises:
        ArchiveError: other writers kept replacing the objects.
    """
    for pause_s in WRITE_PAUSES_S:
        if write() and is_ours():
            return True
        time.sleep(random.uniform(0, pause_s))
        if reads_back(read):
            return False
    raise ArchiveError(
        "other writers keep replacing this item",
        where=where,
        expected=f"one of {len(WRITE_PAUSES_S)} attempts that nobody disturbs",
        remedy="end the runs that write other content under the same id, then run again",
    )


def read_array(root: str, address: Address, *, input_digest: str = "") -> StoredArray:
    """The array at an address, verified.

    Raises:
        ItemMissingError: there is no such item.
        ItemDamagedError: anything of it is not as it was written.
        ItemConflictError: it was made from another pair than ``input_digest`` names.
    """
    where = join(root, address.path)
    metadata, document = fetch_metadata(root, address)
    with damage_named(where):
        record = check_record(document["attributes"]["ldp"], address, where=where)
        if input_digest:
            check_input(record, input_digest=input_digest, where=where)
        pixels = decode_array(fetch_chunk(join(root, address.chunk_path)), metadata=metadata)
        by_view = address.kind.dimensions[0] == "view"
        compare_digests(pixels, record["pixels_sha256"], by_view=by_view, where=where)
        return StoredArray(pixels, tuple(document["dimension_names"]), record)


def write_document(
    root: str, address: Address, content: Mapping[str, Any], *, facts: Mapping[str, Any]
) -> None:
    """Put a JSON document with its record in one object.

    Raises:
        StorageError: the store refused or could not be reached.
        SettingsError: the facts are not plain JSON.
    """
    url = join(root, address.path)
    write_bytes(url, write_checksummed({"ldp": new_record(address, facts), **content}, where=url))


def read_document(root: str, address: Address, *, input_digest: str = "") -> dict[str, Any]:
    """The document at an address with its record, verified; errors as for `read_array`."""
    where = join(root, address.path)
    _, document = fetch_metadata(root, address)
    with damage_named(where):
        check_input(
            check_record(document["ldp"], address, where=where), input_digest=input_digest, where=where
        )
    return document


def read_sidecar(root: str, address: Address, *, sha256: str | None) -> NDArray[Any] | None:
    """The array that belongs to another item, which recorded its digest; None where it has none.

    Raises:
        ItemDamagedError: it is missing, damaged, or not the one that was recorded.
    """
    if sha256 is None:
        return None
    try:
        stored = read_array(root, address)
    except ItemMissingError as error:
        raise ItemDamagedError(
            "an item has lost the array that belongs to it", where=error.where, remedy=WRITE_AGAIN
        ) from error
    found = stored.record["pixels_sha256"]
    if found != [sha256]:
        raise ItemDamagedError(
            "this array belongs to another item",
            where=join(root, address.path),
            expected=sha256,
            got=str(found),
            remedy=WRITE_AGAIN,
        )
    return stored.pixels


def reads_back(read: Callable[[], object]) -> bool:
    """Whether an item is there and intact; one that is neither is to be written (again)."""
    try:
        read()
    except (ItemMissingError, ItemDamagedError):
        return False
    return True


def new_record(address: Address, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A record with a blank checksum, made of plain JSON values.

    Raises:
        SettingsError: the facts are not plain JSON.
    """
    record = {"schema": SCHEMA, **_identity(address), "written_by": f"ldp {ldp_core.__version__}", **facts}
    plain: dict[str, Any] = json.loads(plain_json(record, where=address.path))
    return plain | {CHECKSUM_FIELD: BLANK_CHECKSUM}


def origin_facts(
    key: str, *, spec: StageSpec | None, input_digest: str, provenance: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What made a result: its stage, the digest of the pair it was made from, and anything else known.

    Raises:
        ItemIdError: ``key`` is not the key of ``spec``.
    """
    if spec is not None and stage_key(spec) != key:
        raise ItemIdError(
            "this stage key belongs to another specification", got=key, expected=stage_key(spec)
        )
    stage = None if spec is None else spec_values(spec)
    return {"spec": stage, "input": input_digest, "provenance": dict(provenance or {})}


def fetch_metadata(root: str, address: Address) -> tuple[bytes, dict[str, Any]]:
    """The metadata object of an item, as bytes and as the document they hold.

    Raises:
        ItemMissingError: there is no such item.
        ItemDamagedError: the metadata was altered.
    """
    url = join(root, address.metadata_path)
    try:
        text = read_bytes(url)
    except ObjectMissingError as error:
        raise ItemMissingError(
            "there is no such item", where=url, remedy="check its id and stage key"
        ) from error
    return text, read_checksummed(text, where=url)


def fetch_record(root: str, address: Address) -> dict[str, Any]:
    """The record of an item; its pixels are not read. Errors as for `read_array`."""
    where = join(root, address.path)
    _, document = fetch_metadata(root, address)
    with damage_named(where):
        found = document["ldp"] if address.kind.is_document else document["attributes"]["ldp"]
        return check_record(found, address, where=where)


def fetch_chunk(url: str) -> bytes:
    """The only chunk of an array whose metadata is there.

    Raises:
        ItemDamagedError: there is no such object.
    """
    try:
        return read_bytes(url)
    except ObjectMissingError as error:
        raise ItemDamagedError("the item has lost its chunk", where=url, remedy=WRITE_AGAIN) from error


def check_record(record: dict[str, Any], address: Address, *, where: str) -> dict[str, Any]:
    """The record itself, when it is of this format and of this very item.

    Raises:
        ArchiveError: another version of the format.
        ItemDamagedError: the metadata of another item lies here.
    """
    if record["schema"] != SCHEMA:
        raise ArchiveError(
            "this item is of another version of the archive format",
            where=where,
            expected=f"schema {SCHEMA}",
            got=f"schema {record['schema']}, {record.get('written_by')}",
            remedy="read it with the version that wrote it, or a later one",
        )
    if any(record[name] != value for name, value in _identity(address).items()):
        raise ItemDamagedError(
            "the metadata of another item lies here",
            where=where,
            expected=address.path,
            got="/".join(filter(None, (record["kind"], record["stage_key"], record["item"]))),
            remedy="put both items back in their places, or write them again",
        )
    return record


def check_input(record: Mapping[str, Any], *, input_digest: str, where: str) -> None:
    """Refuse a result that was made from other pixels than the ones meant; '' accepts any.

    Raises:
        ItemConflictError: it was.
    """
    if input_digest and record["input"] != input_digest:
        raise ItemConflictError(
            "this result was made from other pixels",
            where=where,
            expected=input_digest,
            got=record["input"] or "no digest recorded",
            remedy="delete the result and compute it again, or give the changed pair a new id",
        )


def compare_digests(pixels: NDArray[np.generic], recorded: list[str], *, by_view: bool, where: str) -> None:
    """Refuse pixels that are not the ones recorded.

    Raises:
        ItemDamagedError: a digest differs.
    """
    found = [pixel_sha256(part) for part in (pixels if by_view else [pixels])]
    if found != recorded:
        raise ItemDamagedError(
            "the pixels are not the ones that were recorded",
            where=where,
            expected=", ".join(recorded),
            got=", ".join(found),
            remedy=WRITE_AGAIN,
        )


@contextmanager
def damage_named(where: str) -> Iterator[None]:
    """Turn whatever a decoder says of wrong bytes into one typed error; our own errors pass."""
    try:
        yield
    except (LdpError, MemoryError):
        raise
    except Exception as error:
        raise ItemDamagedError(
            "the item cannot be decoded",
            where=where,
            got=f"{type(error).__name__}: {error}",
            remedy=WRITE_AGAIN,
        ) from error


def _identity(address: Address) -> dict[str, str]:
    return {"kind": address.kind.name, "stage_key": address.stage_key, "item": address.item}
