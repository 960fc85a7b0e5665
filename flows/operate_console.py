"""What the commands over an archive print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.table import Column, Table

from flows.console import print_means

_OUT = Console()
_LEFTOVERS = {
    "incomplete": "chunks of items that were never finished (`ldp gc` removes them)",
    "partial": "temporary files of writers (`ldp gc` removes them)",
    "orphaned": "companions of items that are not there",
    "unknown": "objects that belong to no archive",
}
_SHOWN = 20


def print_verification(found: Mapping[str, Any]) -> None:
    """What was hashed, what is rotten and what became of it, and what was left behind."""
    table = Table("hashed", "items", box=None)
    for section, count in found["items"].items():
        table.add_row(section, str(count))
    table.add_row("runs", str(found["runs"]))
    _OUT.print(table)
    for row in found["corrupt"]:
        _print_line(f"{row['path']}: {row['damage']}{_describe_digests(row)}; {_describe_outcome(row)}")
    for name, meaning in _LEFTOVERS.items():
        _print_leftovers(found[name], meaning)
    if found["unchecked"]:
        _print_line(f"{len(found['unsealed'])} runs without digests; their records can be read")
    count, unmended = len(found["corrupt"]), found["not_repaired"]
    verdict = f"{count} corrupt, {count - unmended} repaired" if count else "all whole"
    _print_line(f"{decimal(found['size_bytes'])} hashed: {verdict}")


def print_archive(values: Mapping[str, Any]) -> None:
    """The runs of an archive, newest first, and what it holds by stage key."""
    longest = max((len(run["run_id"]) for run in values["runs"]), default=0)
    run_id = Column("run", min_width=longest)  # to be copied, so never cut short
    table = Table(run_id, "state", "dataset", "methods", "computed", "skipped", "quarantined", box=None)
    for run in values["runs"]:
        counts = [str(run["counts"].get(name, "")) for name in ("computed", "skipped", "quarantined")]
        methods = " + ".join(filter(None, (run["estimator"], run["deblurrer"], run["baselines"])))
        dataset = f"{run['dataset']} ({run['layout']}, {run['listed']})" if run["dataset"] else ""
        table.add_row(run["run_id"], str(run["state"]), dataset, methods, *counts)
    _OUT.print(table)
    held = Table("stage key", "items", "size", box=None)
    for row in values["sections"]:
        held.add_row(row["path"], str(row["items"]), decimal(row["size_bytes"]))
    _OUT.print(held)
    _print_line(f"{len(values['runs'])} runs, {values['items']} items, {decimal(values['size_bytes'])}")


def print_run(values: Mapping[str, Any]) -> None:
    """All of one run: what it was, what came of it, why items were set aside."""
    table = Table(show_header=False, box=None)
    shown = (
        "run_id",
        "state",
        "started",
        "source",
        "layout",
        "estimator",
        "deblurrer",
        "baselines",
        "report",
    )
    for name in shown:
        table.add_row(name.replace("run_id", "run"), str(values[name] or "-"))
    counts = ", ".join(f"{count} {name}" for name, count in values["counts"].items())
    table.add_row("items", f"{values['listed']} listed" + (f"; {counts}" if counts else ""))
    for pipeline, keys in values["stage_keys"].items():
        for label, key in keys.items():
            table.add_row(label if pipeline == "pair" else f"{label}, {pipeline}", key)
    _OUT.print(table)
    if values.get("metrics"):
        print_means(values["metrics"])
    for kind, records in values.get("quarantine", {}).items():
        _print_line(f"{kind}: {len(records)} quarantined")
        for record in records[:_SHOWN]:
            _print_line(f"  {record['item']} at {record['stage']}: {record['message']}. {record['remedy']}")


def print_garbage(values: Mapping[str, Any]) -> None:
    """What no run refers to, by stage key, and whether it was deleted."""
    table = Table("stage key", "items", "leftovers", "size", box=None)
    for row in values["sections"]:
        counts = (str(row["items"]), str(len(row["leftovers"])))
        table.add_row(row["path"], *counts, decimal(row["size_bytes"]))
    if values["sections"]:
        _OUT.print(table)
    size = decimal(values["size_bytes"])
    did = "deleted" if values["deleted"] else "may go; --delete removes it"
    _print_line(f"{size} {did}" if values["sections"] else "nothing is left over")


def print_models(models: Sequence[Mapping[str, Any]]) -> None:
    """Models with what a person must know before using them."""
    for model in models:
        _print_line(f"{model['name']} ({model['origin']}): {model['summary']}")
        table = Table(show_header=False, box=None, padding=(0, 1, 0, 2))
        for fact in ("parameters", "sha256", "state", "trained on", "licence", "use"):
            table.add_row(fact, str(model[fact]))
        for place, figures in model["scores"].items():
            table.add_row(f"on {place}", figures)
        _OUT.print(table)


def print_comparison(values: Mapping[str, Any]) -> None:
    """Differences of two runs, what could not be compared, and the items that differ most."""
    table = Table(
        "metric", "subject", "first", "second", "difference", "95 % interval", "n", "protocol", box=None
    )
    for row in values["differences"]:
        mark = "" if row["claimed"] else " (within noise)"
        interval = f"{row['low']:+.3f} .. {row['high']:+.3f}{mark}"
        means = (f"{row['first']:.3f}", f"{row['second']:.3f}", f"{row['mean']:+.3f}")
        table.add_row(row["metric"], row["subject"], *means, interval, str(row["n"]), row["protocol"])
    _OUT.print(table)
    for row in values["refused"]:
        where = f"{row['metric']} of {row['subject']}, {row['items']} items"
        _print_line(f"not compared: {where}: '{row['first']}' is not '{row['second']}'")
    for title, name in (("largest_gains", "gain"), ("largest_losses", "loss")):
        for row in values[title]:
            change = f"{row['first']:.3f} -> {row['second']:.3f} ({row['gain']:+.3f})"
            _print_line(f"{name}: {row['item']} {change}")
    counts = values["items"]
    _print_line(
        f"{counts['common']} items in both, {counts['only_first']} only in the first, "
        f"{counts['only_second']} only in the second"
    )
    if "page" in values:
        _print_line(f"page: {values['page']}")


def _print_leftovers(paths: list[str], meaning: str) -> None:
    if paths:
        _print_line(f"{len(paths)} {meaning}:")
    for path in paths[:_SHOWN]:
        _print_line(f"  {path}")
    if len(paths) > _SHOWN:
        _print_line(f"  and {len(paths) - _SHOWN} more (--json lists all)")


def _describe_digests(row: Mapping[str, Any]) -> str:
    facts = (("expected", row["expected"]), ("got", row["got"]))
    return "".join(f", {name} {_shorten(text)}" for name, text in facts if text)


def _describe_outcome(row: Mapping[str, Any]) -> str:
    return str(row["outcome"]).replace("_", " ") + (f": {row['reason']}" if row["reason"] else "")


def _shorten(text: str) -> str:
    return ", ".join(part[:12] if len(part) == 64 else part for part in text.split(", "))


def _print_line(text: str) -> None:
    _OUT.print(text, markup=False, highlight=False, soft_wrap=True)
