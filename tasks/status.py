"""What an archive holds and which runs made it, as far as their records tell."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ldp_core.archive.contents import list_sections, read_section
from ldp_core.archive.run_records import list_runs
from ldp_core.errors import ItemDamagedError, ItemMissingError, ObjectMissingError
from ldp_core.storage import join, read_bytes
from ldp_core.types import BASELINE, RunSummary
from tasks.heartbeat import SILENCE, last_beat
from tasks.records import RunRecord, read_record
from tasks.runs import read_file

_READERS = 16
_HEADER_BYTES = 2**16


class State(StrEnum):
    """How far a run came."""

    FINISHED = "finished"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    """It left no summary, and shows no sign of life."""
    UNREADABLE = "unreadable"
    """Its record is rotten: `ldp verify` says how."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """One run. Methods are those of pairs and, after a bar, those of single views.

    What only its end can tell is empty until then; ``listed`` is None where it is not known.
    """

    run_id: str
    state: State
    started: str = ""
    dataset: str = ""
    layout: str = ""
    source: str = ""
    estimator: str = ""
    deblurrer: str = ""
    baselines: str = ""
    listed: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    report: str = ""


@dataclass(frozen=True, slots=True)
class SectionStatus:
    """Whole items of one kind and stage key, and their bytes."""

    path: str
    items: int
    size_bytes: int


def describe_runs(archive: str) -> list[RunStatus]:
    """All runs of an archive, newest first; their records are read side by side."""
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda run_id: describe_run(archive, run_id), list_runs(archive)))


def describe_run(archive: str, run_id: str) -> RunStatus:
    """One run.

    Raises:
        ItemMissingError: there is no such run.
    """
    if run_id not in list_runs(archive):
        read_file(archive, run_id, "run.json")
    try:
        record, header = read_record(archive, run_id), _read_header(archive, run_id)
        summary = read_summary(archive, run_id)
    except (ItemMissingError, ItemDamagedError):
        return RunStatus(run_id, State.UNREADABLE, _started(run_id))
    counts = {} if summary is None else _count(summary)
    return RunStatus(
        run_id=run_id,
        state=_judge(archive, run_id, summary),
        started=_started(run_id),
        dataset=header["dataset"],
        layout=header["layout"],
        source=header["source"],
        estimator=_methods(record, "blur"),
        deblurrer=_methods(record, "deblur"),
        baselines=_methods(record, BASELINE),
        listed=header["items"],
        counts=counts,
        report="" if summary is None else summary.report,
    )


def describe_sections(archive: str) -> list[SectionStatus]:
    """Items and bytes by kind and stage key: one listing each."""
    held = ((section, read_section(archive, section)) for section in list_sections(archive))
    return [SectionStatus(section.path, len(h.items), h.size_bytes) for section, h in held]


def read_summary(archive: str, run_id: str) -> RunSummary | None:
    """The summary of a run; None where it has not come to its end.

    Raises:
        ItemDamagedError: it cannot be read.
    """
    try:
        return TypeAdapter(RunSummary).validate_json(read_file(archive, run_id, "summary.json"))
    except ItemMissingError:
        return None
    except ValidationError as error:
        where = join(archive, "runs", run_id, "summary.json")
        raise ItemDamagedError("the summary of a run cannot be read", where=where, got=str(error)) from error


def group_quarantine(summary: RunSummary) -> dict[str, list[dict[str, str]]]:
    """The items set aside by the kind of their error, the most frequent kind first."""
    counted = Counter(record.kind for record in summary.quarantine)
    return {
        kind: [
            {"item": r.item, "stage": r.stage, "message": r.message, "remedy": r.remedy}
            for r in summary.quarantine
            if r.kind == kind
        ]
        for kind, _ in counted.most_common()
    }


def _judge(archive: str, run_id: str, summary: RunSummary | None) -> State:
    if summary is not None:
        return State.FINISHED
    beat = last_beat(archive, run_id)
    alive = beat is not None and datetime.now(UTC) - beat < SILENCE
    return State.RUNNING if alive else State.INTERRUPTED


def _count(summary: RunSummary) -> dict[str, int]:
    counts = summary.items
    return {"computed": counts.computed, "there": counts.skipped, "quarantined": counts.quarantined}


def _methods(record: RunRecord, stage: str) -> str:
    """The methods of a stage: that of pairs, then that of single views where there were any."""
    specs = (*record.stages, *record.single_stages)
    return " | ".join(dict.fromkeys(spec.method for spec in specs if spec.stage == stage))


def _read_header(archive: str, run_id: str) -> dict[str, Any]:
    """The first line of a run's catalogue; the rest, which may be long, is not read."""
    where = join(archive, "runs", run_id, "catalogue.jsonl")
    try:
        header: dict[str, Any] = json.loads(read_bytes(where, start=0, end=_HEADER_BYTES).partition(b"\n")[0])
        return {name: header[name] for name in ("dataset", "layout", "source", "items")}
    except (ObjectMissingError, ValueError, KeyError, TypeError) as error:
        raise ItemDamagedError(
            "the catalogue of a run cannot be read", where=where, got=str(error)
        ) from error


def _started(run_id: str) -> str:
    """When a run began, by its id; empty where the id says nothing of it."""
    try:
        moment = datetime.strptime(run_id.partition("-")[0], "%Y%m%dt%H%M%Sz")
    except ValueError:
        return ""
    return moment.replace(tzinfo=UTC).isoformat()
