"""What an archive and its runs are, as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ldp_core.archive import stage_key
from ldp_core.archive.contents import require_archive
from ldp_core.storage import absolute_url
from ldp_core.types import BASELINE
from tasks.records import RunRecord, read_record
from tasks.status import describe_run, describe_runs, describe_sections, group_quarantine, read_summary


def describe_archive(archive: str) -> dict[str, Any]:
    """Runs, newest first, and items and bytes by stage key.

    Raises:
        ArchiveError: there is no archive at this address.
    """
    archive = absolute_url(archive)
    require_archive(archive)
    sections = [asdict(section) for section in describe_sections(archive)]
    return {
        "archive": archive,
        "runs": [asdict(run) for run in describe_runs(archive)],
        "sections": sections,
        "items": next(row["items"] for row in sections if row["path"] == "frames"),
        "size_bytes": sum(row["size_bytes"] for row in sections),
    }


def describe_one(archive: str, run_id: str) -> dict[str, Any]:
    """One run with its stage keys, its means, and why items were set aside.

    Raises:
        ItemMissingError: the archive holds no such run.
        ItemDamagedError: its record cannot be read.
    """
    archive = absolute_url(archive)
    facts = asdict(describe_run(archive, run_id))
    record, summary = read_record(archive, run_id), read_summary(archive, run_id)
    facts |= _list_keys(record)
    facts["environment"] = dict(record.environment)
    if summary is not None:
        facts["seconds"] = dict(summary.seconds)
        facts["metrics"] = [asdict(mean) for mean in summary.metrics]
        facts["quarantine"] = group_quarantine(summary)
    return facts


def _list_keys(record: RunRecord) -> dict[str, dict[str, str]]:
    """The stage keys of a run by kind of result; of single views and baselines where it had any."""
    baselines = {
        stage_key(spec): f"{spec.method}{mark}"
        for specs, mark in ((record.single_stages, ", single view"), (record.stages, ""))
        for spec in specs
        if spec.stage == BASELINE
    }
    of_views = (
        {kind.value: record.key_of(kind, single=single) for kind, _ in record.sections_of(single)}
        for single in (False, True)
    )
    pairs, singles = of_views
    listed = {"stage_keys": pairs}
    listed |= {"single_stage_keys": singles} if singles else {}
    return listed | ({"baseline_keys": {name: key for key, name in baselines.items()}} if baselines else {})
