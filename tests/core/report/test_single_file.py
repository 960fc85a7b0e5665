"""A report in one file: nothing beside it is needed, and its size is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from report_samples import GAINS_DB, WORST_FIRST, write_sample_report

from ldp_core.errors import ObjectMissingError
from ldp_core.report.single_file import pack_report

ROOM = 10_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_sample_report(str(tmp_path_factory.mktemp("report"))).rpartition("/")[0]


def _viewer(page: str) -> Any:
    found = re.search(r'id="viewer-items">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def _items(page: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = _viewer(page)["items"]
    return items


def _embedded(page: str) -> dict[str, str]:
    pictures: dict[str, str] = _viewer(page)["embedded"]
    return pictures


def test_every_picture_is_inside_and_no_address_leads_out(folder: str) -> None:
    page = pack_report(folder, most_bytes=ROOM).decode()
    wanted = {item["at"] + file for item in _items(page) for file in item["files"] + item["thumbs"]}
    assert wanted == _embedded(page).keys()
    assert len(wanted) == (len(GAINS_DB) - 1) * 9
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    assert "img-src data:" in page
    assert "summary.json" in page


def test_the_worst_come_first_all_keep_their_scores_and_the_size_is_kept(folder: str) -> None:
    whole = pack_report(folder, most_bytes=ROOM)
    bare = len(Path(folder, "index.html").read_bytes())
    most = bare + 2 * (len(whole) - bare) // 3
    packed = pack_report(folder, most_bytes=most)
    items = _items(packed.decode())
    assert len(packed) < most + 15_000  # addresses and the icon
    assert [item["id"] for item in items] == WORST_FIRST
    assert items[0]["files"]
    assert any(not item["files"] for item in items if item["id"] != "set/e-bare")
    assert all(item["values"] for item in items)
    assert packed == pack_report(folder, most_bytes=most)
    assert _embedded(pack_report(folder, most_bytes=1).decode()) == {}


def test_a_report_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ObjectMissingError):
        pack_report(str(tmp_path), most_bytes=ROOM)
