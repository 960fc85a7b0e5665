"""The record of a run in the archive: what was asked, how far it is, what came of it.

``runs/<run id>/`` holds ``run.json`` and ``catalogue.jsonl`` from its start, then ``report/``,
``scores.parquet``, ``items.jsonl``, ``quarantine.jsonl``, ``digests.json`` and, last, ``summary.json``.
``digests.json`` is checksummed and holds the sha256 of all the others but the report. ``alive.json`` is
its sign of life (`tasks.heartbeat`).

The names of fields on disk are translated in `tasks.stored_run`.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from textwrap import shorten
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from ldp_core.archive import Section
from ldp_core.archive.layout import FRAME_SECTION, RUNS, TRUTHS, write_groups
from ldp_core.archive.run_files import (
    DIGESTS,
    STARTED,
    SUMMARY,
    list_runs,
    make_digests,
    read_digests,
)
from ldp_core.catalogue import catalogue_from_jsonl, catalogue_to_jsonl, items_from_jsonl
from ldp_core.catalogue.jsonl import WRITTEN_LATER, CatalogueHeader, header_from_jsonl, rows_from_jsonl
from ldp_core.errors import (
    CatalogueError,
    ItemDamagedError,
    ItemMissingError,
    ObjectMissingError,
    suggest,
)
from ldp_core.item_ids import check_run_id, make_item_key
from ldp_core.storage import Entry, join, list_folder, read_bytes, write_bytes
from ldp_core.types import Catalogue, Item, Metadatum, RunSummary, Score, StageSpec
from tasks.heartbeat import Heartbeat, RunState
from tasks.pipeline import Pipeline
from tasks.stage import (
    PipelineConfig,
    Stage,
)
from tasks.stored_run import from_stored, identify, specs_from_stored, to_lines, to_stages, to_stored

_RUNS_NAMED = 5
_REASON_LETTERS = 200
_UNREADABLE = (
    *(ValueError, KeyError, TypeError, AttributeError, ValidationError, CatalogueError),
    RecursionError,  # JSON within JSON, a thousand times
)
"""What files of a record raise that are not what they were."""
_HEADER_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class RunItem:
    """An item that came through a run. ``status``: ``computed`` or ``skipped`` (all was there).

    ``digest`` is that of its archived frames, ``version`` the one that its source held.
    """

    id: str
    status: Literal["computed", "skipped"]
    scores: tuple[Score, ...]
    digest: str = ""
    version: int = 1

    @property
    def key(self) -> str:
        """Its item key."""
        return make_item_key(self.id, self.version)


class Run:
    """One run of an archive. Every file of its record is read when it is first asked for, and once.

    Properties raise ``ItemMissingError`` where the run has not come that far or does not exist, and
    ``ItemDamagedError`` where its record cannot be read.
    """

    def __init__(self, archive: str, run_id: str) -> None:
        self.archive, self.run_id = archive, run_id
        self.url = join(archive, RUNS, check_run_id(run_id))

    @classmethod
    def start(
        cls,
        config: PipelineConfig,
        catalogue: Catalogue,
        pipelines: Mapping[str, Pipeline],
        *,
        run_id: str | None = None,
        asked: Mapping[str, Any] | None = None,
    ) -> Run:
        """Record what a new run sets out to do; ``pipelines`` is empty where it only archives frames.

        ``asked`` is what its source was asked with (`tasks.stored_run.describe_request`).

        The folders that it will write to become Zarr groups. Which versions the sources hold is not known
        yet: the catalogue on disk says what the source says.
        """
        run = cls(config.archive, run_id or new_run_id())
        sections = [FRAME_SECTION, *(one for pipeline in pipelines.values() for one in pipeline.sections)]
        sections += [TRUTHS] if any(item.blur_truth for item in catalogue.items) else []
        write_groups(run.archive, dict.fromkeys(sections), [item.key for item in catalogue.items])
        items = tuple(item if item.version == 1 else replace(item, version=1) for item in catalogue.items)
        listed = catalogue_to_jsonl(replace(catalogue, items=items))
        write_bytes(join(run.url, "catalogue.jsonl"), listed.encode())
        write_bytes(join(run.url, "run.json"), _to_json(to_stored(run.run_id, config, pipelines, asked)))
        return run

    def finish(self, summary: RunSummary, items: Iterable[RunItem]) -> None:
        """Record what came of the run; ``summary.json`` last."""
        from ldp_core.metrics.summary import scores_table  # seconds of imports, which a plan does without

        listed = tuple(items)
        records = {
            "scores.parquet": scores_table(
                [score for item in listed for score in item.scores], self.names, self.metadata
            ),
            "items.jsonl": to_lines(
                {"item": item.id, "status": item.status, "digest": item.digest, "version": item.version}
                for item in listed
            ),
            "quarantine.jsonl": to_lines(asdict(record) for record in summary.quarantine),
        }
        last = {SUMMARY: _to_json(asdict(summary))}
        started = {name: self.read_file(name) for name in STARTED}
        digests = {DIGESTS: make_digests(self.run_id, started | records | last)}
        for name, content in (records | digests | last).items():
            write_bytes(join(self.url, name), content)

    @property
    def heartbeat(self) -> Heartbeat:
        """Its sign of life."""
        return Heartbeat(self.url)

    def read_file(self, name: str) -> bytes:
        """A file of the record.

        Raises:
            ItemMissingError: there is no such run, or it has not come that far.
        """
        url = join(self.url, name)
        try:
            return read_bytes(url)
        except ObjectMissingError as error:
            raise self._explain_absence(name) from error

    def _explain_absence(self, name: str) -> ItemMissingError:
        runs = list_runs(self.archive)
        if self.run_id in runs:
            return ItemMissingError(
                "this run did not come to its end",
                where=self.run_id,
                got=f"no {name} in its record",
                remedy="give the same command again; it makes what is missing, under a new run id",
            )
        newest = f"{', '.join(runs[:_RUNS_NAMED])}{' ...' if runs[_RUNS_NAMED:] else ''}"
        return ItemMissingError(
            "the archive holds no such run",
            where=self.run_id,
            expected=f"one of its runs ({len(runs)}), newest first: {newest}" if runs else "",
            got="" if runs else "an archive without runs",
            remedy=suggest(self.run_id, runs) or "`ldp status ARCHIVE` lists all runs",
        )

    @cached_property
    def _record(self) -> dict[str, Any]:
        with self.readable("run.json"):
            record: dict[str, Any] = json.loads(self.read_file("run.json"))
            _ = record["job"]
            return record

    @cached_property
    def config(self) -> PipelineConfig:
        """What the run was asked to do, on the archive as it is addressed here."""
        with self.readable("run.json"):
            return from_stored(self.archive, self._record["job"])

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What its source was asked with: camera, pattern, other methods, which part of the items."""
        with self.readable("run.json"):
            return dict(self._record.get("asked", {}))

    @cached_property
    def specs(self) -> dict[str, tuple[StageSpec, ...]]:
        """The stages as they were when it ran, by the name of their pipeline; none where it only archived."""
        with self.readable("run.json"):
            return specs_from_stored(self._record)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The versions it ran with."""
        with self.readable("run.json"):
            return dict(self._record.get("environment", {}))

    @cached_property
    def stages(self) -> dict[str, tuple[Stage, ...]]:
        """As `specs`, with what each stage is; those of an unknown name are left out."""
        return {name: tuple(to_stages(specs)) for name, specs in self.specs.items()}

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Where all its results lie, sidecars included."""
        stages = (stage for pipeline in self.stages.values() for stage in pipeline)
        return tuple(dict.fromkeys(section for stage in stages for section in stage.sections))

    def key_of(self, label: str, pipeline: str) -> str:
        """The key of a stage of a pipeline; empty where the run had none."""
        stages = self.stages.get(pipeline, ())
        return next((stage.key for stage in stages if stage.label == label), "")

    @cached_property
    def header(self) -> CatalogueHeader:
        """The first line of its catalogue; the rest, which may be long, is not read."""
        with self.readable("catalogue.jsonl"):
            try:
                head = read_bytes(join(self.url, "catalogue.jsonl"), start=0, end=_HEADER_BYTES)
            except ObjectMissingError:
                head = self.read_file("catalogue.jsonl")
            return header_from_jsonl(head.partition(b"\n")[0].decode())

    @cached_property
    def catalogue(self) -> Catalogue:
        """All items it set out to restore, in the versions it found, and all problems of its source.

        Items that it did not come through with have version 1: which one they were, nobody knows.
        """
        with self.readable("catalogue.jsonl"):
            listed = catalogue_from_jsonl(self.read_file("catalogue.jsonl").decode())
        versions = {i: v for i, (v, _) in self.found.items() if v != 1} if self.is_finished else {}
        items = (replace(i, version=versions[i.id]) if i.id in versions else i for i in listed.items)
        return replace(listed, items=tuple(items)) if versions else listed

    def iterate_items(self) -> Iterator[Item]:
        """The items of its catalogue as the source had them, one by one."""
        if "source_items" in self.__dict__:
            yield from self.source_items
            return
        with self.readable("catalogue.jsonl"):
            yield from items_from_jsonl(self.read_file("catalogue.jsonl").decode())

    @cached_property
    def source_items(self) -> tuple[Item, ...]:
        """The same, all of them at once, and kept."""
        return tuple(self.iterate_items())

    @cached_property
    def listed(self) -> dict[str, frozenset[str]]:
        """Ids of the items it set out to restore by the name of their pipeline, without their pictures."""
        found: dict[str, set[str]] = {}
        with self.readable("catalogue.jsonl"):
            for row in self._read_rows():
                item_id, pipeline = identify(row)
                found.setdefault(pipeline, set()).add(item_id)
        return {pipeline: frozenset(ids) for pipeline, ids in found.items()}

    @cached_property
    def names(self) -> dict[str, str]:
        """What the source calls the items it set out to restore, by id, without the name of the dataset."""
        with self.readable("catalogue.jsonl"):
            return {row["id"]: row.get("name") or row["id"].partition("/")[2] for row in self._read_rows()}

    @cached_property
    def metadata(self) -> dict[str, dict[str, Metadatum]]:
        """What is known of the items it set out to restore, by id; the profile of a camera as ``camera``."""
        with self.readable("catalogue.jsonl"):
            rows = self._read_rows()
            cameras = ((row, {"camera": row["camera"]} if "camera" in row else {}) for row in rows)
            return {row["id"]: {**camera, **row.get("metadata", {})} for row, camera in cameras}

    def _read_rows(self) -> Iterator[dict[str, Any]]:
        """The items of its catalogue as plain values: of many, parsing takes ten times as long."""
        return rows_from_jsonl(self.read_file("catalogue.jsonl").decode())

    @property
    def listed_items(self) -> frozenset[str]:
        """Ids of all items it set out to restore."""
        return frozenset().union(*self.listed.values())

    @cached_property
    def found(self) -> dict[str, tuple[int, str]]:
        """Version and digest by id of the items that came through; earlier records may have no digest."""
        with self.readable("items.jsonl"):
            rows = [json.loads(line) for line in self.read_file("items.jsonl").splitlines()]
            return {row["item"]: (int(row.get("version", 1)), str(row.get("digest", ""))) for row in rows}

    @property
    def completed(self) -> tuple[str, ...]:
        """Keys of the items that came through: all their results were archived."""
        return tuple(make_item_key(item_id, version) for item_id, (version, _) in self.found.items())

    @cached_property
    def summary(self) -> RunSummary:
        """What came of it."""
        with self.readable(SUMMARY):
            return TypeAdapter(RunSummary).validate_json(self.read_file(SUMMARY))

    @cached_property
    def items(self) -> tuple[RunItem, ...]:
        """The items that came through, with their scores."""
        from ldp_core.metrics.summary import read_scores_table

        scores: dict[str, list[Score]] = {}
        with self.readable("scores.parquet"):
            for score in read_scores_table(self.read_file("scores.parquet")):
                scores.setdefault(score.item, []).append(score)
        with self.readable("items.jsonl"):
            rows = [json.loads(line) for line in self.read_file("items.jsonl").splitlines()]
            return tuple(
                RunItem(
                    row["item"],
                    row["status"],
                    tuple(scores.get(row["item"], ())),
                    row.get("digest", ""),
                    row.get("version", 1),
                )
                for row in rows
            )

    @cached_property
    def files(self) -> Mapping[str, Entry]:
        """The files of its record by name."""
        return list_folder(self.url).objects

    @property
    def is_finished(self) -> bool:
        """Whether it has come to its end: its summary is written last."""
        return SUMMARY in self.files

    @property
    def finished_at(self) -> datetime | None:
        """When it came to its end, by the clock of the store; None where it has not, or nobody knows."""
        return self.files[SUMMARY].modified if self.is_finished else None

    def read_recorded(self) -> tuple[RunItem, ...]:
        """As `items`, once the digests of the files that these are read from are met.

        Raises:
            ItemDamagedError: they are not, or the run recorded none.
        """
        for name in ("scores.parquet", "items.jsonl"):
            if not self.is_intact(name):
                raise ItemDamagedError(
                    "a file of a run's record was altered, or has no digest",
                    where=join(self.url, name),
                    remedy="run `ldp verify --repair`",
                )
        return self.items

    def is_intact(self, name: str) -> bool:
        """Whether a file of its record has the digest that it recorded."""
        digests = read_digests(self.archive, self.run_id) or {}
        return hashlib.sha256(self.read_file(name)).hexdigest() == digests.get(name)

    @property
    def state(self) -> RunState:
        """How far it is, as far as its files tell now."""
        if self.is_finished:
            ended = self.summary.state
            return RunState(ended) if ended in {*RunState} else RunState.FINISHED
        return self.heartbeat.state

    @contextmanager
    def readable(self, name: str) -> Iterator[None]:
        """Turn whatever a file of the record lacks into one typed error."""
        try:
            yield
        except _UNREADABLE as error:
            if isinstance(error, CatalogueError) and error.what == WRITTEN_LATER:
                raise ItemDamagedError(
                    WRITTEN_LATER,
                    where=join(self.url, name),
                    expected=error.expected,
                    got=error.got,
                    remedy=error.remedy,
                ) from error
            raise ItemDamagedError(
                "the record of a run cannot be read",
                where=join(self.url, name),
                got=shorten(f"{type(error).__name__}: {error}", _REASON_LETTERS, placeholder=" ..."),
                remedy="run `ldp verify --repair`, or take the record from a copy of the archive",
            ) from error


def require_restored(summary: RunSummary) -> None:
    """Refuse a run that has no results.

    Raises:
        ItemMissingError: it archived frames and nothing else.
    """
    if not (summary.stages or summary.single_stages):
        raise ItemMissingError(
            "this run archived frames and restored nothing",
            where=summary.run_id,
            remedy="restore the dataset with `ldp restore`; it finds the frames there",
        )


def new_run_id() -> str:
    """A run id that sorts by time and is unique: ``20261121t085400z-1f2e3d``."""
    return f"{datetime.now(UTC):%Y%m%dt%H%M%Sz}-{uuid.uuid4().hex[:6]}"


def started_at(run_id: str) -> str:
    """When a run began, by its id; empty where the id says nothing of it."""
    try:
        moment = datetime.strptime(run_id.partition("-")[0], "%Y%m%dt%H%M%Sz")
    except ValueError:
        return ""
    return moment.replace(tzinfo=UTC).isoformat()


def _to_json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, default=str) + "\n").encode()
