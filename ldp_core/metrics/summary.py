"""Scores of many items: means with intervals, differences to a baseline, two runs compared, and the table.

Scores are averaged and paired only within one metric, subject and protocol, so that a difference is one of
methods and of nothing else. The size of the pictures is part of the protocol, so a set with portrait and
landscape pictures has two rows. A set of more than ``MOST_SIZES`` sizes would drown in rows: there every
picture counts at its own size, and the protocol says ``native sizes`` instead of a size.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

from ldp_core.errors import MetricError
from ldp_core.metrics.bootstrap import Interval, difference_interval, mean_interval
from ldp_core.metrics.scoring import BLUR_MAP, INPUT, RESTORED, SUBJECTS, metric_names
from ldp_core.types import MeanScore, Metadatum, Score, ScoringProtocol, is_long

MOST_SIZES = 4
NATIVE = "native sizes"
FEWEST_CLAIMED = 5
"""Items below which no difference is claimed: resampling fewer says little of their spread."""

Key = tuple[str, str, ScoringProtocol]
"""Metric, subject, protocol."""
ItemPairs = Mapping[str, tuple[float, float]]
"""First and second value by item."""
_Values = Mapping[str, float]

_TABLE_KEYS = ["item", "metric", "subject", "protocol"]
_PROTOCOL_FIELDS = [field.name for field in fields(ScoringProtocol)]
_NAME = "name"
_METADATA = "metadata:"
_COLUMNS = [*_TABLE_KEYS, "value", *_PROTOCOL_FIELDS]


@dataclass(frozen=True, slots=True)
class MeanDifference:
    """The mean over ``n`` items of subject minus baseline, with a paired bootstrap 95 % interval."""

    metric: str
    subject: str
    baseline: str
    protocol: str
    mean: float
    low: float
    high: float
    n: int

    @property
    def claimed(self) -> bool:
        """Whether the interval excludes 0 and rests on enough items; otherwise no difference is claimed."""
        return self.n >= FEWEST_CLAIMED and Interval(self.mean, self.low, self.high).excludes_zero


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


def summarise(scores: Iterable[Score]) -> tuple[MeanScore, ...]:
    """One row per metric, subject and protocol, in the order of tables.

    Raises:
        MetricError: an item has two scores under one key, or a value is not finite.
    """
    groups = group_scores(scores)
    return tuple(
        MeanScore(key[0], key[1], key[2].name, *_mean(groups[key]), n=len(groups[key]))
        for key in sorted(groups, key=rank_key)
    )


def compare_with(scores: Iterable[Score], *, baseline: str = INPUT) -> tuple[MeanDifference, ...]:
    """The difference of each subject to the baseline, over the items that both have under one protocol.

    Raises:
        MetricError: as for ``summarise``.
    """
    groups = group_scores(scores)
    pairs = ((key, (key[0], baseline, key[2])) for key in sorted(groups, key=rank_key))
    differences = (
        _difference(key, groups[key], groups[other], baseline=baseline)
        for key, other in pairs
        if key != other and other in groups
    )
    return tuple(difference for difference in differences if difference is not None)


def group_scores(scores: Iterable[Score]) -> dict[Key, dict[str, float]]:
    """Values by item for every metric, subject and protocol, as the means are taken.

    Raises:
        MetricError: an item has two scores under one key.
    """
    groups: dict[Key, dict[str, float]] = defaultdict(dict)
    for score in pool_sizes(list(scores)):
        values = groups[score.metric, score.subject, score.protocol]
        if score.item in values:
            raise _scored_twice(score)
        values[score.item] = score.value
    return dict(groups)


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
    return tuple(compare_pairs(key, pairs) for key, pairs in rows)


def compare_pairs(key: Key, pairs: ItemPairs) -> PairedMeans:
    """Second minus first of the pairs of one key."""
    first, second = ([pairs[item][side] for item in sorted(pairs)] for side in (0, 1))
    interval = difference_interval(second, first)
    metric, subject, protocol = key
    difference = MeanDifference(metric, subject, "first", protocol.name, *interval, n=len(pairs))
    return PairedMeans(mean_interval(first).mean, mean_interval(second).mean, difference)


def scores_table(
    scores: Iterable[Score],
    names: Mapping[str, str] | None = None,
    metadata: Mapping[str, Mapping[str, Metadatum]] | None = None,
) -> bytes:
    """Scores as a Parquet file: a row each, in order of item, metric, subject and protocol.

    Columns ``item, metric, subject, protocol, value``, then the fields the protocol's name is made of, then
    ``name``, what the source calls the item, where ``names`` by item id are given, and a column
    ``metadata:<name>`` for everything that ``metadata`` by item id tells of an item.
    """
    # Here, for training imports the metrics and needs no tables.
    import pandas as pd

    types = dict.fromkeys(_COLUMNS, "str") | {"value": "float64", "bit_depth": "int64"}
    table = pd.DataFrame([_row(score) for score in scores], columns=_COLUMNS).astype(types)
    if names is not None:
        table[_NAME] = table["item"].map(lambda item: names.get(item, item)).astype("str")
    columns = dict.fromkeys(name for known in (metadata or {}).values() for name in known)
    for column in sorted(columns):
        values = {item: known[column] for item, known in (metadata or {}).items() if column in known}
        of_type: Any = _type_of(values.values())
        table[_METADATA + column] = table["item"].map(values).astype(of_type)
    return table.sort_values(_TABLE_KEYS).to_parquet(engine="pyarrow", compression="zstd", index=False)


def read_scores_table(content: bytes) -> list[Score]:
    """The scores of a table written by ``scores_table``.

    Raises:
        MetricError: it is not such a table.
    """
    import pandas as pd

    try:
        table = pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    except (OSError, ValueError) as error:
        raise MetricError("not a Parquet table of scores", got=str(error)) from error
    if [c for c in table.columns if c != _NAME and not c.startswith(_METADATA)] != _COLUMNS:
        raise MetricError(
            "not a table of scores", expected=", ".join(_COLUMNS), got=", ".join(map(str, table.columns))
        )
    protocols = (table[name].tolist() for name in _PROTOCOL_FIELDS)
    shared = lru_cache(maxsize=None)(ScoringProtocol)  # of a million rows a handful differ
    columns = (table[name].tolist() for name in ("item", "metric", "subject", "value"))
    return [
        Score(item, metric, subject, shared(*protocol), value)
        for item, metric, subject, value, protocol in zip(*columns, zip(*protocols, strict=True), strict=True)
    ]


def _type_of(values: Iterable[Metadatum]) -> str:
    """The column type that holds all of these, and gaps; text where they are of several kinds."""
    kinds = {str if is_long(value) else type(value) for value in values}
    named = {frozenset({bool}): "boolean", frozenset({int}): "Int64"}
    return named.get(frozenset(kinds), "Float64" if kinds <= {int, float} else "string")


def pool_sizes(scores: Sequence[Score]) -> Sequence[Score]:
    """The scores themselves, or under ``native sizes`` where they are of too many sizes for a table."""
    if len({score.protocol.size for score in scores}) <= MOST_SIZES:
        return scores
    return [replace(score, protocol=replace(score.protocol, size=NATIVE)) for score in scores]


def rank_key(key: Key) -> tuple[int, str, str, int, str]:
    """Sort key of a metric, subject and protocol: the order of tables."""
    metric, subject, protocol = key
    return _place(metric, metric_names()), metric, protocol.name, _place(subject, SUBJECTS), subject


def _difference(key: Key, ours: _Values, theirs: _Values, *, baseline: str) -> MeanDifference | None:
    common = sorted(set(ours) & set(theirs))
    if not common:
        return None
    mean, low, high = difference_interval([ours[i] for i in common], [theirs[i] for i in common])
    return MeanDifference(key[0], key[1], baseline, key[2].name, mean, low, high, len(common))


def _mean(values: _Values) -> Interval:
    return mean_interval([values[item] for item in sorted(values)])


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)


def _index(scores: Iterable[Score]) -> dict[tuple[str, Key], Score]:
    found: dict[tuple[str, Key], Score] = {}
    for score in scores:
        place = score.item, (score.metric, score.subject, score.protocol)
        if place in found:
            raise _scored_twice(score)
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


def _scored_twice(score: Score) -> MetricError:
    return MetricError(
        "an item is scored twice under one protocol",
        where=score.item,
        got=f"{score.metric} of {score.subject}, {score.protocol.name}",
        remedy="take the scores of one run at a time",
    )


def _no_protocol(refusals: tuple[Refusal, ...]) -> MetricError:
    worst = refusals[0]
    return MetricError(
        "these runs were scored under different protocols; their scores do not compare",
        where=f"{worst.metric} of {worst.subject}",
        expected=worst.first,
        got=worst.second,
        remedy="restore both with the same version, over the same pictures",
    )


def _row(score: Score) -> dict[str, object]:
    return {
        "item": score.item,
        "metric": score.metric,
        "subject": score.subject,
        "protocol": score.protocol.name,
        "value": score.value,
        **asdict(score.protocol),
    }
