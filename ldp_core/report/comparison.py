"""What a page that compares two runs prints: differences by metric, and the items that differ most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from ldp_core.metrics.summary import ItemPairs, Key, PairedMeans, PairedScores, compare_means
from ldp_core.report.measures import Measure, measure_of, name_subject, order_of_metric, order_of_subject
from ldp_core.report.plots import draw_interval


@dataclass(frozen=True, slots=True)
class StageChange:
    """A fact of a stage that two runs do not share."""

    stage: str
    name: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One item by the headline metric; ``gain`` is positive where the second run is better."""

    item: str
    first: float
    second: float
    gain: float
    pictures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One metric of one subject as the page prints it; a gain is positive where the second is better."""

    label: str
    unit: str
    subject: str
    protocol: str
    n: int
    first: str
    second: str
    gain: str
    interval: str
    verdict: str
    chart: Markup


def choose_headline(paired: PairedScores) -> Key | None:
    """What items are ordered by: of the metrics with a direction the first in the order of tables, of the
    restored image before the blur map, after a shift search where there is one."""
    keys = [key for key in paired.pairs if measure_of(key[0]).better and key[1] in ("restored", "blur_map")]
    return min(keys, key=_headline_rank, default=None)


def list_changes(paired: PairedScores, *, most: int) -> tuple[tuple[ItemChange, ...], tuple[ItemChange, ...]]:
    """The items with the largest gains, and those with the largest losses, at most ``most`` of each."""
    if (headline := choose_headline(paired)) is None:
        return (), ()
    measure, values = measure_of(headline[0]), _of_all_sizes(paired, headline)
    changes = [ItemChange(i, a, b, measure.gain(b, over=a)) for i, (a, b) in sorted(values.items())]
    ordered = sorted(changes, key=lambda change: -change.gain)
    gains = tuple(change for change in ordered[:most] if change.gain > 0)
    return gains, tuple(change for change in ordered[::-1][:most] if change.gain < 0)


def list_rows(paired: PairedScores) -> list[DifferenceRow]:
    """A row per metric, subject and protocol, in the order of the report."""
    means = [row for row in compare_means(paired) if measure_of(row.difference.metric).better]
    return [_build_row(row) for row in sorted(means, key=_row_rank)]


def judge(row: PairedMeans, measure: Measure) -> str:
    """``better`` or ``worse`` for the second run where that can be claimed, else ``unclear``."""
    if not row.difference.claimed:
        return "unclear"
    return "better" if measure.gain(row.difference.mean, over=0.0) > 0 else "worse"


def _build_row(row: PairedMeans) -> DifferenceRow:
    difference, measure = row.difference, measure_of(row.difference.metric)
    bounds = (measure.gain(value, over=0.0) for value in (difference.low, difference.mean, difference.high))
    low, mean, high = sorted(bounds)
    reach = max(abs(low), abs(high)) * 1.08 or 1.0
    return DifferenceRow(
        label=measure.label,
        unit=measure.unit,
        subject=name_subject(difference.subject),
        protocol=difference.protocol,
        n=difference.n,
        first=measure.show(row.first),
        second=measure.show(row.second),
        gain=measure.show_gain(mean),
        interval=f"{measure.show_gain(low)} to {measure.show_gain(high)}",
        verdict=judge(row, measure),
        chart=draw_interval((low, mean, high), axis=(-reach, reach), mark=0.0),
    )


def _of_all_sizes(paired: PairedScores, headline: Key) -> ItemPairs:
    """The headline's pairs, of pictures of every size: differences within an item do compare."""
    metric, subject, protocol = headline
    alike: Iterable[ItemPairs] = (
        pairs
        for (m, s, p), pairs in paired.pairs.items()
        if (m, s, p.alignment, p.variant) == (metric, subject, protocol.alignment, protocol.variant)
    )
    return {item: values for pairs in alike for item, values in pairs.items()}


def _headline_rank(key: Key) -> tuple[bool, tuple[int, int, str], bool]:
    return key[1] != "restored", order_of_metric(key[0]), key[2].alignment == "none"


def _row_rank(row: PairedMeans) -> tuple[tuple[int, int, str], tuple[int, str], str]:
    difference = row.difference
    return order_of_metric(difference.metric), order_of_subject(difference.subject), difference.protocol


def state_result(rows: Sequence[DifferenceRow]) -> tuple[str, str]:
    """The result in one sentence, and its verdict."""
    row = next((row for row in rows if row.subject == "Restored"), rows[0] if rows else None)
    if row is None:
        return "No score of these runs has a direction to compare by.", ""
    says = {
        "better": "The second run is better by",
        "worse": "The second run is worse by",
        "unclear": "The runs cannot be told apart:",
    }[row.verdict]
    items = "1 item" if row.n == 1 else f"{row.n} items"
    amount = f"{row.gain} {row.unit}".strip()
    return f"{says} {amount} {row.label} (95 % interval {row.interval}, {items}).", row.verdict
