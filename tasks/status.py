"""What an archive holds, which runs made it, and how two of them compare, by their records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ldp_core.archive.layout import list_sections, read_listing
from ldp_core.archive.run_files import list_runs
from ldp_core.errors import ItemDamagedError, ItemMissingError, count_of
from ldp_core.item_ids import make_item_key, split_item_key
from ldp_core.metrics.summary import PairedScores, pair_scores
from ldp_core.report.comparison import StageChange
from ldp_core.types import BASELINE, RunSummary
from tasks.heartbeat import RunState
from tasks.pipeline import ARCHIVE_KINDS
from tasks.run import Run, require_restored, started_at
from tasks.stage import PAIR, Stage
from tasks.stages import BLUR, DEBLUR

_READERS = 16
"""Records read at once: each is a few small objects, so a store's latency is what counts."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """One run. Methods are those of pairs and, after a bar, those of single views.

    What only its end can tell is empty until then; ``listed`` is None where it is not known. ``sources``
    counts the items whose source was ``changed`` since the run before, and those that had ``vanished``.
    """

    run_id: str
    state: RunState
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
    sources: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SectionStatus:
    """Whole items of one kind and stage key, every version, and their bytes; ``ids`` are counted once."""

    path: str
    items: int
    size_bytes: int
    ids: int


@dataclass(frozen=True, slots=True)
class OtherContent:
    """An item whose source held another content in each of two runs: the version it was in either."""

    item: str
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class ComparedRuns:
    """Two finished runs with their scores paired; items of ``other_content`` are not compared."""

    first: RunSummary
    second: RunSummary
    paired: PairedScores
    changes: tuple[StageChange, ...]
    runs: tuple[Run, Run]
    other_content: tuple[OtherContent, ...] = ()

    def restored_keys(self, item: str) -> tuple[str, str]:
        """Under which stage keys the runs left the restored picture of an item."""
        first, second = (_restored_key(run, item) for run in self.runs)
        return first, second

    def item_key(self, item: str) -> str:
        """The key of an item that both runs restored in one version."""
        version, _ = self.runs[0].found.get(item, (1, ""))
        return make_item_key(item, version)


def describe_runs(archive: str) -> list[RunStatus]:
    """All runs of an archive, newest first; their records are read side by side."""
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda run_id: _describe(Run(archive, run_id)), list_runs(archive)))


def describe_run(run: Run) -> RunStatus:
    """One run.

    Raises:
        ItemMissingError: there is no such run.
    """
    if run.run_id not in list_runs(run.archive):
        run.read_file("run.json")
    return _describe(run)


def _describe(run: Run) -> RunStatus:
    try:
        header, state = run.header, run.state
        methods = {stage: _methods(run, stage) for stage in (BLUR, DEBLUR, BASELINE)}
        summary = run.summary if run.is_finished else None
    except (ItemMissingError, ItemDamagedError):
        return RunStatus(run.run_id, RunState.UNREADABLE, started_at(run.run_id))
    return RunStatus(
        run_id=run.run_id,
        state=state,
        started=started_at(run.run_id),
        dataset=header.dataset,
        layout=header.layout,
        source=header.source,
        estimator=methods[BLUR],
        deblurrer=methods[DEBLUR],
        baselines=methods[BASELINE],
        listed=header.items,
        counts={} if summary is None else _count(summary),
        report="" if summary is None else summary.report,
        sources={} if summary is None else _count_sources(summary),
    )


def describe_sections(archive: str) -> list[SectionStatus]:
    """Items and bytes by kind and stage key: one listing each; a result that no item has is left out."""
    sections = list_sections(archive, ARCHIVE_KINDS)
    listed = ((section, read_listing(archive, section)) for section in sections)
    return [
        SectionStatus(
            section.path, len(one.items), one.size_bytes, len({split_item_key(key)[0] for key in one.items})
        )
        for section, one in listed
        if one.size_bytes or not section.is_result
    ]


def group_quarantine(summary: RunSummary) -> dict[str, list[dict[str, str]]]:
    """The quarantined items by the kind of their error, the most frequent kind first."""
    counted = Counter(record.kind for record in summary.quarantine)
    return {
        kind: [
            {"item": r.item, "stage": r.stage, "message": r.message, "remedy": r.remedy}
            for r in summary.quarantine
            if r.kind == kind
        ]
        for kind, _ in counted.most_common()
    }


def compare_runs(archive: str, first: str, second: str) -> ComparedRuns:
    """Pair the scores of two runs.

    Raises:
        ItemMissingError: there is no such run, it did not come to its end or restored nothing, or they share
            no item.
        MetricError: they were scored under different protocols.
    """
    ours, theirs = runs = Run(archive, first), Run(archive, second)
    for run in runs:
        require_restored(run.summary)
    others = tuple(_find_other_content(ours, theirs))
    left_out = {other.item for other in others}
    scores = ([s for item in run.items if item.id not in left_out for s in item.scores] for run in runs)
    paired = pair_scores(*scores)
    if not paired.common:
        changed = f"{count_of(len(others), 'item')} whose source changed between them" if others else ""
        raise ItemMissingError(
            "these runs have no item in common",
            where=f"{first}, {second}",
            got=changed,
            remedy="compare runs over the same dataset; `ldp status` lists the datasets of all runs",
        )
    return ComparedRuns(ours.summary, theirs.summary, paired, list_stage_changes(ours, theirs), runs, others)


def _find_other_content(first: Run, second: Run) -> Iterator[OtherContent]:
    """Items of which the runs saw different pixels: other versions, or one version that was archived anew."""
    for item, (version, digest) in sorted(first.found.items()):
        other_version, other_digest = second.found.get(item, (version, digest))
        if version != other_version or (digest and other_digest and digest != other_digest):
            yield OtherContent(item, version, other_version)


def _restored_key(run: Run, item: str) -> str:
    pipeline = next((name for name, items in run.listed.items() if item in items), PAIR)
    return run.key_of(DEBLUR, pipeline)


def list_stage_changes(first: Run, second: Run) -> tuple[StageChange, ...]:
    """What the stages of the runs do not share; upstream keys follow from the stages before."""
    changes, of_first, of_second = [], _name_stages(first), _name_stages(second)
    for stage in {**of_first, **of_second}:
        ours, theirs = _facts(of_first.get(stage)), _facts(of_second.get(stage))
        names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        changes += [StageChange(stage, name, ours.get(name), theirs.get(name)) for name in names]
    return tuple(changes)


def _name_stages(run: Run) -> dict[str, Stage]:
    """The stages of a run by label; of any but the pipeline of pairs with its name."""
    return {
        stage.label.replace(":", " ") + ("" if pipeline == PAIR else f", {pipeline}"): stage
        for pipeline, stages in run.stages.items()
        for stage in stages
    }


def _facts(stage: Stage | None) -> dict[str, Any]:
    if stage is None:
        return {}
    spec = stage.spec
    weights = {"weights sha256": spec.weights_sha256} if spec.weights_sha256 else {}
    return {"key": stage.key, "method": spec.method, "version": spec.version, **weights, **spec.settings}


def _count(summary: RunSummary) -> dict[str, int]:
    counts = summary.items
    return {"computed": counts.computed, "skipped": counts.skipped, "quarantined": counts.quarantined}


def _count_sources(summary: RunSummary) -> dict[str, int]:
    return {"changed": summary.sources.changed, "vanished": summary.sources.vanished}


def _methods(run: Run, stage: str) -> str:
    """The methods of a stage: that of pairs, then that of single views where there were any."""
    specs = (spec for pipeline in run.specs.values() for spec in pipeline)
    return " | ".join(dict.fromkeys(spec.method for spec in specs if spec.stage == stage))
