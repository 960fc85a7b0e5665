"""Make files of a run's record again; they count only when their recorded digest is met."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping

from ldp_core.archive import Archive, ItemKind
from ldp_core.archive.audit import Rot
from ldp_core.archive.contents import RUNS
from ldp_core.archive.repair import set_aside
from ldp_core.catalogue import catalogue_to_jsonl, read_catalogue
from ldp_core.errors import LdpError
from ldp_core.metrics.summary import scores_table
from ldp_core.storage import join, write_bytes
from ldp_core.types import Score
from tasks.records import read_done, read_record, read_single
from tasks.repair import Mended, Outcome
from tasks.runs import read_file, write_lines


def repair_runs(archive: str, rotten: Iterable[Rot], *, when: str) -> list[Mended]:
    """What became of each rotten file of a run's record; those that others need come first."""
    of_runs = [rot for rot in rotten if rot.path.startswith(f"{RUNS}/")]
    return [_mend(archive, rot, when) for rot in sorted(of_runs, key=lambda rot: rot.path)]


def _mend(archive: str, rot: Rot, when: str) -> Mended:
    _, run_id, name = rot.path.split("/")
    make = _MAKERS.get(name)
    if make is None or not rot.expected:
        return Mended(rot.path, Outcome.NOT_MENDED, "nothing else holds what it says")
    try:
        content = make(archive, run_id)
    except (LdpError, ValueError, KeyError, TypeError) as error:
        return Mended(rot.path, Outcome.NOT_MENDED, f"{type(error).__name__}: {error}".replace("\n ", ";"))
    found = hashlib.sha256(content).hexdigest()
    if found != rot.expected:
        return Mended(rot.path, Outcome.NOT_MENDED, f"made again, it comes out different: {found}")
    set_aside(archive, [rot.path], when=when)
    write_bytes(join(archive, rot.path), content)
    return Mended(rot.path, Outcome.IDENTICAL)


def _make_catalogue(archive: str, run_id: str) -> bytes:
    summary = json.loads(read_file(archive, run_id, "summary.json"))
    found = read_catalogue(summary["source"], layout=summary["layout"], dataset=summary["dataset"])
    return catalogue_to_jsonl(found).encode()


def _make_quarantine(archive: str, run_id: str) -> bytes:
    return write_lines(json.loads(read_file(archive, run_id, "summary.json"))["quarantine"])


def _make_scores(archive: str, run_id: str) -> bytes:
    record, singles = read_record(archive, run_id), read_single(archive, run_id)
    keys = {single: record.key_of(ItemKind.SCORES, single=single) for single in (False, True)}
    scores: list[Score] = []
    for item in read_done(archive, run_id):
        scores += Archive(archive).read_scores(keys[item in singles], item)
    return scores_table(scores)


_MAKERS: Mapping[str, Callable[[str, str], bytes]] = {
    "catalogue.jsonl": _make_catalogue,
    "quarantine.jsonl": _make_quarantine,
    "scores.parquet": _make_scores,
}
