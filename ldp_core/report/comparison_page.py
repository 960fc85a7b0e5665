"""The page that compares two runs: one HTML file with its style inside, pictures beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from ldp_core.metrics.summary import PairedScores
from ldp_core.report.comparison import (
    ItemChange,
    StageChange,
    choose_headline,
    list_rows,
    state_result,
)
from ldp_core.report.measures import measure_of
from ldp_core.report.page import ICON, PAGE, STYLES, content_policy, read_asset
from ldp_core.storage import join, write_bytes
from ldp_core.types import RunSummary


def write_comparison(
    url: str,
    runs: tuple[RunSummary, RunSummary],
    paired: PairedScores,
    *,
    changes: Sequence[StageChange],
    gains: Sequence[ItemChange],
    losses: Sequence[ItemChange],
) -> str:
    """Write the page below ``url``, beside the pictures of the items; returns its address.

    Raises:
        StorageError: the place cannot be written.
    """
    style = Markup("".join(map(read_asset, (*STYLES, "comparison.css"))))
    headline, rows = choose_headline(paired), list_rows(paired)
    page = _template().render(
        first=runs[0],
        second=runs[1],
        paired=paired,
        changes=changes,
        sections=[("Largest gains", gains), ("Largest losses", losses)],
        rows=rows,
        lead=state_result(rows),
        measure=measure_of(headline[0]) if headline else None,
        headline=headline,
        style=style,
        policy=content_policy(style),
    )
    write_bytes(join(url, ICON), read_asset(ICON).encode())
    write_bytes(join(url, PAGE), page.encode())
    return join(url, PAGE)


@lru_cache
def _template() -> Template:
    loader = PackageLoader("ldp_core.report", "assets")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["address"] = lambda path: f"./{quote(path)}"
    return environment.get_template("comparison.html.j2")
