"""The files of runs: which runs there are, and whether their files are as they were written.

A run that came to its end leaves ``digests.json``, checksummed, with the sha256 of every file of its record.
Records without one (of runs that were stopped, or of earlier versions) can only be parsed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ldp_core.archive.checksums import (
    BLANK_CHECKSUM,
    CHECKSUM_FIELD,
    read_checksummed,
    write_checksummed,
)
from ldp_core.archive.damage import Corruption, Damage
from ldp_core.archive.layout import RUNS
from ldp_core.errors import ItemDamagedError, ObjectMissingError
from ldp_core.item_ids import is_segment
from ldp_core.storage import join, list_folder, read_bytes

DIGESTS = "digests.json"
SUMMARY = "summary.json"
STARTED = ("run.json", "catalogue.jsonl")
"""What a run writes before its first item."""
RECORDS = (*STARTED, "scores.parquet", "items.jsonl", "quarantine.jsonl", SUMMARY)
"""All that a run leaves for programs to read, in the order of writing."""


@dataclass(frozen=True, slots=True)
class RunAudit:
    """What is corrupt in a run's record; ``checked``: its files were compared with their digests."""

    run_id: str
    checked: bool
    corrupt: tuple[Corruption, ...]


def list_runs(root: str) -> list[str]:
    """Ids of all runs, newest first."""
    return sorted(filter(is_segment, list_folder(join(root, RUNS)).folders), reverse=True)


def is_unbegun(objects: Iterable[str]) -> bool:
    """Whether a run has not yet recorded what it sets out to do: it has not touched an item."""
    return not ({*RECORDS, DIGESTS} - {"catalogue.jsonl"}) & {*objects}


def make_digests(run_id: str, files: Mapping[str, bytes]) -> bytes:
    """The content of ``digests.json``."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    document = {"schema": 1, "run_id": run_id, "sha256": digests, CHECKSUM_FIELD: BLANK_CHECKSUM}
    return write_checksummed(document, where=DIGESTS)


def read_digests(root: str, run_id: str) -> dict[str, str] | None:
    """sha256 of a run's files by name; None where the run has not recorded them.

    Raises:
        ItemDamagedError: the digests themselves were altered, or are those of another run.
    """
    where = join(root, RUNS, run_id, DIGESTS)
    try:
        document = read_checksummed(read_bytes(where), where=where)
    except ObjectMissingError:
        return None
    if document["run_id"] != run_id:
        raise ItemDamagedError("another run's record lies here", where=where, expected=run_id)
    digests: dict[str, str] = document["sha256"]
    return digests


def audit_run(root: str, run_id: str) -> RunAudit:
    """What is corrupt in the record of a run. Its report is no record: `ldp report` makes it again."""
    try:
        digests = read_digests(root, run_id)
    except ItemDamagedError as error:
        found = Corruption(_path(run_id, DIGESTS), Damage.METADATA, error.expected, error.got)
        return RunAudit(run_id, False, (found, *_parse_all(root, run_id)))
    if digests is None:
        return RunAudit(run_id, False, (*_miss_digests(root, run_id), *_parse_all(root, run_id)))
    return RunAudit(run_id, True, tuple(_compare_all(root, run_id, digests)))


def _compare_all(root: str, run_id: str, digests: Mapping[str, str]) -> Iterator[Corruption]:
    for name, expected in digests.items():
        try:
            found = hashlib.sha256(read_bytes(join(root, RUNS, run_id, name))).hexdigest()
        except ObjectMissingError:
            yield Corruption(_path(run_id, name), Damage.MISSING, expected)
            continue
        if found != expected:
            yield Corruption(_path(run_id, name), Damage.RECORD, expected, found)


def _parse_all(root: str, run_id: str) -> Iterator[Corruption]:
    """Files of a record without digests that cannot be read; those of its start must be there."""
    present = list_folder(join(root, RUNS, run_id)).objects
    if is_unbegun(present):
        return
    for name in STARTED:
        if name not in present:
            yield Corruption(_path(run_id, name), Damage.MISSING)
    for name in RECORDS:
        if name in present and not _parses(read_bytes(join(root, RUNS, run_id, name)), name):
            yield Corruption(_path(run_id, name), Damage.RECORD, expected=name.rpartition(".")[2])


def _miss_digests(root: str, run_id: str) -> Iterator[Corruption]:
    """The digests of a finished run that promised them at its start."""
    present = list_folder(join(root, RUNS, run_id)).objects
    if SUMMARY not in present or STARTED[0] not in present:
        return
    content = read_bytes(join(root, RUNS, run_id, STARTED[0]))
    if _parses(content, STARTED[0]) and json.loads(content).get("sealed_by") == DIGESTS:
        yield Corruption(_path(run_id, DIGESTS), Damage.MISSING)


def _parses(content: bytes, name: str) -> bool:
    if name.endswith(".parquet"):
        return content[:4] == content[-4:] == b"PAR1"
    try:
        rows: list[Any] = [
            json.loads(text) for text in (content.splitlines() if name.endswith("l") else [content])
        ]
    except (ValueError, RecursionError):
        return False
    return all(isinstance(row, dict) for row in rows)


def _path(run_id: str, name: str) -> str:
    return f"{RUNS}/{run_id}/{name}"
