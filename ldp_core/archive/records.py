"""The record kept with every item: which item it is, what made it, and digests. One ``ldp`` key in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ldp_core
from ldp_core.archive.addresses import Address
from ldp_core.archive.keys import plain_json, spec_values, stage_key
from ldp_core.archive.sealed import BLANK_SEAL, SEAL, open_sealed
from ldp_core.errors import (
    ArchiveError,
    ItemConflictError,
    ItemDamagedError,
    ItemIdError,
    ItemMissingError,
    ObjectMissingError,
)
from ldp_core.storage import join, read_bytes
from ldp_core.types import StageSpec

SCHEMA = 1


def new_record(address: Address, facts: Mapping[str, Any]) -> dict[str, Any]:
    """A record with a blank seal, made of plain JSON values.

    Raises:
        SettingsError: the facts are not plain JSON.
    """
    record = {"schema": SCHEMA, **_identity(address), "written_by": f"ldp {ldp_core.__version__}", **facts}
    plain: dict[str, Any] = json.loads(plain_json(record, where=address.path))
    return plain | {SEAL: BLANK_SEAL}


def origin_facts(
    key: str, *, spec: StageSpec | None, input_digest: str, provenance: Mapping[str, Any] | None
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


def fetch_sealed(root: str, address: Address) -> tuple[bytes, dict[str, Any]]:
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
    return text, open_sealed(text, where=url)


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


def _identity(address: Address) -> dict[str, str]:
    return {"kind": address.kind.value, "stage_key": address.stage_key, "item": address.item_id}
