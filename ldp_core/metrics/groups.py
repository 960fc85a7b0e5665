"""Items in groups by what is known of them, such as their ISO, and means of their scores by group."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ldp_core.metrics.summary import (
    MeanDifference,
    PairedMeans,
    PairedScores,
    compare_means,
    compare_with,
    summarise,
)
from ldp_core.types import MeanScore, Metadatum, Score, read_number

MOST_GROUPS: Final = 12
"""Values of a column that are groups of their own; more numbers become ranges, more words no groups."""
_RANGES: Final = 4
"""Ranges of numbers that hold about equally many items: quarters still hold enough for intervals."""

Metadata = Mapping[str, Mapping[str, Metadatum]]
"""By item id: what is known of it, by name."""


@dataclass(frozen=True, slots=True)
class Group:
    """The items whose ``column`` has a value, or a value within a range."""

    column: str
    value: str
    items: frozenset[str]


@dataclass(frozen=True, slots=True)
class GroupMean:
    """A mean over the items of a group, and the mean gain over the input where there is one."""

    column: str
    value: str
    mean: MeanScore
    difference: MeanDifference | None


def find_groups(metadata: Metadata) -> list[Group]:
    """The groups of every column that parts the items, columns by name, values in their order.

    A column of one value parts nothing. A column of words with more than `MOST_GROUPS` values names items
    instead of parting them, unless it begins with a date: days, else months, else years are groups then.
    """
    columns: dict[str, dict[str, Metadatum]] = defaultdict(dict)
    for item, known in metadata.items():
        for name, value in known.items():
            columns[name][item] = value
    return [group for name in sorted(columns) for group in _part(name, columns[name])]


def summarise_groups(scores: Iterable[Score], groups: Sequence[Group]) -> list[GroupMean]:
    """Means of every metric, subject and protocol in every group, with bootstrap 95 % intervals."""
    listed = list(scores)
    means = []
    for group in groups:
        chosen = [score for score in listed if score.item in group.items]
        gains = {(d.metric, d.subject, d.protocol): d for d in compare_with(chosen)}
        means += [
            GroupMean(group.column, group.value, mean, gains.get((mean.metric, mean.subject, mean.protocol)))
            for mean in summarise(chosen)
        ]
    return means


def compare_groups(
    paired: PairedScores, groups: Sequence[Group]
) -> list[tuple[Group, tuple[PairedMeans, ...]]]:
    """Second minus first in every group, over its items that two runs share."""
    found = []
    for group in groups:
        kept = {
            key: {item: values for item, values in pairs.items() if item in group.items}
            for key, pairs in paired.pairs.items()
        }
        chosen = replace(paired, pairs={key: pairs for key, pairs in kept.items() if pairs})
        found.append((group, compare_means(chosen)))
    return found


def _part(column: str, values: Mapping[str, Metadatum]) -> list[Group]:
    numbers = {item: read_number(value) for item, value in values.items()}
    known = {item: number for item, number in numbers.items() if number is not None}
    if len(known) == len(values):
        return _part_numbers(column, known)
    texts = {item: str(value) for item, value in values.items()}
    if len(set(texts.values())) > MOST_GROUPS:
        texts = _shorten_dates(texts)
    return _group(column, texts, sorted(set(texts.values())))


def _part_numbers(column: str, values: Mapping[str, float]) -> list[Group]:
    distinct = sorted(set(values.values()))
    if len(distinct) <= MOST_GROUPS:
        return _group(column, {i: f"{v:g}" for i, v in values.items()}, [f"{v:g}" for v in distinct])
    inner = np.quantile(list(values.values()), [n / _RANGES for n in range(1, _RANGES)], method="lower")
    ends = sorted({distinct[-1], *map(float, inner)})
    starts = [distinct[0], *(min(v for v in distinct if v > end) for end in ends[:-1])]
    names = [f"{low:g} to {high:g}" for low, high in zip(starts, ends, strict=True)]
    places = {item: names[int(np.searchsorted(ends, value))] for item, value in values.items()}
    return _group(column, places, names)


def _shorten_dates(texts: Mapping[str, str]) -> dict[str, str]:
    """ISO dates by day, month or year, the finest that gives few groups; no groups of other texts."""
    if all(text[:4].isdecimal() and text[4:5] == "-" for text in texts.values()):
        for length in (10, 7, 4):
            short = {item: text[:length] for item, text in texts.items()}
            if len(set(short.values())) <= MOST_GROUPS:
                return short
    return {}


def _group(column: str, values: Mapping[str, str], order: Collection[str]) -> list[Group]:
    if len(order) < 2:
        return []
    members: dict[str, set[str]] = {value: set() for value in order}
    for item, value in values.items():
        members[value].add(item)
    return [Group(column, value, frozenset(items)) for value, items in members.items()]
