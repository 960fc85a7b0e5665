"""What a run was given and how it worked, in words: dataset, routes, stages, times, protocols."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rich.filesize import decimal

from ldp_core.archive import stage_key
from ldp_core.catalogue import group_problems
from ldp_core.report.measures import Measure, count_items, measure_of, order_of_metric
from ldp_core.report.model import PAIR, ReportItem, name_route, route_of, stages_by_route
from ldp_core.types import (
    BASELINE,
    BlurTruthKind,
    Catalogue,
    ImageRef,
    Item,
    RunSummary,
    Score,
    ScoringProtocol,
    SourceChanges,
    StageSpec,
)

MOST_VALUES: Final = 4
"""Distinct values that a line of the dataset card lists; it wraps in a window of 1366 px with more."""
TOTAL: Final = "total"
STAGES: Final = ("ingest", "read", "blur", "deblur", "baseline", "score", "write")
"""The stages whose time is known, in the order of the work; others follow."""
_TRUTHS: Final[Mapping[BlurTruthKind, str]] = {
    BlurTruthKind.UNSIGNED: "amount of blur, no sign",
    BlurTruthKind.SIGNED_COC_PX: "signed circle of confusion, px",
}
_MADE_BY: Final[Mapping[str, str]] = {"deblur": "restored by", "blur": "blur maps by"}
"""What a stage makes, as the sentence about a route says it; further stages keep their name."""
_NOT_SAID: Final = ("ingest", "score", BASELINE)
"""Stages that are the same whatever the route."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the dataset card; ``code`` where the text is an address or a digest."""

    name: str
    text: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class StageTime:
    """Seconds of one stage, and its share of the longest."""

    name: str
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class ProtocolUse:
    """A protocol, the metrics taken under it and over how many items."""

    protocol: ScoringProtocol
    metrics: str
    items: int


def describe_dataset(
    catalogue: Catalogue,
    digests: Mapping[str, str] | None = None,
    changes: SourceChanges = SourceChanges(),  # noqa: B008, frozen
) -> list[Fact]:
    """What a dataset is: where from, how many items of which kind, what truth comes with them.

    ``digests``: the digest of the archived pixels of each item that came through. ``changes``: what became of
    the sources since the run before.
    """
    items = catalogue.items
    masked = [item for item in items if item.mask]
    facts = [
        Fact("Source", catalogue.source, code=True),
        Fact("Layout", catalogue.layout),
        *_count_routes(catalogue),
        Fact("Changed since the run before", _name_items(changes.changed, changes.changed_items)),
        Fact("Vanished since the run before", _name_items(changes.vanished, changes.vanished_items)),
        Fact("Size", _list_sizes(items)),
        Fact("Pixels", _list_values(_name_pixels(item.left) for item in items)),
        Fact("Target", _share(items, [item for item in items if item.target], detail=_note_shift(items))),
        Fact("Blur truth", _share(items, [i for i in items if i.blur_truth], detail=_name_truths(items))),
        Fact("External results", _list_values(name for item in items for name in sorted(item.external))),
        Fact("Scored region", _list_values(item.score_region.name for item in items)),
        *([Fact("Mask", _share(items, masked, detail="white is scored"))] if masked else []),
        Fact("Encoded size", decimal(sum(item.size_bytes for item in items))),
        Fact("Digest of the pixels", _digest(digests or {}, total=len(items)), code=True),
    ]
    return [fact for fact in facts if fact.text]


def digest_items(digests: Mapping[str, str]) -> str:
    """SHA-256 of the lines ``<item id> <digest of its pixels>`` in id order: the same for the same
    pixels under the same ids, wherever they lie."""
    lines = (f"{item} {digest}\n" for item, digest in sorted(digests.items()))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def describe_run(run: RunSummary, items: Sequence[ReportItem]) -> dict[str, Any]:
    """What a page prints of a run besides its results, by the names of the template."""
    return {
        "run": run,
        "created": show_moment(run.created),
        "routes": _state_routes(run, items),
        "times": _list_times(run.seconds),
        "total_time": show_seconds(run.seconds[TOTAL]) if TOTAL in run.seconds else "",
        "protocols": _list_protocols(items),
        "measures": _list_measures(run, items),
        "stages": _list_stages(run),
        "problem_kinds": group_problems(run.problems),
    }


def show_seconds(seconds: float) -> str:
    """A duration for people: ``0.42 s``, ``3 min 05 s``, ``2 h 07 min``."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def show_moment(text: str) -> str:
    """An ISO 8601 moment for people; any other text as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".strip()


def _state_routes(run: RunSummary, items: Sequence[ReportItem]) -> list[str]:
    """A sentence for each route but that of pairs: how many items took it, and what made their results."""
    counts = Counter(item.route for item in items)
    methods = {
        route: {spec.stage: spec.method for spec in stages} for route, stages in stages_by_route(run).items()
    }
    return [
        _state_route(route, counts[route], total=len(items), methods=methods.get(route, {}))
        for route in sorted(counts)
        if route != PAIR
    ]


def _list_stages(run: RunSummary) -> list[tuple[StageSpec, str, str]]:
    """Every stage with its key; the last says which items it was for, where that is not all of them."""
    routes = stages_by_route(run)
    specs = {(spec.stage, stage_key(spec)): spec for stages in routes.values() for spec in stages}
    listed = []
    for (_, key), spec in specs.items():
        users = [name_route(route, 2) for route, stages in routes.items() if spec in stages]
        listed.append((spec, key, ", ".join(users) if len(users) < len(routes) else ""))
    return listed


def _list_times(seconds: Mapping[str, float]) -> list[StageTime]:
    """The stages' times in the order of the work, others after them; the total is shown apart."""
    names = [name for name in STAGES if name in seconds]
    names += [name for name in seconds if name not in (*STAGES, TOTAL)]
    stages = {name: seconds[name] for name in names}
    longest = max(stages.values(), default=0.0) or 1.0
    return [StageTime(name, show_seconds(value), value / longest) for name, value in stages.items()]


def _list_protocols(items: Sequence[ReportItem]) -> list[ProtocolUse]:
    """The protocols of all scores, those of the most items first."""
    scores_of: dict[ScoringProtocol, list[Score]] = {}
    for score in (score for item in items for score in item.scores):
        scores_of.setdefault(score.protocol, []).append(score)
    uses = [
        ProtocolUse(protocol, _list_labels({s.metric for s in scores}), len({s.item for s in scores}))
        for protocol, scores in scores_of.items()
    ]
    return sorted(uses, key=lambda use: (-use.items, use.protocol.name))


def _list_measures(run: RunSummary, items: Sequence[ReportItem]) -> list[Measure]:
    """Every metric in the report that has an explanation, in order."""
    metrics = {mean.metric for mean in run.metrics}
    metrics |= {score.metric for item in items for score in item.scores}
    return [m for m in map(measure_of, sorted(metrics, key=order_of_metric)) if m.meaning]


def _state_route(route: str, count: int, *, total: int, methods: Mapping[str, str]) -> str:
    subject = f"{count:,} of {count_items(total)} are {name_route(route, count)}"
    if count == total:
        subject = f"Every item is a {name_route(route)}"
    elif count == 1:
        subject = f"1 of {count_items(total)} is a {name_route(route)}"
    said = {**_MADE_BY, **{stage: f"{stage} by" for stage in methods if stage not in (*_MADE_BY, *_NOT_SAID)}}
    made = [f"{words} {methods[stage]}" for stage, words in said.items() if stage in methods]
    return f"{subject}: {', '.join(made)}." if made else f"{subject}."


def _count_routes(catalogue: Catalogue) -> list[Fact]:
    """Pairs, with what the catalogue refused; then the items of every other route that there are."""
    counts = Counter(route_of(item) for item in catalogue.items)
    refused = sum(problem.refuses_item for problem in catalogue.problems)
    pairs = f"{counts.pop(PAIR, 0):,}" + (f", {refused:,} more refused" if refused else "")
    named = [Fact(name_route(route, 2).capitalize(), f"{n:,}") for route, n in sorted(counts.items())]
    return [Fact(name_route(PAIR, 2).capitalize(), pairs), *named]


def _name_items(count: int, examples: Sequence[str]) -> str:
    """A count with a few ids; empty of none."""
    more = " and others" if count > MOST_VALUES else ""
    return f"{count_items(count)}: {', '.join(examples[:MOST_VALUES])}{more}" if count else ""


def _list_sizes(items: Iterable[Item]) -> str:
    sizes = sorted(((i.left.width, i.left.height) for i in items), key=lambda size: size[0] * size[1])
    if len(set(sizes)) <= MOST_VALUES:
        return _list_values(f"{width} x {height} px" for width, height in sizes)
    (width, height), (widest, highest) = sizes[0], sizes[-1]
    return f"{len(set(sizes))} sizes, {width} x {height} to {widest} x {highest} px"


def _name_pixels(ref: ImageRef) -> str:
    return f"{ref.bit_depth} bit {'grey' if ref.channels == 1 else 'RGB'}"


def _list_values(values: Iterable[str]) -> str:
    """Distinct values, the most frequent first, counted where there are several."""
    counts = Counter(values).most_common()
    if len(counts) <= 1:
        return "".join(value for value, _ in counts)
    named = [f"{value} ({count:,})" for value, count in counts[:MOST_VALUES]]
    return ", ".join(named) + (" and others" if len(counts) > MOST_VALUES else "")


def _share(items: Collection[Item], having: Collection[Item], *, detail: str) -> str:
    """How many of the items have something, as ``all``, ``none`` or a count."""
    total, count = len(items), len(having)
    what = name_route(PAIR, 2) if {route_of(item) for item in items} <= {PAIR} else "items"
    text = "none" if not count else f"all {what}" if count == total else f"{count:,} of {total:,} {what}"
    return f"{text}; {detail}" if count and detail else text


def _note_shift(items: Iterable[Item]) -> str:
    shifted = sum(not item.aligned for item in items if item.target)
    return f"displaced in {shifted:,}" if shifted else ""


def _name_truths(items: Iterable[Item]) -> str:
    return _list_values(_TRUTHS[item.blur_truth_kind] for item in items if item.blur_truth)


def _digest(digests: Mapping[str, str], *, total: int) -> str:
    partial = "" if len(digests) == total else f" ({count_items(len(digests))})"
    return digest_items(digests) + partial if digests else ""


def _list_labels(metrics: set[str]) -> str:
    return ", ".join(measure_of(metric).label for metric in sorted(metrics, key=order_of_metric))
