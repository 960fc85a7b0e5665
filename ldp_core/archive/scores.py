"""Scores of one item and one stage as one small sealed JSON object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ldp_core.archive.addresses import Address
from ldp_core.archive.arrays import damage_named, reads_back
from ldp_core.archive.records import check_input, check_record, fetch_sealed, new_record
from ldp_core.archive.sealed import seal_json
from ldp_core.storage import join, write_bytes
from ldp_core.types import Score, ScoringProtocol


def write_scores(root: str, address: Address, scores: Sequence[Score], *, origin: Mapping[str, Any]) -> bool:
    """Archive the scores of an item; False when intact ones are there.

    Values that are not finite are kept as the texts ``nan``, ``inf`` and ``-inf``.
    """
    if reads_back(lambda: read_scores(root, address, input_digest=str(origin["input"]))):
        return False
    rows = [asdict(score) | {"value": _json_number(score.value)} for score in scores]
    url = join(root, address.path)
    write_bytes(url, seal_json({"ldp": new_record(address, origin), "scores": rows}, where=url))
    return True


def read_scores(root: str, address: Address, *, input_digest: str = "") -> list[Score]:
    """The scores of an item in the order in which they were written, bit for bit.

    Raises:
        ItemMissingError, ItemDamagedError, ItemConflictError: as for every result.
    """
    where = join(root, address.path)
    _, document = fetch_sealed(root, address)
    with damage_named(where):
        record = check_record(document["ldp"], address, where=where)
        check_input(record, input_digest=input_digest, where=where)
        return parse_scores(document)


def parse_scores(document: Mapping[str, Any]) -> list[Score]:
    """The scores in an opened document."""
    return [_score(row) for row in document["scores"]]


def _score(row: Mapping[str, Any]) -> Score:
    protocol = ScoringProtocol(**row["protocol"])
    return Score(**{**row, "protocol": protocol, "value": float(row["value"])})


def _json_number(value: float) -> float | str:
    number = float(value)
    is_finite = abs(number) < float("inf")
    return number if is_finite else str(number)
