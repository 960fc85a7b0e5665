"""The record of a run in the archive: what was asked, what came of it, and its report.

``runs/<run id>/`` holds ``run.json`` and ``catalogue.jsonl`` from its start, then ``report/``,
``scores.parquet``, ``items.jsonl``, ``quarantine.jsonl``, ``digests.json`` and, last, ``summary.json``.
``digests.json`` is sealed and holds the sha256 of all the others but the report.
"""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

from pydantic import TypeAdapter

from ldp_core import __version__
from ldp_core.archive import Archive
from ldp_core.archive.run_records import DIGESTS, STARTED, seal_digests
from ldp_core.catalogue import catalogue_from_jsonl, catalogue_to_jsonl
from ldp_core.errors import ItemMissingError, ObjectMissingError
from ldp_core.metrics.table import read_scores_table, scores_table
from ldp_core.storage import join, read_bytes, write_bytes
from ldp_core.types import Catalogue, RunSummary, Score, StageSpec
from tasks.job import Job, read_job

_PACKAGES = ("torch", "zarr", "dask", "prefect", "numpy")


@dataclass(frozen=True, slots=True)
class RunItem:
    """An item that came through a run. ``status``: ``computed`` or ``skipped`` (all was there).

    ``digest`` is that of its archived frames.
    """

    id: str
    status: Literal["computed", "skipped"]
    scores: tuple[Score, ...]
    digest: str = ""


def new_run_id() -> str:
    """A run id that sorts by time and is unique: ``20261121t085400z-1f2e3d``."""
    return f"{datetime.now(UTC):%Y%m%dt%H%M%Sz}-{uuid.uuid4().hex[:6]}"


def environment() -> dict[str, str]:
    """Versions a result may depend on."""
    own = {"python": platform.python_version(), "ldp": __version__}
    return own | {name: version(name) for name in _PACKAGES}


def write_start(
    job: Job,
    run_id: str,
    catalogue: Catalogue,
    *,
    stages: Iterable[StageSpec],
    single_stages: Iterable[StageSpec] = (),
) -> None:
    """Record what a run sets out to do.

    ``stages``: those beyond ingest, of pairs and of items of a single view; none where it only archives.
    """
    url = Archive(job.archive).run_url(run_id)
    write_bytes(join(url, "catalogue.jsonl"), catalogue_to_jsonl(catalogue).encode())
    asked = {"run_id": run_id, "job": asdict(job), "stages": [asdict(stage) for stage in stages]}
    if singles := [asdict(stage) for stage in single_stages]:
        asked["single_stages"] = singles
    write_bytes(join(url, "run.json"), _json(asked | {"sealed_by": DIGESTS, "environment": environment()}))


def write_end(job: Job, summary: RunSummary, items: Iterable[RunItem]) -> None:
    """Record what came of a run; ``summary.json`` last."""
    url, items = Archive(job.archive).run_url(summary.run_id), tuple(items)
    records = {
        "scores.parquet": scores_table([s for item in items for s in item.scores]),
        "items.jsonl": write_lines(map(_item_line, items)),
        "quarantine.jsonl": write_lines(asdict(record) for record in summary.quarantine),
    }
    last = {"summary.json": _json(asdict(summary))}
    started = {name: read_file(job.archive, summary.run_id, name) for name in STARTED}
    digests = {DIGESTS: seal_digests(summary.run_id, started | records | last)}
    for name, content in (records | digests | last).items():
        write_bytes(join(url, name), content)


def read_end(archive: str, run_id: str) -> tuple[RunSummary, tuple[RunItem, ...]]:
    """What came of an earlier run.

    Raises:
        ItemMissingError: the archive holds no such run, or it did not come to its end.
    """
    summary = TypeAdapter(RunSummary).validate_json(read_file(archive, run_id, "summary.json"))
    scores: dict[str, list[Score]] = {}
    for score in read_scores_table(read_file(archive, run_id, "scores.parquet")):
        scores.setdefault(score.item, []).append(score)
    rows = [json.loads(line) for line in read_file(archive, run_id, "items.jsonl").splitlines()]
    return summary, tuple(
        RunItem(row["item"], row["status"], tuple(scores.get(row["item"], ())), row.get("digest", ""))
        for row in rows
    )


def read_start(archive: str, run_id: str) -> tuple[Job, Catalogue]:
    """The job and the catalogue of an earlier run.

    Raises:
        ItemMissingError: the archive holds no such run.
    """
    asked = json.loads(read_file(archive, run_id, "run.json"))["job"]
    catalogue = catalogue_from_jsonl(read_file(archive, run_id, "catalogue.jsonl").decode())
    return read_job(archive, asked), catalogue


def read_file(archive: str, run_id: str, name: str) -> bytes:
    """A file of a run's record.

    Raises:
        ItemMissingError: there is no such run, or it has not come that far.
    """
    url = join(Archive(archive).run_url(run_id), name)
    try:
        return read_bytes(url)
    except ObjectMissingError as error:
        raise ItemMissingError(
            "there is no such run, or it did not come to its end",
            where=url,
            remedy="look under runs/ in the archive; give the same `ldp restore` again to finish a run",
        ) from error


def _item_line(item: RunItem) -> dict[str, str]:
    return {"item": item.id, "status": item.status, "digest": item.digest}


def write_lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON lines, as the records of runs hold them."""
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, default=str) + "\n").encode()
