"""Pairs of scores: only like with like, differences with intervals, refusals named."""

from __future__ import annotations

import pytest

from ldp_core.errors import MetricError
from ldp_core.metrics.summary import compare_means, pair_scores
from ldp_core.report.comparison import list_changes, list_rows, state_result
from ldp_core.types import Score, ScoringProtocol

PLAIN = ScoringProtocol(8, "120x80")
SHIFTED = ScoringProtocol(8, "120x80", alignment="best shift")


def scores(
    values: dict[str, float],
    metric: str = "psnr_db",
    subject: str = "restored",
    protocol: ScoringProtocol = PLAIN,
) -> list[Score]:
    return [Score(item, metric, subject, protocol, value) for item, value in values.items()]


def items(*values: float) -> dict[str, float]:
    return {f"set/{n}": value for n, value in enumerate(values)}


def test_a_difference_is_second_minus_first_over_common_items() -> None:
    paired = pair_scores(scores(items(20, 21, 22) | {"set/a": 0}), scores(items(21, 22.5, 22) | {"set/b": 0}))
    [row] = compare_means(paired)
    assert (row.first, row.second) == (21, pytest.approx(65.5 / 3))
    assert row.difference.mean == pytest.approx(2.5 / 3)
    assert row.difference.low <= row.difference.mean <= row.difference.high
    assert row.difference.n == 3
    assert (paired.only_first, paired.only_second) == ({"set/a"}, {"set/b"})


def test_swapping_the_runs_turns_the_sign() -> None:
    ours, theirs = scores(items(20, 21, 25)), scores(items(22, 21, 24))
    [there], [back] = (compare_means(pair_scores(*sides)) for sides in ((ours, theirs), (theirs, ours)))
    assert there.difference.mean == pytest.approx(-back.difference.mean)


def test_a_run_equals_itself() -> None:
    paired = pair_scores(scores(items(20, 21)), scores(items(20, 21)))
    [row] = compare_means(paired)
    assert (row.difference.mean, row.difference.low, row.difference.high) == (0, 0, 0)
    assert not row.difference.claimed
    assert list_changes(paired, most=5) == ((), ())


def test_runs_of_other_protocols_are_refused() -> None:
    with pytest.raises(MetricError, match="different protocols"):
        pair_scores(scores(items(20)), scores(items(20), protocol=ScoringProtocol(16, "120x80")))


def test_one_metric_of_another_protocol_is_refused_and_the_rest_compared() -> None:
    kernels = [ScoringProtocol(8, "120x80", variant=f"{name} kernel") for name in ("half_disc", "disc")]
    sides = [
        scores(items(20, 21)) + scores(items(30, 31), "reblur_psnr_db", protocol=protocol)
        for protocol in kernels
    ]
    paired = pair_scores(*sides)
    assert [row.difference.metric for row in compare_means(paired)] == ["psnr_db"]
    [refusal] = paired.refusals
    assert (refusal.metric, refusal.items) == ("reblur_psnr_db", 2)
    assert "half_disc" in refusal.first


def test_many_sizes_are_pooled_only_after_each_item_met_its_own_size() -> None:
    def run(grow: int) -> list[Score]:
        sized = (ScoringProtocol(8, f"{100 + n + (grow if n == 0 else 0)}x80") for n in range(6))
        return [Score(f"set/{n}", "psnr_db", "restored", p, 20.0 + n) for n, p in enumerate(sized)]

    paired = pair_scores(run(0), run(50))
    [row] = compare_means(paired)
    assert row.difference.protocol == "8 bit | native sizes | rgb | full"
    assert row.difference.n == 5
    assert [refusal.items for refusal in paired.refusals] == [1]


def test_an_input_that_is_the_same_in_both_is_left_out() -> None:
    sides = [scores(items(20, 21), subject="input") + scores(items(22 + n, 23)) for n in (0, 1)]
    assert [row.difference.subject for row in compare_means(pair_scores(*sides))] == ["restored"]


def test_an_item_scored_twice_is_refused() -> None:
    with pytest.raises(MetricError, match="twice"):
        pair_scores(scores(items(20)) * 2, scores(items(20)))


def test_gains_and_losses_follow_the_direction_of_the_metric() -> None:
    paired = pair_scores(scores(items(0.5, 0.2, 0.3), "mae"), scores(items(0.1, 0.3, 0.3), "mae"))
    gains, losses = list_changes(paired, most=5)
    assert [change.item for change in gains] == ["set/0"]
    assert gains[0].gain == pytest.approx(0.4)
    assert [change.item for change in losses] == ["set/1"]


def test_items_are_ordered_by_the_score_after_a_shift_search_where_there_is_one() -> None:
    sides = [scores(items(20, 20)) + scores(items(20, 20 + n), protocol=SHIFTED) for n in (0, 3)]
    gains, _ = list_changes(pair_scores(*sides), most=5)
    assert [change.item for change in gains] == ["set/1"]


@pytest.mark.parametrize(("second", "verdict"), [(21.0, "better"), (19.0, "worse"), (20.0, "unclear")])
def test_the_lead_says_who_is_better(second: float, verdict: str) -> None:
    base = [20.0, 21.0, 22.0, 23.0, 24.0, 25.0]
    rows = list_rows(pair_scores(scores(items(*base)), scores(items(*(v + second - 20 for v in base)))))
    sentence, found = state_result(rows, ("plain", "better one"))
    assert found == verdict
    assert "6 items" in sentence
