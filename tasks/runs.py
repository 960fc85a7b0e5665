"""The record of a run in the archive: what was asked, what came of it, and its report.

``runs/<run id>/`` holds ``run.json`` and ``catalogue.jsonl`` from its start, then ``report/``,
``scores.parquet``, ``items.jsonl``, ``quarantine.jsonl`` and, last, ``summary.json``.
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

from ldp_core.archive import Archive
from ldp_core.catalogue import catalogue_from_jsonl, catalogue_to_jsonl
from ldp_core.errors import ItemMissingError, ObjectMissingError
from ldp_core.metrics import read_scores_table, scores_table
from ldp_core.storage import join, read_bytes, write_bytes
from ldp_core.types import Catalogue, RunSummary, Score
from tasks.job import Job, Method, stages_of

RECORDS = ("summary.json", "scores.parquet", "items.jsonl", "catalogue.jsonl", "quarantine.jsonl")
"""What a run leaves for programs to read, beside its report."""
_PACKAGES = ("ldp", "torch", "zarr", "dask", "prefect", "numpy")


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
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def write_start(job: Job, run_id: str, catalogue: Catalogue) -> None:
    """Record what a run sets out to do."""
    url = Archive(job.archive).run_url(run_id)
    write_bytes(join(url, "catalogue.jsonl"), catalogue_to_jsonl(catalogue).encode())
    asked = {"run_id": run_id, "job": asdict(job), "stages": [asdict(s) for s in stages_of(job)]}
    write_bytes(join(url, "run.json"), _json(asked | {"environment": environment()}))


def write_end(job: Job, summary: RunSummary, items: Iterable[RunItem]) -> None:
    """Record what came of a run; ``summary.json`` last."""
    url, items = Archive(job.archive).run_url(summary.run_id), tuple(items)
    write_bytes(join(url, "scores.parquet"), scores_table([s for item in items for s in item.scores]))
    write_bytes(join(url, "items.jsonl"), _lines(map(_item_line, items)))
    write_bytes(join(url, "quarantine.jsonl"), _lines(asdict(record) for record in summary.quarantine))
    write_bytes(join(url, "summary.json"), _json(asdict(summary)))


def read_end(archive: str, run_id: str) -> tuple[RunSummary, tuple[RunItem, ...]]:
    """What came of an earlier run.

    Raises:
        ItemMissingError: the archive holds no such run, or it did not come to its end.
    """
    summary = TypeAdapter(RunSummary).validate_json(_read(archive, run_id, "summary.json"))
    scores: dict[str, list[Score]] = {}
    for score in read_scores_table(_read(archive, run_id, "scores.parquet")):
        scores.setdefault(score.item, []).append(score)
    rows = [json.loads(line) for line in _read(archive, run_id, "items.jsonl").splitlines()]
    return summary, tuple(
        RunItem(row["item"], row["status"], tuple(scores.get(row["item"], ())), row.get("digest", ""))
        for row in rows
    )


def read_start(archive: str, run_id: str) -> tuple[Job, Catalogue]:
    """The job and the catalogue of an earlier run.

    Raises:
        ItemMissingError: the archive holds no such run.
    """
    asked = json.loads(_read(archive, run_id, "run.json"))["job"]
    catalogue = catalogue_from_jsonl(_read(archive, run_id, "catalogue.jsonl").decode())
    methods = {name: Method(**asked[name]) for name in ("estimator", "deblurrer")}
    return Job(archive=archive, torch_threads=asked["torch_threads"], **methods), catalogue


def _read(archive: str, run_id: str, name: str) -> bytes:
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


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, default=str) + "\n").encode()
