"""What the commands over an archive print for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

_OUT = Console()
_LEFTOVERS = {
    "torn": "chunks of items that were never finished (`ldp gc` removes them)",
    "partial": "temporary files of writers (`ldp gc` removes them)",
    "orphaned": "companions of items that are not there",
    "strange": "objects that belong to no archive",
}
_SHOWN = 20


def print_verification(found: Mapping[str, Any]) -> None:
    """What was hashed, what is rotten and what became of it, and what was left behind."""
    table = Table("hashed", "items", box=None)
    for section, count in found["items"].items():
        table.add_row(section, str(count))
    table.add_row("runs", str(found["runs"]))
    _OUT.print(table)
    for row in found["rotten"]:
        _print_line(f"{row['path']}: {row['damage']}{_describe_digests(row)}; {_describe_outcome(row)}")
    for name, meaning in _LEFTOVERS.items():
        _print_leftovers(found[name], meaning)
    if found["unsealed"]:
        _print_line(f"{len(found['unsealed'])} runs without digests; their records can be read")
    count, unmended = len(found["rotten"]), found["unmended"]
    verdict = f"{count} rotten, {count - unmended} mended" if count else "all whole"
    _print_line(f"{decimal(found['size_bytes'])} hashed: {verdict}")


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
