"""Means, intervals, differences and the table of scores."""

from __future__ import annotations

import io

import numpy as np
import pyarrow.parquet as pq
import pytest

from ldp_core.errors import MetricError
from ldp_core.metrics import (
    compare_with,
    difference_interval,
    mean_interval,
    summarise,
)
from ldp_core.metrics.bootstrap import interval_of_means
from ldp_core.metrics.summary import MOST_SIZES, NATIVE, read_scores_table, scores_table
from ldp_core.types import Score, ScoringProtocol

SMALL = ScoringProtocol(8, "840x560")
ALIGNED = ScoringProtocol(8, "840x560", alignment="best shift 4 px")


def score(item: int, value: float, *, metric: str = "psnr_db", subject: str = "input",
          protocol: ScoringProtocol = SMALL) -> Score:  # fmt: skip
    return Score(f"set/{item}", metric, subject, protocol, value)


def test_a_mean_is_taken_within_one_metric_subject_and_protocol() -> None:
    scores = [
        *(score(i, 20.0 + i) for i in range(3)),
        *(score(i, 30.0 + i, subject="restored") for i in range(3)),
        *(score(i, 25.0 + i, protocol=ALIGNED) for i in range(3)),
        *(score(i, 0.5, metric="ssim") for i in range(3)),
    ]
    rows = {(row.metric, row.subject, row.protocol): row for row in summarise(scores)}
    assert {key: row.mean for key, row in rows.items()} == {
        ("psnr_db", "input", SMALL.name): 21,
        ("psnr_db", "restored", SMALL.name): 31,
        ("psnr_db", "input", ALIGNED.name): 26,
        ("ssim", "input", SMALL.name): 0.5,
    }
    assert all(row.n == 3 for row in rows.values())


@pytest.mark.parametrize(
    "other",
    [
        ScoringProtocol(16, "840x560"),
        ScoringProtocol(8, "1680x1120"),
        ScoringProtocol(8, "840x560", region="rows 44:"),
        ScoringProtocol(8, "840x560", colour="grey"),
        ScoringProtocol(8, "840x560", variant="signed, px"),
        ALIGNED,
    ],
    ids=["depth", "size", "region", "colour", "variant", "alignment"],
)
def test_protocols_are_never_averaged(other: ScoringProtocol) -> None:
    rows = summarise([score(0, 20), score(1, 30, protocol=other)])
    assert {(row.protocol, row.mean, row.n) for row in rows} == {(SMALL.name, 20, 1), (other.name, 30, 1)}


def test_a_set_of_many_sizes_is_pooled_under_its_own_name() -> None:
    sizes = [f"{600 + i}x400" for i in range(MOST_SIZES + 1)]
    scores = [score(i, 20.0 + i, protocol=ScoringProtocol(8, size)) for i, size in enumerate(sizes)]
    assert len(summarise(scores[:-1])) == MOST_SIZES
    (row,) = summarise(scores)
    assert row.protocol == ScoringProtocol(8, NATIVE).name
    assert (row.mean, row.n) == (22, MOST_SIZES + 1)


def test_an_item_counts_once() -> None:
    with pytest.raises(MetricError, match="scored twice") as caught:
        summarise([score(0, 20), score(0, 21)])
    assert caught.value.where == "set/0"


def test_rows_come_in_the_order_of_tables() -> None:
    subjects = ["zeta", "restored", "input", "alpha"]
    scores = [score(0, 1.0, metric=m, subject=s) for m in ("ssim", "custom", "psnr_db") for s in subjects]
    rows = summarise(scores)
    assert list(dict.fromkeys(row.metric for row in rows)) == ["psnr_db", "ssim", "custom"]
    assert [row.subject for row in rows[:4]] == ["input", "restored", "alpha", "zeta"]


def test_the_order_of_scores_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores = [score(i, value) for i, value in enumerate(rng.normal(size=12))]
    assert summarise(scores) == summarise(scores[::-1])


def test_no_scores_no_rows() -> None:
    assert summarise([]) == ()
    assert compare_with([]) == ()


def test_a_difference_is_taken_over_common_items() -> None:
    noise = np.random.default_rng(0).normal(0, 5, 10)
    scores = [score(i, 25 + noise[i]) for i in range(9)]
    scores += [score(i, 26 + noise[i] + 0.1 * (i % 2), subject="restored") for i in range(1, 10)]
    (difference,) = compare_with(scores)
    assert (difference.subject, difference.baseline, difference.n) == ("restored", "input", 8)
    assert difference.mean == pytest.approx(1.05)
    assert difference.low > 0.99
    assert difference.claimed


def test_a_difference_within_the_noise_is_not_claimed() -> None:
    gains = np.array([1, -1, 0.5, -0.6, 0.2, -0.3])
    scores = [score(i, 25) for i in range(6)]
    scores += [score(i, 25 + gain, subject="restored") for i, gain in enumerate(gains)]
    (difference,) = compare_with(scores)
    assert difference.low < 0 < difference.high
    assert not difference.claimed


def test_four_items_claim_nothing() -> None:
    scores = [score(i, 25) for i in range(5)] + [score(i, 26, subject="restored") for i in range(5)]
    assert compare_with(scores)[0].claimed
    assert not compare_with([s for s in scores if s.item != "set/0"])[0].claimed


def test_subjects_are_compared_under_one_protocol_only() -> None:
    scores = [score(0, 20), score(0, 25, subject="restored", protocol=ALIGNED)]
    assert compare_with(scores) == ()
    assert compare_with([score(0, 20), score(1, 25, subject="restored")]) == ()


def test_an_interval_needs_finite_values() -> None:
    for values in ([], [1, np.nan], [np.inf]):
        with pytest.raises(MetricError, match="finite"):
            mean_interval(values)
    with pytest.raises(MetricError, match="same items"):
        difference_interval([1, 2], [1])


INTERVALS = [
    ([20, 21.5, 23, 27, 30], (24.3, 21.2, 27.7)),
    (np.arange(100) ** 0.5, (6.6146294710314795, 6.159359995744252, 7.06774905213183)),
    (np.sin(np.arange(5000.0)), (0.00025353355420285414, -0.01868670218519519, 0.01918725591887105)),
    ([3.5], (3.5, 3.5, 3.5)),
]


@pytest.mark.parametrize(("values", "expected"), INTERVALS)
def test_intervals_stay_what_they_were_in_old_reports(
    values: list[float], expected: tuple[float, float, float]
) -> None:
    assert mean_interval(values) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_the_interval_of_a_maximum_of_means_stays_too() -> None:
    found = interval_of_means([[1, 2], [3, 1], [0, 5]], lambda means: means.max(axis=1))
    assert found == pytest.approx((8 / 3, 5 / 3, 5), rel=1e-12)
    alone = interval_of_means([[1, 2]], lambda means: means.max(axis=1))
    assert alone == (2, 2, 2)


def test_an_interval_is_repeatable_and_bounded_in_memory() -> None:
    values = np.random.default_rng(0).normal(size=5_000)
    first, again = mean_interval(values), mean_interval(values)
    assert first == again
    expected = 1.96 * values.std() / np.sqrt(values.size)
    assert (first.high - first.low) / 2 == pytest.approx(expected, rel=0.1)


def test_the_table_has_a_row_per_item_and_metric() -> None:
    scores = [
        score(i, i / 3, metric=m, protocol=p)
        for i in (2, 0)
        for m in ("ssim", "mae")
        for p in (SMALL, ALIGNED)
    ]
    content = scores_table(scores)
    table = pq.read_table(io.BytesIO(content))
    assert table.column_names[:5] == ["item", "metric", "subject", "protocol", "value"]
    assert table.num_rows == 8
    assert table.column("protocol")[0].as_py() == SMALL.name
    assert sorted(map(repr, read_scores_table(content))) == sorted(map(repr, scores))


def test_an_empty_table_is_a_table() -> None:
    assert read_scores_table(scores_table([])) == []


def test_other_bytes_are_refused() -> None:
    with pytest.raises(MetricError, match="not a Parquet table"):
        read_scores_table(b"item,metric\n")
    sink = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(scores_table([score(0, 1)]))).select(["item"]), sink)
    with pytest.raises(MetricError, match="not a table of scores"):
        read_scores_table(sink.getvalue())
