"""The page on drift: every signal earlier and now, what could not be compared, and all of it over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from ldp_core.metrics.drift import Quartiles, Samples
from ldp_core.report.charts import draw_histogram, draw_interval
from ldp_core.report.page import STYLES, content_policy, join_assets, load_template, write_page


@dataclass(frozen=True, slots=True)
class PastRun:
    """An earlier run: when it began, how many items it has, and the quartiles of its signals."""

    run_id: str
    started: str
    items: int
    signals: Mapping[str, Quartiles]


def write_drift(
    url: str, values: Mapping[str, Any], earlier: Samples, now: Samples, past: Sequence[PastRun]
) -> str:
    """Write the page below ``url``; returns its address. ``values`` are those of `flows.drift.judge_drift`.

    Raises:
        StorageError: the place cannot be written.
    """
    style = Markup(join_assets(*STYLES, "comparison.css", "drift.css"))
    rows = sorted(values["signals"], key=lambda row: not row["drifted"])
    page = load_template("drift.html.j2").render(
        values=values,
        rows=[(row, _draw(row, earlier, now)) for row in rows],
        timelines=[(row, _draw_past(row, past)) for row in values["signals"] if row["group"] == "all items"],
        style=style,
        policy=content_policy(style),
    )
    return write_page(url, page)


def _draw(row: Mapping[str, Any], earlier: Samples, now: Samples) -> Markup:
    key, scale = (row["signal"], row["group"]), len(earlier[row["signal"], row["group"]])
    # As many of either, so that the shapes compare.
    most = min(scale, len(now[key]))
    label = f"{row['signal']}, {row['group']}: bars earlier, outline now"
    return draw_histogram(_thin(earlier[key], most), _thin(now[key], most), label=label, title=row["signal"])


def _thin(values: Sequence[float], most: int) -> list[float]:
    """At most so many values that have the same quantiles."""
    ordered = sorted(values)
    return [ordered[(2 * n + 1) * len(ordered) // (2 * most)] for n in range(most)]


def _draw_past(row: Mapping[str, Any], past: Sequence[PastRun]) -> list[tuple[PastRun, Quartiles, Markup]]:
    known = [(run, run.signals[row["signal"]]) for run in past if row["signal"] in run.signals]
    now = Quartiles(**row["now"])
    bounds = [now, *(quartiles for _, quartiles in known)]
    axis = min(q.low for q in bounds), max(q.high for q in bounds)
    return [(run, q, draw_interval(q, axis=axis, mark=now.median)) for run, q in known]
