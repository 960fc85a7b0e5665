"""A report as one HTML file with its pictures inside, to be sent by mail or put in a ticket."""

from __future__ import annotations

import base64
import json
import posixpath
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote

from jinja2.utils import htmlsafe_json_dumps

from ldp_core.errors import ObjectMissingError
from ldp_core.report.page import ICON, PAGE
from ldp_core.storage import join, read_bytes

_VIEWER: Final = re.compile(r'(<script type="application/json" id="viewer-items">)(.*?)(</script>)', re.S)
_RECORD_LINK: Final = re.compile(r'<a href="\.\./[^"]*">([^<]*)</a>')
_TYPES: Final = {".jpg": "image/jpeg", ".png": "image/png", ".svg": "image/svg+xml"}
_SHARE_OF_WORST: Final = 0.5
"""Of the room for pictures; the rest is for a random sample, so that a reader sees ordinary items as well."""


def pack_report(url: str, *, most_bytes: int) -> bytes:
    """The page of a report that lies at ``url``, with the pictures of as many items as there is room for.

    The worst items fill half of the room, a random sample of the others the rest; an item that is larger
    than what is left is passed over. All items keep their scores. ``most_bytes`` limits the file, whose page
    without pictures is there whatever its size.

    Raises:
        ObjectMissingError: there is no report.
        StorageError: the store refused or could not be reached.
    """
    page = read_bytes(join(url, PAGE)).decode()
    found = _VIEWER.search(page)
    viewer = json.loads(found[2]) if found else {"items": []}
    embedded = _choose_pictures(url, viewer["items"], room=most_bytes - len(page.encode()))
    for item in viewer["items"]:
        for name in ("files", "thumbs"):
            item[name] = [file for file in item[name] if item["at"] + file in embedded]
    viewer["embedded"] = embedded
    page = _VIEWER.sub(lambda match: match[1] + str(htmlsafe_json_dumps(viewer)) + match[3], page)
    page = page.replace("img-src &#39;self&#39;", "img-src data:")
    page = page.replace(f'"{ICON}"', f'"{_to_data(ICON, read_bytes(join(url, ICON)))}"')
    return _RECORD_LINK.sub(r"\1", page).encode()


def _choose_pictures(url: str, items: Sequence[Mapping[str, Any]], *, room: int) -> dict[str, str]:
    """Pictures as data addresses by the addresses that the page has for them."""
    worst = dict(_fitting(url, items, range(len(items)), int(room * _SHARE_OF_WORST)))
    used = sum(len(data) for pictures in worst.values() for data in pictures.values())
    rest = [n for n in range(len(items)) if n not in worst]
    random.Random(0).shuffle(rest)
    sample = dict(_fitting(url, items, rest, room - used))
    return {address: data for pictures in (worst | sample).values() for address, data in pictures.items()}


def _fitting(
    url: str, items: Sequence[Mapping[str, Any]], order: Iterable[int], room: int
) -> Iterator[tuple[int, dict[str, str]]]:
    """The items, in an order, whose pictures fit into the room that those before have left."""
    for n in order:
        if room <= 0:
            return
        pictures = dict(_read_pictures(url, items[n]))
        size = sum(map(len, pictures.values()))
        if size <= room:
            room -= size
            yield n, pictures


def _read_pictures(url: str, item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for file in (*item["files"], *item["thumbs"]):
        address = item["at"] + file
        try:
            content = read_bytes(join(url, unquote(address.removeprefix("./"))))
        except ObjectMissingError:
            continue
        yield address, _to_data(file, content)


def _to_data(name: str, content: bytes) -> str:
    kind = _TYPES[posixpath.splitext(name)[1]]
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
