"""The page that compares two runs: differences by metric, and pictures of the items that differ most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from markupsafe import Markup
from scipy.ndimage import uniform_filter

from ldp_core.metrics.groups import Group, compare_groups
from ldp_core.metrics.summary import (
    ItemPairs,
    Key,
    PairedMeans,
    PairedScores,
    compare_means,
    compare_pairs,
)
from ldp_core.protocols import is_named
from ldp_core.report.measures import count_items, measure_of, name_subject, order_of_metric, order_of_subject
from ldp_core.report.page import STYLES, content_policy, join_assets, load_template, write_page
from ldp_core.report.pictures import encode_photograph
from ldp_core.report.summary import Gain
from ldp_core.single_view import input_image
from ldp_core.types import Pair, Pixels, RunSummary

CUT_PX: Final = 192
"""Height and width of a cut-out, or the picture's where it is smaller: four fit side by side at 1:1 in a
window of 1366 px, and each is large enough to recognise what is shown."""


@dataclass(frozen=True, slots=True)
class StageChange:
    """A fact of a stage that two runs do not share."""

    stage: str
    name: str
    first: Any
    second: Any


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One item by the headline metric; ``gain`` is positive where the second run is better.

    ``pictures``: address relative to the page by the names of :func:`draw_difference`.
    """

    item: str
    first: float
    second: float
    gain: float
    pictures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DifferenceRow:
    """One metric of one subject under one protocol; a gain is positive where the second run is better.

    ``verdict`` is ``better`` or ``worse`` where that can be claimed, else ``unclear``.
    """

    subject: str
    protocol: str
    n: int
    first: str
    second: str
    gain: Gain

    @property
    def verdict(self) -> str:
        return self.gain.verdict if self.gain.verdict in ("better", "worse") else "unclear"


def write_comparison(
    url: str,
    runs: tuple[RunSummary, RunSummary],
    paired: PairedScores,
    *,
    names: tuple[str, str],
    groups: Sequence[Group],
    changes: Sequence[StageChange],
    gains: Sequence[ItemChange],
    losses: Sequence[ItemChange],
    other_content: Sequence[str] = (),
) -> str:
    """Write the page below ``url``, beside the pictures of the items; returns its address.

    ``names`` are what readers see of the runs; ``groups`` part the items, each for a row of its own.
    ``other_content``: items, with their versions, that are not compared because their sources changed.

    Raises:
        StorageError: the place cannot be written.
    """
    style = Markup(join_assets(*STYLES, "comparison.css"))
    headline, rows = choose_headline(paired), list_rows(paired)
    page = load_template("comparison.html.j2").render(
        first=runs[0],
        second=runs[1],
        paired=paired,
        changes=changes,
        other_content=other_content,
        sections=[("Largest gains", gains), ("Largest losses", losses)],
        rows=rows,
        names=names,
        groups=[
            (group, rows) for group, means in compare_groups(paired, groups) if (rows := _of_headline(means))
        ],
        lead=state_result(rows, names),
        measure=measure_of(headline[0]) if headline else None,
        headline=headline,
        style=style,
        policy=content_policy(style),
    )
    return write_page(url, page)


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


def compare_headline(paired: PairedScores) -> PairedMeans | None:
    """Second minus first of the headline metric, over pictures of all sizes; None where there is none."""
    headline = choose_headline(paired)
    return None if headline is None else compare_pairs(headline, _of_all_sizes(paired, headline))


def state_result(rows: Sequence[DifferenceRow], names: tuple[str, str]) -> tuple[str, str]:
    """The result in one sentence, and its verdict."""
    row = next((row for row in rows if row.subject == "Restored"), rows[0] if rows else None)
    if row is None:
        return "These runs share no score of which higher or lower is better.", ""
    says = {
        "better": f"{names[1]} is better than {names[0]} by",
        "worse": f"{names[1]} is worse than {names[0]} by",
        "unclear": f"{names[1]} and {names[0]} do not clearly differ:",
    }[row.verdict]
    terms = f"95 % interval {row.gain.interval}, {count_items(row.n)}"
    return f"{says} {row.gain.amount} ({terms}).", row.verdict


def draw_difference(pair: Pair, first: Pixels, second: Pixels) -> dict[str, bytes]:
    """File name -> JPEG: ``input``, ``first``, ``second`` and ``target`` (if any), each also as ``-cut``."""
    named = {"input": input_image(pair), "first": first, "second": second, "target": pair.target}
    pictures = {name: pixels for name, pixels in named.items() if pixels is not None}
    cut = find_difference(first, second)
    files = {f"{name}.jpg": encode_photograph(pixels) for name, pixels in pictures.items()}
    return files | {f"{name}-cut.jpg": encode_photograph(pixels[cut]) for name, pixels in pictures.items()}


def find_difference(first: Pixels, second: Pixels) -> tuple[slice, slice]:
    """Rows and columns of the cut-out in which the two differ most, by mean absolute difference."""
    difference = np.abs(first.astype(np.float32) - second.astype(np.float32)).mean(axis=2)
    sides = tuple(min(CUT_PX, side) for side in difference.shape)
    means = uniform_filter(difference, size=sides, mode="constant")
    middles = tuple(
        slice(n // 2, side - (n - 1) // 2) for n, side in zip(sides, difference.shape, strict=True)
    )
    inner = means[middles]
    top, left = np.unravel_index(int(np.argmax(inner)), inner.shape)
    return slice(int(top), int(top) + sides[0]), slice(int(left), int(left) + sides[1])


def difference_paths(item_id: str, files: Mapping[str, bytes]) -> dict[str, str]:
    """Where the pictures lie below the page, by picture name."""
    return {file.removesuffix(".jpg"): f"items/{item_id}/{file}" for file in files}


def _build_row(row: PairedMeans) -> DifferenceRow:
    difference, measure = row.difference, measure_of(row.difference.metric)
    return DifferenceRow(
        subject=name_subject(difference.subject),
        protocol=difference.protocol,
        n=difference.n,
        first=measure.show(row.first),
        second=measure.show(row.second),
        gain=Gain.of(difference),
    )


def _of_headline(means: Iterable[PairedMeans]) -> list[DifferenceRow]:
    """The rows of the restored images by the first metric that has a direction."""
    shown = [
        m for m in means if m.difference.subject == "restored" and measure_of(m.difference.metric).better
    ]
    shown = [m for m in shown if not is_named(m.difference.protocol)]
    first = min((m.difference.metric for m in shown), key=order_of_metric, default="")
    return [_build_row(m) for m in shown if m.difference.metric == first]


def _of_all_sizes(paired: PairedScores, headline: Key) -> ItemPairs:
    """The headline's pairs, of pictures of every size: differences within an item do compare."""
    metric, subject, protocol = headline
    alike = (
        pairs
        for (m, s, p), pairs in paired.pairs.items()
        if (m, s, p.alignment, p.variant) == (metric, subject, protocol.alignment, protocol.variant)
    )
    return {item: values for pairs in alike for item, values in pairs.items()}


def _headline_rank(key: Key) -> tuple[bool, tuple[int, int, str], bool, bool]:
    metric, subject, protocol = key
    aligned = protocol.alignment != "none"
    return subject != "restored", order_of_metric(metric), is_named(protocol.variant), not aligned


def _row_rank(row: PairedMeans) -> tuple[tuple[int, int, str], tuple[int, str], str]:
    difference = row.difference
    return order_of_metric(difference.metric), order_of_subject(difference.subject), difference.protocol
