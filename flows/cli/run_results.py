"""What a run, and the plan of one, look like in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from flows.cli import console
from ldp_core.errors import count_of
from ldp_core.traffic import Traffic
from ldp_core.types import GENERIC_CAMERA

if TYPE_CHECKING:
    from tasks.costs import Prices

_ITEMS_NAMED = 5
"""Changed, and vanished, items named in a terminal; `--json` has more, `items.jsonl` the version of each."""
_SIZES_SHOWN = 3
"""Picture sizes of a plan whose memory is shown, largest first: these decide whether a run fits."""


def print_summary(summary: Mapping[str, Any], prices: Prices) -> None:
    """A finished run: means with intervals, counts, what was quarantined, its cost, where the report is."""
    if summary["metrics"]:
        console.show_means(summary["metrics"])
    counts = summary["items"]
    console.show(
        f"{count_of(counts['total'], 'item')}: {counts['computed']} computed, {counts['skipped']} skipped, "
        f"{counts['quarantined']} quarantined, in {console.format_duration(summary['seconds']['total'])}"
    )
    _print_sources(summary["sources"])
    console.show_problems(summary["problem_kinds"])
    console.show_problems(summary["quarantine_kinds"], style="red")
    _print_traffic(summary, prices)
    if summary["report"]:
        console.show(f"report: {summary['report']}")


def _print_sources(sources: Mapping[str, Any]) -> None:
    """How many items changed or vanished since the run before, with examples; nothing where none did."""
    if sources["changed"] or sources["vanished"]:
        console.show(f"sources: {sources['changed']} changed, {sources['vanished']} vanished")
    for what in ("changed", "vanished"):
        for item in sources[f"{what}_items"][:_ITEMS_NAMED]:
            console.show(f"  {what}: {item}")


def _print_traffic(summary: Mapping[str, Any], prices: Prices) -> None:
    """Requests, bytes, and what these and the seconds of workers cost."""
    from tasks.costs import price

    traffic = Traffic(**summary["traffic"])
    worked = sum(seconds for stage, seconds in summary["seconds"].items() if stage != "total")
    cost = price(traffic, prices, core_seconds=worked)
    read, written = (console.format_size(size) for size in (traffic.bytes_in, traffic.bytes_out))
    console.show(f"requests: {_list_requests(summary['traffic'])}; {read} read, {written} written")
    console.show(f"cost: {_describe_cost(asdict(cost) | {'once': cost.once})}")


def _list_requests(traffic: Mapping[str, int]) -> str:
    named = {kind.upper()[:-1]: traffic[kind] for kind in ("puts", "gets", "heads", "lists", "deletes")}
    return ", ".join(f"{count:,} {kind}" for kind, count in named.items() if count) or "none"


def _describe_cost(cost: Mapping[str, Any], *, at_most: bool = False) -> str:
    """Money to two digits that count: of few items it is less than a cent."""
    names = ("once", "requests", "computing", "storage_a_month")
    once, requests, computing, kept = (f"{cost['currency']} {cost[name]:.2g}" for name in names)
    most = "at most " if at_most else ""
    return f"about {once} (requests {requests}, computing {computing}), then {most}{kept} a month"


def print_plan(preview: Mapping[str, Any]) -> None:
    """A plan: what there is, what is archived, what a run would read, write and take."""
    memory = preview["memory"]
    kinds = {"pair": preview["pairs"], "single view": preview["single_views"]}
    listed = ", ".join(count_of(count, kind) for kind, count in kinds.items() if count) or "none"
    console.show_facts(
        [
            ("dataset", preview["dataset"]),
            ("items", f"{listed}; {preview['to_do']} to do"),
            *(() if {*preview["cameras"]} == {GENERIC_CAMERA} else (_list_cameras(preview),)),
            ("archived", ", ".join(f"{stage} {n}" for stage, n in preview["done"].items())),
            ("read", console.format_size(preview["bytes_in"])),
            ("write", f"at most {console.format_size(preview['bytes_out_at_most'])}"),
            *(
                ("memory", f"{console.format_size(needed)} for an item of {size}")
                for size, needed in islice(memory["bytes_by_size"].items(), _SIZES_SHOWN)
            ),
            ("", f"each worker may take {console.format_size(memory['worker_bytes'])}"),
            ("time", f"about {console.format_duration(preview['seconds_estimated'])}"),
            (
                "requests",
                f"about {_list_requests(preview['traffic'])}; {preview['traffic']['objects']:,} objects",
            ),
            ("cost", _describe_cost(preview["cost"], at_most=True)),
        ]
    )
    sources = preview["sources"]
    console.show_list(sources["suspects"], "sources that may have changed, to be compared with the archive")
    console.show_list(
        sources["vanished"], "items of the run before that are no longer there (their results are kept)"
    )
    if sources["refusal"]:
        console.show(f"[source_shrunk] a run would stop: {sources['refusal']}", style="red")
    if too_large := memory["too_large"]:
        console.show(
            f"[memory_short] too large for the memory of a worker: {count_of(len(too_large), 'item')}"
        )
    console.show_problems(preview["problem_kinds"])
    if preview["stops"]:
        console.show(f"`ldp restore` stops here: {', '.join(preview['stops'])}", style="red")


def _list_cameras(preview: Mapping[str, Any]) -> tuple[str, str]:
    return "cameras", ", ".join(f"{count} {name}" for name, count in preview["cameras"].items())
