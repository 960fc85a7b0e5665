"""A run against an earlier one by what needs no truth, as plain values and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ldp_core.archive import Archive
from ldp_core.metrics.drift import FALSE_ALARMS, LEAST_DISTANCE, Samples, find_shifts, quartiles_of
from ldp_core.report.drift import PastRun, write_drift
from ldp_core.storage import absolute_url, join
from tasks.drift import (
    ALL,
    CAMERA_COLUMNS,
    choose_judged,
    choose_runs,
    draw_sample,
    group_signals,
    list_history,
    read_signals,
)
from tasks.run import Run, RunItem, started_at
from tasks.status import list_stage_changes

_PAST_ITEMS = 200
"""Of each earlier run over time: quartiles of so many are known to a tenth of their distance."""


def judge_drift(
    archive: str,
    run_id: str | None = None,
    *,
    against: str | None = None,
    by: Sequence[str] = CAMERA_COLUMNS,
    per: str = "",
    sample: int = 1000,
    history: int = 8,
    false_alarms: float = FALSE_ALARMS,
    least_distance: float = LEAST_DISTANCE,
    page: bool = False,
    output: str | None = None,
) -> dict[str, Any]:
    """Which signals of a run have drifted since an earlier one, by group, and what they were over time.

    Args:
        run_id: the run that is judged; default: the newest that restored.
        against: the earlier run; default: the one before it of the same dataset.
        by: columns of metadata whose values are groups.
        per: a column whose items have one value together: photographs of a burst say little more than one.
        sample: how many items of either run are looked at, at most.
        history: how many earlier runs are shown over time.
        page: write a page to the run, or to ``output``.

    Raises:
        ItemMissingError: a run is not there, did not come to its end, or there is no earlier one.
        SettingsError: a rate or a distance is no share.
    """
    archive = absolute_url(archive)
    earlier, judged = choose_runs(archive, run_id, against)
    items, only_new = choose_judged(earlier, judged)
    before = _sample(earlier, list(earlier.items), by, sample, per=per)
    now = _sample(judged, items, by, sample, per=per)
    shifts = find_shifts(before, now, false_alarms=false_alarms, least_distance=least_distance)
    past = [
        _describe_past(run, before if run is earlier else None)
        for run in list_history(earlier, judged, most=history)
    ]
    values: dict[str, Any] = {
        "run": judged.run_id,
        "against": earlier.run_id,
        "judged": "new items" if only_new else "all items",
        "items": {"earlier": len(earlier.items), "judged": len(items)},
        "false_alarms": false_alarms,
        "least_distance": least_distance,
        "drifted": any(shift.drifted for shift in shifts),
        "signals": [_flatten(asdict(shift)) for shift in shifts],
        "not_compared": _list_uncompared(before, now, {(s.signal, s.group) for s in shifts}),
        "changes": [asdict(change) for change in list_stage_changes(earlier, judged)],
        "history": [asdict(one) for one in past],
    }
    if page or output:
        url = absolute_url(output) if output else join(Archive(archive).run_url(judged.run_id), "drift")
        values["page"] = write_drift(url, values, before, now, past)
    return values


def _sample(run: Run, items: list[RunItem], by: Sequence[str], most: int, *, per: str = "") -> Samples:
    chosen = draw_sample(items, most)
    return group_signals(read_signals(run, chosen), run.metadata, by, per=per)


def _describe_past(run: Run, known: Samples | None) -> PastRun:
    """Quartiles of every signal of all items of a run."""
    samples = known if known is not None else _sample(run, list(run.items), (), _PAST_ITEMS)
    quartiles = {signal: quartiles_of(v) for (signal, group), v in samples.items() if group == ALL}
    return PastRun(run.run_id, started_at(run.run_id), len(run.items), quartiles)


def _list_uncompared(before: Samples, now: Samples, compared: set[tuple[str, str]]) -> list[dict[str, Any]]:
    """Signals and groups of which a run has too few items, or none."""
    keys = (key for key in dict.fromkeys((*now, *before)) if key not in compared)
    counts = ((key, len(before.get(key, ())), len(now.get(key, ()))) for key in keys)
    names = ("signal", "group", "earlier_items", "items")
    return [dict(zip(names, (*key, earlier, later), strict=True)) for key, earlier, later in counts]


def _flatten(shift: dict[str, Any]) -> dict[str, Any]:
    names = ("low", "median", "high")
    return shift | {side: dict(zip(names, shift[side], strict=True)) for side in ("earlier", "now")}
