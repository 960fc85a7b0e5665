"""Two sets of scores over the same items, paired item by item; protocols are never crossed.

Scores are paired only where item, metric, subject and the whole protocol agree, so that a difference
is one of methods and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ldp_core.errors import MetricError
from ldp_core.metrics.bootstrap import difference_interval, mean_interval
from ldp_core.metrics.scoring import BLUR_MAP, RESTORED
from ldp_core.metrics.summary import MeanDifference, pool_sizes, rank_key
from ldp_core.types import Score, ScoringProtocol

Key = tuple[str, str, ScoringProtocol]
"""Metric, subject, protocol."""
ItemPairs = Mapping[str, tuple[float, float]]
"""First and second value by item."""


@dataclass(frozen=True, slots=True)
class PairedMeans:
    """Both means over the items they share, and the mean of second minus first with its interval."""

    first: float
    second: float
    difference: MeanDifference


@dataclass(frozen=True, slots=True)
class Refusal:
    """Scores of one metric and subject that do not compare: their protocols differ for ``items`` items."""

    metric: str
    subject: str
    first: str
    second: str
    items: int


@dataclass(frozen=True, slots=True)
class PairedScores:
    """What two runs' scores have in common. ``pairs`` are in the order of tables."""

    pairs: Mapping[Key, ItemPairs]
    refusals: tuple[Refusal, ...]
    common: frozenset[str]
    only_first: frozenset[str]
    only_second: frozenset[str]


def pair_scores(first: Iterable[Score], second: Iterable[Score]) -> PairedScores:
    """Pair the scores of two runs.

    Raises:
        MetricError: an item is scored twice under one protocol, or the runs share items and no protocol.
    """
    ours, theirs = _index(first), _index(second)
    items, others = ({score.item for score in scores.values()} for scores in (ours, theirs))
    shared = [place for place in ours if place in theirs]
    refusals = _refuse(ours, theirs)
    if not shared and refusals:
        raise _no_protocol(refusals)
    return PairedScores(
        pairs=_pool([ours[place] for place in shared], theirs),
        refusals=refusals,
        common=frozenset(items & others),
        only_first=frozenset(items - others),
        only_second=frozenset(others - items),
    )


def compare_means(paired: PairedScores) -> tuple[PairedMeans, ...]:
    """Second minus first for everything that may differ; an input equal in both is left out."""
    rows = ((key, pairs) for key, pairs in paired.pairs.items() if _may_differ(key, pairs))
    return tuple(_compare(key, pairs) for key, pairs in rows)


def _index(scores: Iterable[Score]) -> dict[tuple[str, Key], Score]:
    found: dict[tuple[str, Key], Score] = {}
    for score in scores:
        place = score.item, (score.metric, score.subject, score.protocol)
        if place in found:
            raise MetricError(
                "an item is scored twice under one protocol",
                where=score.item,
                got=f"{score.metric} of {score.subject}, {score.protocol.name}",
            )
        found[place] = score
    return found


def _pool(ours: list[Score], theirs: Mapping[tuple[str, Key], Score]) -> dict[Key, ItemPairs]:
    groups: dict[Key, dict[str, tuple[float, float]]] = {}
    for score, pooled in zip(ours, pool_sizes(ours), strict=True):
        other = theirs[score.item, (score.metric, score.subject, score.protocol)]
        group = groups.setdefault((pooled.metric, pooled.subject, pooled.protocol), {})
        group[score.item] = score.value, other.value
    return {key: groups[key] for key in sorted(groups, key=rank_key)}


def _refuse(
    ours: Mapping[tuple[str, Key], Score], theirs: Mapping[tuple[str, Key], Score]
) -> tuple[Refusal, ...]:
    """Where an item has a metric of a subject in both, but under no protocol that both used."""
    first, second = _protocols(ours), _protocols(theirs)
    counts: dict[Refusal, int] = {}
    for place in first.keys() & second.keys():
        if not first[place] & second[place]:
            _, metric, subject = place
            names = [", ".join(sorted(p.name for p in side[place])) for side in (first, second)]
            refusal = Refusal(metric, subject, names[0], names[1], items=0)
            counts[refusal] = counts.get(refusal, 0) + 1
    found = (replace(refusal, items=count) for refusal, count in counts.items())
    return tuple(sorted(found, key=lambda r: (r.metric, r.subject, r.first, r.second)))


def _protocols(scores: Mapping[tuple[str, Key], Score]) -> dict[tuple[str, str, str], set[ScoringProtocol]]:
    found: dict[tuple[str, str, str], set[ScoringProtocol]] = {}
    for item, (metric, subject, protocol) in scores:
        found.setdefault((item, metric, subject), set()).add(protocol)
    return found


def _may_differ(key: Key, pairs: ItemPairs) -> bool:
    return key[1] in (RESTORED, BLUR_MAP) or any(a != b for a, b in pairs.values())


def _compare(key: Key, pairs: ItemPairs) -> PairedMeans:
    first, second = ([pairs[item][side] for item in sorted(pairs)] for side in (0, 1))
    interval = difference_interval(second, first)
    metric, subject, protocol = key
    difference = MeanDifference(metric, subject, "first", protocol.name, *interval, n=len(pairs))
    return PairedMeans(mean_interval(first).mean, mean_interval(second).mean, difference)


def _no_protocol(refusals: tuple[Refusal, ...]) -> MetricError:
    worst = refusals[0]
    return MetricError(
        "these runs were scored under different protocols; their scores do not compare",
        where=f"{worst.metric} of {worst.subject}",
        expected=worst.first,
        got=worst.second,
        remedy="restore both with the same version, over the same pictures",
    )
