"""Two runs of an archive side by side: what differs in their methods, and in their scores item by item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ldp_core.archive import ItemKind, stage_key
from ldp_core.errors import ItemMissingError
from ldp_core.metrics.summary import PairedScores, pair_scores
from ldp_core.report.comparison import StageChange
from ldp_core.types import BASELINE, RunSummary, StageSpec
from tasks.records import read_record, read_single
from tasks.runs import read_end


@dataclass(frozen=True, slots=True)
class RestoredKeys:
    """Under which stage key a run left the restored picture of an item."""

    pairs: str
    single: str
    singles: frozenset[str]

    def of(self, item_id: str) -> str:
        return self.single if item_id in self.singles else self.pairs


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Two finished runs with their scores paired."""

    first: RunSummary
    second: RunSummary
    paired: PairedScores
    changes: tuple[StageChange, ...]
    restored: tuple[RestoredKeys, RestoredKeys]


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
    keys = _restored_keys(archive, first), _restored_keys(archive, second)
    return ComparedRuns(ours, theirs, paired, _list_changes(ours, theirs), keys)


def _restored_keys(archive: str, run_id: str) -> RestoredKeys:
    record = read_record(archive, run_id)
    pairs, single = (record.key_of(ItemKind.RESTORED, single=single) for single in (False, True))
    return RestoredKeys(pairs, single, read_single(archive, run_id))


def _list_changes(first: RunSummary, second: RunSummary) -> tuple[StageChange, ...]:
    """What the stages of the runs do not share; upstream keys follow from the stages before."""
    changes, of_first, of_second = [], _name_stages(first), _name_stages(second)
    for stage in {**of_first, **of_second}:
        ours, theirs = _facts(of_first.get(stage)), _facts(of_second.get(stage))
        names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        changes += [StageChange(stage, name, ours.get(name), theirs.get(name)) for name in names]
    return tuple(changes)


def _name_stages(run: RunSummary) -> dict[str, StageSpec]:
    """The stages of a run by name: of baselines with their method, of single views marked as such."""
    named: dict[str, StageSpec] = {}
    for specs, mark in ((run.stages, ""), (run.single_stages, ", single view")):
        for spec in specs:
            name = f"{spec.stage} {spec.method}" if spec.stage == BASELINE else spec.stage
            named[name + mark] = spec
    return named


def _facts(spec: StageSpec | None) -> dict[str, Any]:
    if spec is None:
        return {}
    weights = {"weights sha256": spec.weights_sha256} if spec.weights_sha256 else {}
    named = {"method": spec.method, "version": spec.version, **weights}
    return {"key": stage_key(spec), **named, **spec.settings}
