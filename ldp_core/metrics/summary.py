"""Means over items, with intervals, and differences to a baseline.

Scores are averaged only within one metric, subject and protocol. The size of the pictures is part of
the protocol, so a set with portrait and landscape pictures has two rows. A set of more than
``MOST_SIZES`` sizes would drown in rows: there every picture counts at its own size, and the
protocol says ``native sizes`` instead of a size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ldp_core.errors import MetricError
from ldp_core.metrics.bootstrap import Interval, difference_interval, mean_interval
from ldp_core.metrics.scoring import INPUT, METRICS, SUBJECTS
from ldp_core.types import MeanScore, Score, ScoringProtocol

MOST_SIZES = 4
NATIVE = "native sizes"
FEWEST_CLAIMED = 5
"""Items below which no difference is claimed: resampling so few says little of their spread."""

_Key = tuple[str, str, ScoringProtocol]
_Values = Mapping[str, float]


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
    """Each subject minus the baseline, over the items that both have under one protocol.

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


def group_scores(scores: Iterable[Score]) -> dict[_Key, dict[str, float]]:
    """Values by item for every metric, subject and protocol, as the means are taken.

    Raises:
        MetricError: an item has two scores under one key.
    """
    groups: dict[_Key, dict[str, float]] = defaultdict(dict)
    for score in pool_sizes(list(scores)):
        values = groups[score.metric, score.subject, score.protocol]
        if score.item in values:
            raise MetricError(
                "an item is scored twice under one protocol",
                where=score.item,
                got=f"{score.metric} of {score.subject}, {score.protocol.name}",
                remedy="summarise the scores of one run at a time",
            )
        values[score.item] = score.value
    return dict(groups)


def _difference(key: _Key, ours: _Values, theirs: _Values, *, baseline: str) -> MeanDifference | None:
    common = sorted(set(ours) & set(theirs))
    if not common:
        return None
    mean, low, high = difference_interval([ours[i] for i in common], [theirs[i] for i in common])
    return MeanDifference(key[0], key[1], baseline, key[2].name, mean, low, high, len(common))


def _mean(values: _Values) -> Interval:
    return mean_interval([values[item] for item in sorted(values)])


def pool_sizes(scores: Sequence[Score]) -> Sequence[Score]:
    """The scores themselves, or under ``native sizes`` where they are of too many sizes for a table."""
    if len({score.protocol.size for score in scores}) <= MOST_SIZES:
        return scores
    return [replace(score, protocol=replace(score.protocol, size=NATIVE)) for score in scores]


def rank_key(key: _Key) -> tuple[int, str, str, int, str]:
    """Sort key of a metric, subject and protocol: the order of tables."""
    metric, subject, protocol = key
    return _place(metric, METRICS), metric, protocol.name, _place(subject, SUBJECTS), subject


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
