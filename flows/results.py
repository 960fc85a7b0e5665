"""Results of one run as plain values and files."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from ldp_core.catalogue import Selection
from ldp_core.errors import SettingsError
from ldp_core.report.paper import draw_figure, latex_table
from ldp_core.storage import absolute_url, write_bytes
from tasks.export import ExportSettings, export_run, list_restored_since
from tasks.figure import read_row
from tasks.run import Run, require_restored

_TABLES = {".csv": ",", ".tsv": "\t"}
_MOST_THREADS = 8
"""Each holds an item; encoding waits for a core, reading and writing for the store."""


def describe_quarantine(archive: str, run_id: str) -> dict[str, Any]:
    """What a run quarantined by kind, the most frequent first; fields as in `ProblemGroup`, all items listed.

    Raises:
        ItemMissingError: there is no such run, or it did not come to its end.
        ItemDamagedError: its record cannot be read.
    """
    summary = Run(absolute_url(archive), run_id).summary
    by_kind = groupby(sorted(summary.quarantine, key=lambda one: one.kind), key=lambda one: one.kind)
    groups = [(kind, [asdict(record) for record in records]) for kind, records in by_kind]
    return {
        "run_id": run_id,
        "items": summary.items.total,
        "quarantined": len(summary.quarantine),
        "kinds": [
            {"kind": kind, "count": len(rows), "examples": [{**row, "where": row["item"]} for row in rows]}
            for kind, rows in sorted(groups, key=lambda group: (-len(group[1]), group[0]))
        ],
    }


def export_pictures(
    archive: str,
    run_id: str,
    to: str,
    settings: ExportSettings,
    *,
    ids: Sequence[str] | None = None,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    where: str = "",
    since: str = "",
    threads: int | None = None,
) -> dict[str, Any]:
    """Write the results of a run, or of some of its items, below a URL; ``since`` means their restoration.

    Raises:
        ItemMissingError: there is no such run, it did not come to its end, or it restored nothing.
        CatalogueError: an id is not one of the items that came through, or a condition holds for none.
        SettingsError: another export lies there, or the condition is none.
        StorageError: the place cannot be written.
    """
    run, to = Run(absolute_url(archive), run_id), absolute_url(to)
    require_restored(run.summary)
    through = {item.id: item for item in run.catalogue.items if item.id in run.found}
    chosen = Selection(limit, sample, seed, None if ids is None else frozenset(ids), where=where, since=since)
    names = {item_id: item.title for item_id, item in through.items()}
    ids = chosen.by_name.choose(
        names,
        dataset=run.summary.dataset,
        changed=lambda ids, moment: list_restored_since(run, [through[i] for i in ids], moment),
        of_run=True,
    )
    named = [through[item_id] for item_id in ids]
    items = chosen.choose_known(named)
    count = threads or min(_MOST_THREADS, os.cpu_count() or 1)
    found = export_run(run, to, settings, items, threads=count)
    return {"run_id": run_id, "to": to, **asdict(found)}


def export_table(archive: str, run_id: str, address: str) -> str:
    """Write the scores of a run as text: a row for each item, metric, subject and protocol; its address.

    Raises:
        ItemMissingError: there is no such run, or it did not come to its end.
        SettingsError: the name of the file tells no format that is written.
    """
    import pandas as pd

    address = absolute_url(address)
    extension = os.path.splitext(address)[1].lower()  # noqa: PTH122 - a URL is no path
    if extension not in _TABLES:
        raise SettingsError(
            "this table is not written",
            where=f"--table {address}",
            expected=f"a name that ends in {' or '.join(_TABLES)}",
            remedy="scores.parquet in the folder of the run has the same rows",
        )
    run = Run(absolute_url(archive), run_id)
    with run.readable("scores.parquet"):
        table = pd.read_parquet(io.BytesIO(run.read_file("scores.parquet")))
    named = {
        item: {f"metadata:{name}": v for name, v in known.items()} for item, known in run.metadata.items()
    }
    # Tables of earlier versions hold no metadata.
    rows = {item: {n: v for n, v in known.items() if n not in table.columns} for item, known in named.items()}
    if any(rows.values()):
        table = table.join(pd.DataFrame.from_dict(rows, orient="index"), on="item")
    write_bytes(address, table.to_csv(index=False, sep=_TABLES[extension]).encode())
    return address


def make_figure(
    archive: str,
    run_id: str,
    items: Sequence[str],
    output: str,
    *,
    labels: Mapping[str, str] | None = None,
    centre: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Draw items of a run side by side and write the figure; its address and the protocols of its scores.

    Args:
        items: ids or names of the items, a row each, in this order.
        output: where the figure goes; the ending says which format.
        labels: titles of columns, by what they are called otherwise.
        centre: column and row of the detail, in pixels; default: where restoration changes most.

    Raises:
        ItemMissingError, ItemDamagedError: a run or a result is not there, or not as it was written.
        CatalogueError: an id is not one of the items that came through.
        SettingsError: the format is not known, or matplotlib is not installed.
    """
    run, output = Run(absolute_url(archive), run_id), absolute_url(output)
    require_restored(run.summary)
    through = {item.id: item for item in run.catalogue.items if item.id in run.found}
    names = {item_id: item.title for item_id, item in through.items()}
    place: dict[str, Any] = {"dataset": run.summary.dataset, "option": "ITEMS", "of_run": True}
    chosen = [Selection(ids=frozenset([text])).choose(names, **place)[0] for text in items]
    found = [read_row(run, through[item_id], labels or {}, centre) for item_id in dict.fromkeys(chosen)]
    format = os.path.splitext(output)[1].lower().removeprefix(".")  # noqa: A001, PTH122
    write_bytes(output, draw_figure([row for row, _ in found], format))
    protocols = dict.fromkeys(protocol for _, row in found for protocol in row)
    return {"figure": output, "items": len(found), "protocols": list(protocols)}


def make_latex(archive: str, run_id: str, *, intervals: bool) -> str:
    """The means of a run as LaTeX tables; empty where no item has a target."""
    return latex_table(Run(absolute_url(archive), run_id).summary.metrics, intervals=intervals)
