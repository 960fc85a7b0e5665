"""What has become of the items of a run: counted as batches come in, summed up at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from ldp_core.catalogue.problems import CATALOGUE, group_problems, group_quarantine
from ldp_core.errors import TooManyBadItemsError
from ldp_core.metrics import summarise
from ldp_core.traffic import NO_TRAFFIC, Traffic
from ldp_core.types import Catalogue, ItemCounts, Problem, QuarantineRecord, RunSummary, SourceChanges
from tasks.heartbeat import RunState
from tasks.items import ItemResult
from tasks.pipeline import Pipeline
from tasks.run import RunItem
from tasks.stage import PAIR, SINGLE
from tasks.stored_run import environment
from tasks.work import BatchResult

_NAMED = 20
"""Changed and vanished items that a summary names; `items.jsonl` has the version of every item."""


class RunStats:
    """What has become of the items of a run so far.

    Items that the catalogue refused count as bad. A run stops above the share ``max_bad`` of bad items; a
    single one never stops it, unless the share is 0.
    """

    def __init__(self, catalogue: Catalogue, *, max_bad: float, vanished: Sequence[str] = ()) -> None:
        self.catalogue = catalogue
        self._vanished = vanished
        self._results: dict[str, ItemResult] = {}
        self._doubts: dict[Problem, None] = {}
        self._computed: set[str] = set()
        self._seconds: Counter[str] = Counter()
        self._traffic = NO_TRAFFIC
        self.quarantine = [
            QuarantineRecord(problem.where, CATALOGUE, problem.kind, problem.message, problem.remedy)
            for problem in catalogue.problems
            if problem.refuses_item
        ]
        self.total = len(catalogue.items) + len(self.quarantine)
        self._allowed = max(1, int(max_bad * self.total)) if max_bad > 0 else 0

    def add(self, batch: BatchResult) -> None:
        """Count the results of a batch; an item counts once, however many stages report it."""
        self._traffic += batch.traffic
        for result in batch.results:
            self._results[result.item_id] = result
            self._doubts.update(dict.fromkeys(result.problems))
            self._seconds.update(result.seconds)
            if result.computed:
                self._computed.add(result.item_id)
        known = {record.item for record in self.quarantine}
        self.quarantine += [record for record in batch.quarantine if record.item not in known]

    def check(self) -> None:
        """Stop a run that goes wrong as a whole.

        Raises:
            TooManyBadItemsError: more items are bad than the run allows.
        """
        if len(self.quarantine) > self._allowed:
            raise TooManyBadItemsError(
                "too many items were quarantined",
                where=", ".join(sorted({record.kind for record in self.quarantine})),
                expected=f"at most {self._allowed} of {self.total}",
                got=str(len(self.quarantine)),
                remedy="see quarantine.jsonl of this run; correct the source or raise --max-bad",
            )

    @property
    def items(self) -> tuple[RunItem, ...]:
        """Every item that came through, in id order."""
        bad = {record.item for record in self.quarantine}
        return tuple(
            RunItem(
                item_id,
                "computed" if item_id in self._computed else "skipped",
                one.scores,
                one.digest,
                one.version,
            )
            for item_id, one in sorted(self._results.items())
            if item_id not in bad
        )

    @property
    def counts(self) -> ItemCounts:
        """How many items were seen, computed, skipped and quarantined."""
        computed = sum(item.status == "computed" for item in self.items)
        return ItemCounts(self.total, computed, len(self.items) - computed, len(self.quarantine))

    @property
    def sources(self) -> SourceChanges:
        """Items whose source holds another version than the catalogue began with, and those that are gone."""
        before = {item.id: item.version for item in self.catalogue.items}
        changed = [item.id for item in self.items if item.version != before[item.id]]
        return SourceChanges(
            len(changed), len(self._vanished), tuple(changed[:_NAMED]), tuple(self._vanished[:_NAMED])
        )

    @property
    def seconds(self) -> dict[str, float]:
        """Worker seconds by stage."""
        return {stage: round(seconds, 3) for stage, seconds in sorted(self._seconds.items())}

    def summarise(
        self,
        run_id: str,
        pipelines: Mapping[str, Pipeline],
        *,
        seconds: float,
        report: str = "",
        state: RunState = RunState.FINISHED,
        traffic: Traffic = NO_TRAFFIC,
    ) -> RunSummary:
        """The run in a record, after ``seconds`` of wall clock and ``traffic`` besides that of workers."""
        specs = {name: pipeline.specs for name, pipeline in pipelines.items()}
        return RunSummary(
            run_id=run_id,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            dataset=self.catalogue.dataset,
            layout=self.catalogue.layout,
            source=self.catalogue.source,
            report=report,
            stages=specs.get(PAIR, ()),
            environment=environment(),
            items=self.counts,
            seconds=self.seconds | {"total": round(seconds, 3)},
            metrics=summarise([score for item in self.items for score in item.scores]),
            quarantine=tuple(self.quarantine),
            problems=(*self.catalogue.problems, *self._doubts),
            single_stages=specs.get(SINGLE, ()),
            state=state.value,
            problem_kinds=group_problems((*self.catalogue.problems, *self._doubts)),
            quarantine_kinds=group_quarantine(self.quarantine),
            sources=self.sources,
            traffic=self._traffic + traffic,
        )
