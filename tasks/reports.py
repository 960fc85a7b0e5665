"""The report of a run, made from its record and the pictures that workers drew."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Final

from ldp_core.archive import Archive
from ldp_core.archive.run_files import RECORDS
from ldp_core.protocols import is_named
from ldp_core.report import PICTURES, ReportItem, describe_dataset, write_report
from ldp_core.storage import join
from ldp_core.types import Catalogue, RunSummary
from tasks.pipeline import STAGES
from tasks.run import RunItem
from tasks.stage import PAIR, ItemTraits
from tasks.work import BatchResult

_BY_CHANCE: Final = 0.1
"""Of the items with pictures: 20 of 200 tell whether restorations that are not the worst look right."""


def report_url_of(archive: str, run_id: str) -> str:
    """The folder of a run's report."""
    return join(Archive(archive).run_url(run_id), "report")


def publish_report(
    summary: RunSummary, items: Sequence[RunItem], drawn: Iterable[BatchResult], *, catalogue: Catalogue
) -> str:
    """Write the report of a run; returns the address of its page."""
    pictures = {one.item_id: one.pictures for result in drawn for one in result.drawn}
    names = {item.id: item.name and f"{catalogue.dataset}/{item.name}" for item in catalogue.items}
    routes = {item.id: ItemTraits.of(item).route for item in catalogue.items}
    metadata = {item.id: item.facts for item in catalogue.items}
    described = (definition.picture for definition in STAGES)
    specs = (*PICTURES, *(spec for spec in described if spec is not None))
    shown = [
        ReportItem(
            i.id,
            i.status,
            i.scores,
            pictures.get(i.id, {}),
            route=routes.get(i.id, PAIR),
            name=names.get(i.id, ""),
            metadata=metadata.get(i.id, {}),
        )
        for i in items
    ]
    facts = describe_dataset(catalogue, {i.id: i.digest for i in items if i.digest}, summary.sources)
    url = summary.report.rpartition("/")[0]
    records = [f"../{name}" for name in RECORDS]
    return write_report(url, summary, shown, facts=facts, records=records, pictures=specs)


def choose_drawn(items: Sequence[RunItem], count: int) -> list[str]:
    """Ids of the ``count`` items that get pictures in the report: the worst, and some drawn at random.

    The worst show what goes wrong, others what the run usually does; the same items give the same choice.
    """
    ordered = worst_first(items)
    if len(ordered) <= count:
        return ordered
    by_chance = int(_BY_CHANCE * count)
    worst, rest = ordered[: count - by_chance], ordered[count - by_chance :]
    return worst + random.Random(0).sample(sorted(rest), by_chance)


def worst_first(items: Iterable[RunItem]) -> list[str]:
    """Item ids by what restoration gained over the input in PSNR, least first.

    The PSNR after a shift search counts where there is one; items without a target are ordered by the
    PSNR of the reblurred image against the views.
    """
    gains = {item.id: _gain_db(item) for item in items}
    return sorted(gains, key=gains.__getitem__)


def _gain_db(item: RunItem) -> float:
    for metric in ("psnr_db", "reblur_psnr_db"):
        usual = (score for score in item.scores if not is_named(score.protocol.variant))
        ranked = sorted(usual, key=lambda score: score.protocol.alignment != "none")
        values = {score.subject: score.value for score in ranked if score.metric == metric}
        if "restored" in values:
            return values["restored"] - values.get("input", 0.0)
    return 0.0
