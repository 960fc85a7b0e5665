"""What has become of a run: counted as batches come in."""

from __future__ import annotations

from collections import Counter

from ldp_core.errors import TooManyBadItemsError
from ldp_core.types import Catalogue, ItemCounts, QuarantineRecord
from tasks.batches import BatchResult
from tasks.runs import RunItem
from tasks.stages import Outcome


class Tally:
    """What has become of the items of a run so far."""

    def __init__(self, catalogue: Catalogue, *, max_bad: float) -> None:
        self._outcomes: dict[str, Outcome] = {}
        self._computed: set[str] = set()
        self._seconds: Counter[str] = Counter()
        self.quarantine = _refused(catalogue)
        self.total = len(catalogue.items) + len(self.quarantine)
        self._allowed = max(1, int(max_bad * self.total)) if max_bad > 0 else 0

    def add(self, result: BatchResult) -> None:
        """Count the results of a batch; an item counts once, however many stages report it."""
        for outcome in result.outcomes:
            self._outcomes[outcome.item_id] = outcome
            self._seconds.update(outcome.seconds)
            if outcome.computed:
                self._computed.add(outcome.item_id)
        known = {record.item for record in self.quarantine}
        self.quarantine += [record for record in result.quarantine if record.item not in known]

    def check(self) -> None:
        """Stop a run that goes wrong as a whole.

        Raises:
            TooManyBadItemsError: more items are bad than the run allows.
        """
        if len(self.quarantine) > self._allowed:
            raise TooManyBadItemsError(
                "too many items had to be set aside",
                where=", ".join(sorted({record.kind for record in self.quarantine})),
                expected=f"at most {self._allowed} of {self.total}",
                got=str(len(self.quarantine)),
                remedy="see quarantine.jsonl of this run; mend the source or raise --max-bad",
            )

    @property
    def items(self) -> tuple[RunItem, ...]:
        """Every item that came through, in id order."""
        bad = {record.item for record in self.quarantine}
        return tuple(
            RunItem(
                item_id,
                "computed" if item_id in self._computed else "skipped",
                outcome.scores,
                outcome.digest,
            )
            for item_id, outcome in sorted(self._outcomes.items())
            if item_id not in bad
        )

    @property
    def counts(self) -> ItemCounts:
        """How many items were seen, computed, skipped and set aside."""
        computed = sum(item.status == "computed" for item in self.items)
        return ItemCounts(self.total, computed, len(self.items) - computed, len(self.quarantine))

    @property
    def seconds(self) -> dict[str, float]:
        """Worker seconds by stage."""
        return {stage: round(seconds, 3) for stage, seconds in sorted(self._seconds.items())}


def _refused(catalogue: Catalogue) -> list[QuarantineRecord]:
    return [
        QuarantineRecord(problem.where, "catalogue", problem.kind, problem.message, problem.remedy)
        for problem in catalogue.problems
        if problem.refuses_item
    ]
