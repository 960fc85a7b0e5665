"""Two runs of an archive side by side: what differs in their methods, and in their scores item by item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ldp_core.archive import ItemKind, stage_key
from ldp_core.errors import ItemMissingError
from ldp_core.metrics.paired import PairedScores, pair_scores
from ldp_core.report.comparison import StageChange
from ldp_core.types import RunSummary, StageSpec
from tasks.records import RunRecord, read_record
from tasks.runs import read_end


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Two finished runs with their scores paired."""

    first: RunSummary
    second: RunSummary
    paired: PairedScores
    changes: tuple[StageChange, ...]
    restored_keys: tuple[str, str]


def compare_runs(archive: str, first: str, second: str) -> ComparedRuns:
    """Pair the scores of two runs.

    Raises:
        ItemMissingError: there is no such run, it did not come to its end, or they share no item.
        MetricError: they were scored under different protocols.
    """
    (ours, our_items), (theirs, their_items) = read_end(archive, first), read_end(archive, second)
    scores = ([score for item in items for score in item.scores] for items in (our_items, their_items))
    paired = pair_scores(*scores)
    if not paired.common:
        raise ItemMissingError(
            "these runs have no item in common",
            where=f"{first}, {second}",
            remedy="compare runs over the same dataset; `ldp status` lists the datasets of all runs",
        )
    keys = tuple(_restored_key(read_record(archive, run_id)) for run_id in (first, second))
    return ComparedRuns(ours, theirs, paired, _list_changes(ours, theirs), (keys[0], keys[1]))


def _restored_key(record: RunRecord) -> str:
    return next((key for kind, key in record.sections if kind is ItemKind.RESTORED), "")


def _list_changes(first: RunSummary, second: RunSummary) -> tuple[StageChange, ...]:
    """What the stages of the runs do not share; upstream keys follow from the stages before."""
    changes = []
    of_second = {spec.stage: spec for spec in second.stages}
    for spec in first.stages:
        ours, theirs = _facts(spec), _facts(of_second.get(spec.stage))
        names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        changes += [StageChange(spec.stage, name, ours.get(name), theirs.get(name)) for name in names]
    return tuple(changes)


def _facts(spec: StageSpec | None) -> dict[str, Any]:
    if spec is None:
        return {}
    weights = {"weights sha256": spec.weights_sha256} if spec.weights_sha256 else {}
    named = {"method": spec.method, "version": spec.version, **weights}
    return {"key": stage_key(spec), **named, **spec.settings}
