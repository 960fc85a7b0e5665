"""Counting: an item counts once, a single bad one is allowed, more than the share stop the run."""

from __future__ import annotations

import pytest

from ldp_core.errors import TooManyBadItemsError
from ldp_core.types import Catalogue, ImageRef, Item, ItemCounts, Problem, QuarantineRecord
from tasks.items import Failed, ItemResult
from tasks.run_stats import RunStats
from tasks.work import BatchResult

REF = ImageRef("memory://a.png", 4, 4, 3, 8, 100)


def catalogue(count: int, *problems: Problem) -> Catalogue:
    items = tuple(Item(f"set/{number}", REF, REF) for number in range(count))
    return Catalogue("set", "folders", "memory://set", items, problems)


def bad(number: int) -> Failed:
    return Failed(QuarantineRecord(f"set/{number}", "blur", "unexpected", "broken"))


def good(number: int, *computed: str) -> ItemResult:
    return ItemResult(f"set/{number}", computed, (), {"blur": 1.0})


def test_an_item_seen_by_two_stages_counts_once() -> None:
    stats = RunStats(catalogue(2), max_bad=0.05)
    stats.add(BatchResult([good(0, "ingest"), good(1)]))
    stats.add(BatchResult([good(0), good(1)]))
    assert stats.counts == ItemCounts(total=2, computed=1, skipped=1, quarantined=0)
    assert stats.seconds == {"blur": 4.0}


def test_an_item_quarantined_late_is_no_longer_good() -> None:
    stats = RunStats(catalogue(2), max_bad=0.05)
    stats.add(BatchResult([good(0, "ingest"), good(1, "ingest")]))
    stats.add(BatchResult([good(0, "blur"), bad(1)]))
    assert [item.id for item in stats.items] == ["set/0"]
    assert stats.counts == ItemCounts(total=2, computed=1, skipped=0, quarantined=1)


@pytest.mark.parametrize(
    ("count", "max_bad", "allowed"), [(6, 0.05, 1), (100, 0.05, 5), (100, 0.5, 50), (6, 0.0, 0)]
)
def test_the_share_of_bad_items_that_stops_a_run(count: int, max_bad: float, allowed: int) -> None:
    stats = RunStats(catalogue(count), max_bad=max_bad)
    stats.add(BatchResult([bad(number) for number in range(allowed)]))
    stats.check()
    stats.add(BatchResult([bad(allowed)]))
    with pytest.raises(TooManyBadItemsError, match="quarantined"):
        stats.check()


def test_items_refused_by_the_catalogue_are_bad_and_stray_files_are_not() -> None:
    refused = Problem("left/x.png", "missing_partner", "no right view", "add it")
    stray = Problem("notes.txt", "stray_file", "not a picture", "", refuses_item=False)
    stats = RunStats(catalogue(3, refused, stray), max_bad=0.05)
    assert stats.total == 4
    assert [record.item for record in stats.quarantine] == ["left/x.png"]
