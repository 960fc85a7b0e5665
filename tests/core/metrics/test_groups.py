"""Groups of items by their metadata: every item in one group of a column, means as of the group alone."""

from __future__ import annotations

import io
from itertools import groupby, pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldp_core.metrics.groups import MOST_GROUPS, find_groups, summarise_groups
from ldp_core.metrics.summary import read_scores_table, scores_table, summarise
from ldp_core.types import Score, ScoringProtocol

PROTOCOL = ScoringProtocol(8, "120x80")
numbers = st.one_of(st.integers(-1000, 1000), st.floats(-1e3, 1e3).map(lambda x: round(x, 3)))


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=4), numbers, min_size=1, max_size=60))
def test_numbers_part_all_items_into_few_groups_in_order(values: dict[str, float]) -> None:
    groups = find_groups({item: {"iso": value} for item, value in values.items()})
    assert len(groups) <= MOST_GROUPS
    if len({f"{value:g}" for value in values.values()}) == 1:
        assert groups == []
        return
    assert sorted(item for group in groups for item in group.items) == sorted(values)
    spans = [sorted(values[item] for item in group.items) for group in groups]
    assert all(low[-1] < high[0] for low, high in pairwise(spans))


def test_words_are_groups_names_are_none_and_one_value_parts_nothing() -> None:
    items = {
        f"set/{n}": {"scene": "in" if n % 2 else "out", "title": f"shot {n}", "make": "X"} for n in range(30)
    }
    groups = find_groups(items)
    assert [(group.column, group.value, len(group.items)) for group in groups] == [
        ("scene", "in", 15),
        ("scene", "out", 15),
    ]


def test_moments_are_grouped_by_the_finest_of_day_month_and_year_that_gives_few() -> None:
    days = {f"set/{n}": {"taken": f"2026-01-{1 + n % 3:02d}T10:00:{n:02d}"} for n in range(40)}
    years = {
        f"set/{n}": {"taken": f"20{20 + n % 4}-{1 + n % 12:02d}-0{1 + n % 9}T10:00:{n:02d}"}
        for n in range(59)
    }
    assert [group.value for group in find_groups(days)] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert all(len(group.value) in (4, 7) for group in find_groups(years))


def test_items_without_a_value_are_in_no_group_of_its_column() -> None:
    groups = find_groups({"a": {"iso": 100}, "b": {"iso": 200}, "c": {}})
    assert [{*group.items} for group in groups] == [{"a"}, {"b"}]


def test_the_mean_of_a_group_is_that_of_its_items_alone() -> None:
    scores = [
        Score(f"set/{n}", "psnr_db", subject, PROTOCOL, 20.0 + n + (n % 2) * (subject == "restored"))
        for n in range(12)
        for subject in ("input", "restored")
    ]
    groups = find_groups({f"set/{n}": {"scene": "odd" if n % 2 else "even"} for n in range(12)})
    means = summarise_groups(scores, groups)
    for value, rows in groupby(means, key=lambda one: one.value):
        alone = summarise(s for s in scores if (int(s.item[4:]) % 2 == 1) == (value == "odd"))
        listed = list(rows)
        assert [one.mean for one in listed] == list(alone)
        [gain] = [one.difference for one in listed if one.difference]
        assert (gain.mean, gain.n) == (pytest.approx(float(value == "odd")), 6)


def test_the_table_of_scores_has_a_typed_column_for_everything_that_is_known() -> None:
    scores = [Score(f"set/{n}", "psnr_db", "restored", PROTOCOL, 20.0 + n) for n in range(3)]
    known = {
        "set/0": {"iso": 100, "indoor": True, "note": "a"},
        "set/1": {"iso": 800, "aperture": 1.8, "note": 2},
    }
    content = scores_table(scores, {}, known)
    table = pd.read_parquet(io.BytesIO(content)).set_index("item")
    assert table["metadata:iso"].to_dict() | {"set/2": None} == {"set/0": 100, "set/1": 800, "set/2": None}
    assert str(table["metadata:iso"].dtype) == "Int64"
    assert table.loc["set/0", "metadata:indoor"]
    assert table.loc["set/1", "metadata:aperture"] == 1.8
    assert table.loc["set/1", "metadata:note"] == "2"
    assert read_scores_table(content) == scores
    assert scores_table(scores, {}, {"set/0": {}}) == scores_table(scores, {})


@pytest.mark.parametrize("others", [{"serial": 1}, {"serial": 1.5}, {}])
def test_integers_beyond_64_bit_stand_in_the_table_as_texts(others: dict[str, float]) -> None:
    """A run must not end without its record for what a layout tells."""
    scores = [Score(f"set/{n}", "psnr_db", "restored", PROTOCOL, 20.0 + n) for n in range(2)]
    content = scores_table(scores, {}, {"set/0": {"serial": 10**400}, "set/1": others})
    assert pd.read_parquet(io.BytesIO(content))["metadata:serial"][0] == str(10**400)
    assert read_scores_table(content) == scores
