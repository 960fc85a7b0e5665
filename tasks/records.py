"""What the record of a run says of the archive: the stage keys and the items it refers to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ldp_core.archive import ItemKind, stage_key
from ldp_core.archive.run_records import SUMMARY
from ldp_core.errors import ItemDamagedError
from ldp_core.storage import join, list_folder
from ldp_core.types import BASELINE, StageSpec
from tasks.job import Job, read_job
from tasks.runs import read_file

KINDS_OF_STAGE: Mapping[str, tuple[ItemKind, ...]] = {
    "blur": (ItemKind.BLUR, ItemKind.CONFIDENCE),
    "deblur": (ItemKind.RESTORED,),
    "score": (ItemKind.SCORES,),
    BASELINE: (ItemKind.RESTORED,),
}
"""The kinds of result each stage leaves; a confidence is there only where the estimator gives one."""


Place = tuple[ItemKind, str]
"""Kind and stage key of a section of the archive."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The start of a run: its methods, and the stages as they were when it ran.

    ``stages`` are those of pairs, ``single_stages`` those of items whose second view is missing; each
    is empty where the run had no such items, both where it only archived.
    """

    run_id: str
    job: Job
    stages: tuple[StageSpec, ...]
    environment: Mapping[str, str]
    single_stages: tuple[StageSpec, ...] = ()

    @property
    def sections(self) -> tuple[Place, ...]:
        """Kind and stage key of every result of the run."""
        return tuple(dict.fromkeys(place for single in (False, True) for place in self.sections_of(single)))

    def sections_of(self, single: bool) -> tuple[Place, ...]:
        """Kind and stage key of every result of its pairs, or of its items of a single view."""
        specs = self.single_stages if single else self.stages
        return tuple((kind, stage_key(spec)) for spec in specs for kind in KINDS_OF_STAGE.get(spec.stage, ()))

    def key_of(self, kind: ItemKind, *, single: bool) -> str:
        """The key of the run's own results of a kind, not of a baseline; empty where there is none."""
        return next((key for of_kind, key in self.sections_of(single) if of_kind is kind), "")


def read_record(archive: str, run_id: str) -> RunRecord:
    """The record a run left at its start; those of earlier versions too.

    Raises:
        ItemMissingError: there is no such run.
        ItemDamagedError: its record cannot be read.
    """
    where = join(archive, "runs", run_id, "run.json")
    try:
        asked = json.loads(read_file(archive, run_id, "run.json"))
        return RunRecord(
            run_id,
            read_job(archive, asked["job"]),
            _stages(asked, "stages"),
            dict(asked.get("environment", {})),
            _stages(asked, "single_stages"),
        )
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise _unreadable(where, error) from error


def read_listed(archive: str, run_id: str) -> Iterator[str]:
    """Ids of the items a run set out to restore, one line of its catalogue at a time.

    Raises:
        ItemMissingError, ItemDamagedError: there is no catalogue, or it cannot be read.
    """
    for item in _listed_items(archive, run_id):
        yield item["id"]


def _listed_items(archive: str, run_id: str) -> Iterator[dict[str, Any]]:
    where = join(archive, "runs", run_id, "catalogue.jsonl")
    try:
        for line in read_file(archive, run_id, "catalogue.jsonl").splitlines():
            if "item" in (row := json.loads(line)):
                yield {"id": row["item"]["id"], "right": row["item"].get("right")}
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(where, error) from error


def read_single(archive: str, run_id: str) -> frozenset[str]:
    """Ids of the items of a run whose second view is missing.

    Raises:
        ItemMissingError, ItemDamagedError: there is no catalogue, or it cannot be read.
    """
    return frozenset(item["id"] for item in _listed_items(archive, run_id) if item.get("right") is None)


def read_done(archive: str, run_id: str) -> Iterator[str]:
    """Ids of the items that came through a finished run: all their results were archived.

    Raises:
        ItemMissingError, ItemDamagedError: it did not come to its end, or cannot be read.
    """
    where = join(archive, "runs", run_id, "items.jsonl")
    try:
        for line in read_file(archive, run_id, "items.jsonl").splitlines():
            yield json.loads(line)["item"]
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(where, error) from error


def is_finished(archive: str, run_id: str) -> bool:
    """Whether a run has come to its end: its summary is written last."""
    return SUMMARY in list_folder(join(archive, "runs", run_id)).objects


def _stages(asked: Mapping[str, Any], name: str) -> tuple[StageSpec, ...]:
    return TypeAdapter(tuple[StageSpec, ...]).validate_python(asked.get(name, ()))


def _unreadable(where: str, error: Exception) -> ItemDamagedError:
    return ItemDamagedError(
        "the record of a run cannot be read",
        where=where,
        got=f"{type(error).__name__}: {error}",
        remedy="run `ldp verify --repair`, or take the record from a copy of the archive",
    )
