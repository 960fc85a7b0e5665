"""The page: one HTML file with its style and script inside, pictures beside it, nothing fetched.

It opens from disk. The content security policy admits the one style and the one script by their
hashes and pictures of the same place; text from datasets is escaped by the template.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from typing import Final

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from ldp_core.errors import ObjectMissingError
from ldp_core.report.colours import stops_of
from ldp_core.report.context import build_context
from ldp_core.report.dataset import Fact
from ldp_core.report.model import BlurDigest, ReportItem
from ldp_core.report.pictures import DIGEST_FILE
from ldp_core.storage import join, read_bytes, write_bytes
from ldp_core.types import BlurMapKind, RunSummary

PAGE: Final = "index.html"
ICON: Final = "icon.svg"
STYLES: Final = ("colours.css", "style.css", "plots.css", "table.css", "viewer.css", "print.css")
THEME: Final = "theme.js"
SCRIPTS: Final = ("page.js", "table.js", "scene.js", "viewer.js", "controls.js", "start.js")
_READERS: Final = 16
_NOTHING: Final = "'none'"


def write_report(
    url: str,
    run: RunSummary,
    items: Sequence[ReportItem],
    *,
    facts: Sequence[Fact] = (),
    records: Sequence[str] = (),
) -> str:
    """Write the page of a run below ``url``, beside the pictures that lie there; returns its address.

    ``facts`` are those of the dataset; ``records`` the addresses, relative to the page, of the files that
    hold the run's record for programs. The same run and items give the same bytes.

    Raises:
        StorageError: the place cannot be written.
    """
    page = render_page(run, _with_digests(url, items), facts=facts, records=records)
    write_bytes(join(url, ICON), read_asset(ICON).encode())
    write_bytes(join(url, PAGE), page.encode())
    return join(url, PAGE)


def render_page(
    run: RunSummary,
    items: Sequence[ReportItem],
    *,
    facts: Sequence[Fact] = (),
    records: Sequence[str] = (),
) -> str:
    """The HTML of a report."""
    style = Markup("".join(map(read_asset, STYLES)) + _scale_rules())
    theme, script = Markup(read_asset(THEME)), Markup(_join_scripts())
    context = build_context(run, items, facts=facts, records=records)
    policy = content_policy(style, theme, script)
    return _template().render(context, style=style, theme=theme, script=script, policy=policy)


def content_policy(style: str, *scripts: str) -> str:
    """The Content-Security-Policy of a page with this style and these scripts, and no other."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src 'self'",
            f"style-src {_source_hash(style)}",
            f"script-src {' '.join(map(_source_hash, scripts)) or _NOTHING}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _with_digests(url: str, items: Sequence[ReportItem]) -> list[ReportItem]:
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(lambda item: _with_digest(url, item), items))


def _with_digest(url: str, item: ReportItem) -> ReportItem:
    if item.blur is not None or DIGEST_FILE not in item.pictures:
        return item
    try:
        digest = BlurDigest.from_json(read_bytes(join(url, item.pictures[DIGEST_FILE])))
    except ObjectMissingError:
        return item
    return replace(item, blur=digest)


def _scale_rules() -> str:
    """Style rules that draw the colour scales of blur maps as legends."""
    rules = (
        f".scale-{kind.value}{{background:linear-gradient(90deg,{','.join(stops_of(kind))})}}"
        for kind in BlurMapKind
    )
    return "\n".join(rules) + "\n"


def _join_scripts() -> str:
    """The scripts as one, in a scope of its own: a page opened from disk cannot import modules."""
    return '"use strict";\n(() => {\n' + "\n".join(map(read_asset, SCRIPTS)) + "})();\n"


def _source_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@lru_cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "sort_keys": True}
    environment.filters["plain_json"] = lambda value: json.dumps(value, sort_keys=True, ensure_ascii=False)
    return environment.from_string(read_asset("page.html.j2"))


def read_asset(name: str) -> str:
    """A file of `assets/`."""
    return resources.files("ldp_core.report").joinpath("assets", name).read_text("utf-8")
