"""What a report says of baselines, and how it marks single views."""

from __future__ import annotations

import re

import pytest

from ldp_core.metrics import summarise
from ldp_core.report import ReportItem
from ldp_core.report.page import render_page
from ldp_core.report.summary import BaselineCard, compare_baselines
from ldp_core.types import BASELINE, ItemCounts, RunSummary, Score, ScoringProtocol, StageSpec

PROTOCOL = ScoringProtocol(8, "840x560")
BLUR, DEBLUR = StageSpec("blur", "disparity", "1"), StageSpec("deblur", "ldp", "2")
SINGLE = StageSpec("blur", "depth-distilled", "1"), StageSpec("deblur", "bdir", "1")
BDIR, WIENER = StageSpec(BASELINE, "bdir", "1"), StageSpec(BASELINE, "wiener", "3")


def scored(count: int, gain_db: float, *, name: str = "bdir", spread_db: float = 0.1) -> list[ReportItem]:
    """Items whose restored picture is that much above the baseline, give or take."""
    items = []
    for n in range(count):
        values = {"input": 24.0, "restored": 26.0 + gain_db + spread_db * (-1) ** n, name: 26.0}
        scores = [Score(f"set/{n}", "psnr_db", s, PROTOCOL, value) for s, value in values.items()]
        items.append(ReportItem(f"set/{n}", "computed", scores))
    return items


def run_of(items: list[ReportItem], *baselines: StageSpec, singles: bool = False) -> RunSummary:
    return RunSummary(
        run_id="20260101t000000z-aaaaaa",
        created="2026-01-01T00:00:00+00:00",
        dataset="set",
        layout="folders",
        source="memory",
        report="",
        stages=(BLUR, DEBLUR, *baselines),
        environment={},
        items=ItemCounts(len(items), len(items), 0, 0),
        seconds={"total": 1.0},
        metrics=summarise([score for item in items for score in item.scores]),
        single_stages=SINGLE if singles else (),
    )


def card(
    gain_db: float, baseline: StageSpec = BDIR, *, count: int = 8, spread_db: float = 0.1
) -> BaselineCard:
    items = scored(count, gain_db, name=baseline.method, spread_db=spread_db)
    [found] = compare_baselines(run_of(items, baseline), items)
    return found


def test_what_the_second_view_was_worth_is_said_with_its_interval() -> None:
    found = card(1.0)
    assert found.verdict == "better"
    assert found.sentence.startswith("The second view was worth +1.00 dB PSNR (ldp, both views, minus bdir")
    interval = re.search(r"95 % paired interval \+(\d\.\d\d) to \+(\d\.\d\d), 8 items", found.sentence)
    assert interval
    assert 0.9 <= float(interval[1]) < 1.0 < float(interval[2]) <= 1.1
    [row] = found.rows
    assert (row.gain.measure.label, row.gain.text, row.n, row.gain.verdict) == ("PSNR", "+1.00", 8, "better")


@pytest.mark.parametrize(
    ("gain_db", "options", "verdict", "words"),
    [
        (-1.0, {}, "worse", "was worth nothing: \N{MINUS SIGN}1.00 dB"),
        (0.0, {"spread_db": 1.0}, "unclear", "It is not clear what the second view was worth"),
        (1.0, {"count": 3}, "few", "Too few items to claim what the second view was worth"),
    ],
)
def test_no_more_is_claimed_than_the_interval_allows(
    gain_db: float, options: dict[str, float], verdict: str, words: str
) -> None:
    found = card(gain_db, **options)  # type: ignore[arg-type]
    assert found.verdict == verdict
    assert words in found.sentence


def test_other_baselines_are_named_and_no_second_view_is_spoken_of() -> None:
    found = card(1.0, WIENER)
    assert found.sentence.startswith("Restored images are better than those of wiener: +1.00 dB PSNR")
    assert "view" not in found.sentence


def test_only_items_that_both_restored_count() -> None:
    items = scored(6, 1.0)
    alone = ReportItem("set/x", "computed", items[0].scores[:0], route="single")
    [found] = compare_baselines(run_of(items, BDIR), [*items, alone])
    assert found.rows[0].n == 6
    [found] = compare_baselines(run_of([], BDIR), [alone])
    assert (found.sentence, found.rows) == ("No item could be compared with bdir.", ())
    assert compare_baselines(run_of(items), items) == []


def test_the_page_shows_the_sentence_the_rows_and_the_single_views() -> None:
    items = scored(6, 1.0)
    single = ReportItem(
        "set/z", "computed", [Score("set/z", "psnr_db", "restored", PROTOCOL, 25.0)], route="single"
    )
    page = render_page(run_of([*items, single], BDIR, singles=True), [*items, single])
    assert "The second view was worth +1.00 dB PSNR" in page
    assert "Restored minus bdir" in page
    assert "1 of 7 items is a single view: restored by bdir, blur maps by depth-distilled." in page
    assert 'id="only-single"' in page
    assert page.count('"route":"single"') == 1
    assert '<span class="badge">single views</span>' in page


def test_a_page_of_pairs_alone_says_nothing_of_single_views() -> None:
    items = scored(6, 1.0)
    page = render_page(run_of(items), items)
    assert 'id="only-single"' not in page
    assert "single views" not in page.partition("<main>")[2].partition("</main>")[0]
