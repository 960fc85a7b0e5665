"""The page: one HTML file with its style and script inside, pictures beside it, nothing fetched.

It opens from disk. The content security policy admits the one style and the one script by their
hashes and pictures of the same place; text from datasets is escaped by the template.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from ldp_core.errors import ObjectMissingError
from ldp_core.report.facts import Fact, describe_run
from ldp_core.report.figures import draw_metrics, draw_spreads
from ldp_core.report.measures import Family, count_items
from ldp_core.report.model import PAIR, PICTURES, MapDigest, PictureSpec, ReportItem, name_route
from ldp_core.report.pictures import TONE_NOTE
from ldp_core.report.scales import Limits, find_limits, list_maps, rescale_png
from ldp_core.report.summary import build_cards, build_groups, compare_baselines, state_result
from ldp_core.report.table import build_table, describe_scale, describe_viewer, name_column
from ldp_core.storage import join, read_bytes, write_bytes
from ldp_core.types import RunSummary

PAGE: Final = "index.html"
ICON: Final = "icon.svg"
STYLES: Final = ("colours.css", "style.css", "plots.css", "table.css", "viewer.css", "print.css")
THEME: Final = "theme.js"
SCRIPTS: Final = ("page.js", "table.js", "scene.js", "viewer.js", "controls.js", "start.js")
LISTED_ITEMS: Final = 2000
"""Rows of the table: the page of as many is about 1.5 MB; the scores of all items lie beside it."""
SECTIONS: Final[Mapping[Family, str]] = {
    "fidelity": "Compared with the target",
    "reblur": "Without a target",
    "blur_map": "Blur map and ground truth",
    "agreement": "Agreement, no ground truth",
    "other": "Other scores",
}
_READERS: Final = 16
"""Digests read at once; they are small objects, so that only the waiting counts."""


def write_report(
    url: str,
    run: RunSummary,
    items: Sequence[ReportItem],
    *,
    facts: Sequence[Fact] = (),
    records: Sequence[str] = (),
    pictures: Sequence[PictureSpec] = PICTURES,
) -> str:
    """Write the page of a run below ``url``, beside the pictures that lie there; returns its address.

    ``facts`` are those of the dataset; ``records`` the addresses, relative to the page, of the files that
    hold the run's record for programs; ``pictures`` describe those of the items, in the order in which
    table and viewer show them. The same run and items give the same bytes.

    Raises:
        StorageError: the place cannot be written.
    """
    items = _read_digests(url, items, pictures)
    _rescale_maps(url, items, pictures)
    return write_page(url, render_page(run, items, facts=facts, records=records, pictures=pictures))


def render_page(
    run: RunSummary,
    items: Sequence[ReportItem],
    *,
    facts: Sequence[Fact] = (),
    records: Sequence[str] = (),
    pictures: Sequence[PictureSpec] = PICTURES,
) -> str:
    """The HTML of a report."""
    style = Markup(join_assets(*STYLES) + _scale_rules(pictures))
    theme, script = Markup(join_assets(THEME)), Markup(_join_scripts())
    context = _build_context(run, items, pictures)
    policy = content_policy(style, theme, script)
    return load_template("page.html.j2").render(
        context, facts=facts, records=records, style=style, theme=theme, script=script, policy=policy
    )


def write_page(url: str, page: str) -> str:
    """Write a page and its icon below ``url``; returns its address.

    Raises:
        StorageError: the place cannot be written.
    """
    write_bytes(join(url, ICON), join_assets(ICON).encode())
    write_bytes(join(url, PAGE), page.encode())
    return join(url, PAGE)


@lru_cache
def load_template(name: str) -> Template:
    """A template of `assets/`; everything that it prints is escaped."""
    environment = Environment(
        loader=PackageLoader("ldp_core.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "sort_keys": True}
    environment.filters |= {
        "flat": _list_settings,
        "address": lambda path: f"./{quote(path)}",
        "items": count_items,
    }
    return environment.get_template(name)


def join_assets(*names: str) -> str:
    """Files of `assets/`, one after another."""
    folder = resources.files("ldp_core.report") / "assets"
    return "".join((folder / name).read_text("utf-8") for name in names)


def content_policy(style: str, *scripts: str) -> str:
    """The Content-Security-Policy of a page with this style and these scripts, and no other."""
    admitted = " ".join(map(_source_hash, scripts)) or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            "img-src 'self'",
            f"style-src {_source_hash(style)}",
            f"script-src {admitted}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _build_context(
    run: RunSummary, items: Sequence[ReportItem], pictures: Sequence[PictureSpec]
) -> dict[str, Any]:
    """What the template prints, by name. No markup besides drawings, no styling."""
    table = build_table(items, limit=LISTED_ITEMS, pictures=pictures)
    limits = find_limits(items)
    cards = build_cards(run.metrics, items)
    figures = draw_metrics(score for item in items for score in item.scores)
    return {
        **describe_run(run, items),
        "lead": state_result(cards, run),
        "route_filters": _list_filters(items),
        "baselines": compare_baselines(run, items),
        "sections": [
            (SECTIONS[family], list(group))
            for family, group in groupby(cards, key=lambda c: c.measure.family)
        ],
        "group_tables": build_groups(items),
        "table": table,
        "ranking": table.ranking,
        "listed": len(table.rows),
        "others": sum(group.others for group in table.groups),
        "all_items": len(items),
        "figures": [figure for figure in figures if len(figure.charts) > 1],
        "charts": [f.charts[0] for f in figures if len(f.charts) == 1]
        + draw_spreads(items, pictures, limits),
        "scales": [scale for spec in pictures if (scale := describe_scale(spec, limits)) is not None],
        "tone_note": TONE_NOTE,
        "viewer": describe_viewer(table, pictures, limits),
        "name_column": name_column,
    }


def _list_filters(items: Sequence[ReportItem]) -> list[tuple[str, str]]:
    """Routes, with their names, by which a reader can filter: none where all items took the same."""
    routes = {item.route for item in items}
    return [(route, name_route(route, 2)) for route in sorted(routes - {PAIR})] if len(routes) > 1 else []


def _read_digests(url: str, items: Sequence[ReportItem], pictures: Sequence[PictureSpec]) -> list[ReportItem]:
    files = {spec.name: spec.digest_file for spec in pictures if spec.is_map}
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda item: _with_digests(url, item, files), items))


def _with_digests(url: str, item: ReportItem, files: Mapping[str, str]) -> ReportItem:
    """The item with the digests that lie among its pictures; those that are gone are left out."""
    digests = dict(item.digests)
    for name, file in files.items():
        if name not in digests and file in item.pictures:
            with suppress(ObjectMissingError):
                digests[name] = MapDigest.from_json(read_bytes(join(url, item.pictures[file])))
    return replace(item, digests=digests)


def _rescale_maps(url: str, items: Sequence[ReportItem], pictures: Sequence[PictureSpec]) -> None:
    """Give the maps that were drawn the colours of the scale that is common to all."""
    limits = find_limits(items)
    with ThreadPoolExecutor(_READERS) as writers:
        list(writers.map(lambda item: _rescale_item(url, item, pictures, limits), items))


def _rescale_item(url: str, item: ReportItem, pictures: Sequence[PictureSpec], limits: Limits) -> None:
    for file, (spec, digest) in list_maps(item, pictures).items():
        if digest.limit != limits[spec.scale]:
            address = join(url, item.pictures[file])
            with suppress(ObjectMissingError):
                png = read_bytes(address)
                write_bytes(address, rescale_png(png, spec, own=digest.limit, common=limits[spec.scale]))


def _list_settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    return list(_flatten(settings))


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings by name, nested ones by their path: ``kernel.family``, ``half_disc``."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _show_value(value)


def _show_value(value: object) -> str:
    """A plain value as people write it; lists with commas, only what is nested deeper as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and not any(isinstance(one, list | tuple | dict) for one in value):
        return ", ".join(map(_show_value, value)) or "none"
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _scale_rules(pictures: Iterable[PictureSpec]) -> str:
    """Style rules that draw the colour scales of maps as legends."""
    rules = (
        f".scale-{spec.scale}{{background:linear-gradient(90deg,{','.join(spec.stops)})}}"
        for spec in pictures
        if spec.is_map
    )
    return "\n".join(rules) + "\n"


def _join_scripts() -> str:
    """The scripts as one, in a scope of its own: a page opened from disk cannot import modules."""
    return '"use strict";\n(() => {\n' + "\n".join(map(join_assets, SCRIPTS)) + "})();\n"


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
