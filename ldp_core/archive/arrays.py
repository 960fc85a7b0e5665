"""Arrays in an archive: chunk first, metadata last; every read is compared with the recorded digests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ldp_core.archive.addresses import Address
from ldp_core.archive.digests import pixel_sha256
from ldp_core.archive.encoding import chunk_name, decode_array, encode_array
from ldp_core.archive.records import check_record, fetch_sealed, new_record
from ldp_core.archive.sealed import WRITE_AGAIN, seal_json
from ldp_core.errors import ArchiveError, ItemDamagedError, ItemMissingError, LdpError, ObjectMissingError
from ldp_core.storage import join, read_bytes, write_bytes


@dataclass(frozen=True, slots=True)
class StoredArray:
    """A verified array, the names of its dimensions, and the record kept with it."""

    pixels: NDArray[Any]
    dimensions: tuple[str, ...]
    record: Mapping[str, Any]


def write_array(
    root: str,
    address: Address,
    pixels: NDArray[Any],
    *,
    dimensions: tuple[str, ...],
    facts: Mapping[str, Any],
) -> None:
    """Put an array, whole or not at all. ``facts`` join the record; ``pixels_sha256`` must be among them.

    Raises:
        StorageError: the store refused or could not be reached.
        SettingsError: the facts are not plain JSON.
        ArchiveError: the array is empty or has other dimensions.
    """
    where = join(root, address.path)
    if pixels.size == 0 or pixels.ndim != len(dimensions):
        expected = f"at least one element along each of {', '.join(dimensions)}"
        raise ArchiveError(
            "this array cannot be archived", where=where, expected=expected, got=str(pixels.shape)
        )
    encoded = encode_array(pixels, dimensions=dimensions, attributes={"ldp": new_record(address, facts)})
    metadata = seal_json(encoded.metadata, where=where)
    write_bytes(join(where, chunk_name(pixels.ndim)), encoded.chunk)
    write_bytes(join(root, address.metadata_path), metadata)


def read_array(root: str, address: Address) -> StoredArray:
    """The array at an address, verified.

    Raises:
        ItemMissingError: there is no such item.
        ItemDamagedError: anything of it is not as it was written.
    """
    where = join(root, address.path)
    metadata, document = fetch_sealed(root, address)
    with damage_named(where):
        record = check_record(document["attributes"]["ldp"], address, where=where)
        dimensions = tuple(str(name) for name in document["dimension_names"])
        chunk = fetch_chunk(join(where, chunk_name(len(dimensions))))
        pixels = decode_array(chunk, metadata=metadata)
        compare_digests(pixels, record["pixels_sha256"], by_view=dimensions[0] == "view", where=where)
    return StoredArray(pixels=pixels, dimensions=dimensions, record=record)


def read_companion(root: str, address: Address, *, sha256: str | None) -> NDArray[Any] | None:
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


def fetch_chunk(url: str) -> bytes:
    """The only chunk of an array whose metadata is there.

    Raises:
        ItemDamagedError: there is no such object.
    """
    try:
        return read_bytes(url)
    except ObjectMissingError as error:
        raise ItemDamagedError("the item has lost its chunk", where=url, remedy=WRITE_AGAIN) from error


def compare_digests(pixels: NDArray[np.generic], recorded: list[str], *, by_view: bool, where: str) -> None:
    """Refuse pixels that are not the ones recorded.

    Raises:
        ItemDamagedError: a digest differs.
    """
    parts = list(pixels) if by_view else [pixels]
    found = [pixel_sha256(part) for part in parts]
    if found != recorded:
        raise ItemDamagedError(
            "the pixels are not the ones that were recorded",
            where=where,
            expected=", ".join(recorded),
            got=", ".join(found),
            remedy=WRITE_AGAIN,
        )
