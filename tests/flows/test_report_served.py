"""The report where it is kept: on a disk or in a bucket, light to open however long it is."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from report_samples import WORST_FIRST

FIRST_ROWS = 40
CHUNK = 40


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def bucket(report: str) -> Iterator[str]:
    """The folder above the report, served over http as a bucket serves its objects; the report's address."""
    page = Path(urlsplit(report).path)
    root = page.parents[1]
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{page.relative_to(root)}"
        server.shutdown()
        thread.join()


def test_a_report_in_a_bucket_opens_with_its_own_objects_alone(
    open_page: Callable[..., Any], bucket: str
) -> None:
    page = open_page("about:blank")
    answers: list[tuple[str, int]] = []
    page.on("response", lambda response: answers.append((response.url, response.status)))
    page.goto(bucket)
    page.locator("tr.item .open").first.click()
    page.wait_for_function("() => [...document.querySelectorAll('dialog img')].every(i => i.naturalWidth)")
    assert page.locator("#viewer-title").inner_text() == WORST_FIRST[0]
    folder = bucket.rpartition("/")[0]
    assert len(answers) > 8
    assert [answer for answer in answers if not answer[0].startswith(folder) or answer[1] != 200] == []


def test_opening_the_page_fetches_thumbnails_in_sight_and_no_large_picture(
    open_page: Callable[..., Any], long_report: str
) -> None:
    page = open_page("about:blank")
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(long_report)
    page.locator("#items").scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('#table img').naturalWidth")
    pictures = [url for url in requests if "/items/" in url]
    assert 0 < len(pictures) <= 3 * FIRST_ROWS
    assert all("-thumb" in url for url in pictures)
    assert page.locator("tr.item").count() <= 2 * CHUNK


def test_rows_follow_as_the_reader_scrolls_and_all_can_be_reached(
    open_page: Callable[..., Any], long_report: str
) -> None:
    page = open_page(long_report)
    before = page.locator("tr.item").count()
    page.evaluate("document.querySelector('#items .scroll').scrollTop = 1e6")
    page.wait_for_function(f"() => document.querySelectorAll('tr.item').length >= {before + CHUNK}")
    page.locator("tr.item .open").first.focus()
    page.keyboard.press("End")
    assert page.locator("tr.item").count() == 1000
    last = page.evaluate("document.activeElement.textContent")
    assert last == page.locator("tr.item .open").last.inner_text()


def test_a_search_among_a_thousand_finds_its_item_wherever_it_stands(
    open_page: Callable[..., Any], long_report: str
) -> None:
    page = open_page(long_report)
    page.locator("#filter").fill("0997")
    assert page.locator("tr.item .open").all_inner_texts() == ["set/0997"]
    assert page.locator("#shown").inner_text() == "1 of 1000 items"
    page.locator("#filter").fill("no such item")
    assert page.locator("tr.item").count() == 0
    page.goto(f"{long_report}#item=set%2F0500")
    page.locator("dialog[open]").wait_for()
    assert page.locator("#viewer-title").inner_text() == "set/0500"


def test_equals_keep_their_order_when_sorted(open_page: Callable[..., Any], long_report: str) -> None:
    page = open_page(long_report)
    page.locator("th[data-sort=id] button").click()
    gain = page.locator("#table th[data-sort]", has_text="Gain").first.locator("button")
    for direction in (1, -1):
        gain.click()
        names = page.locator("tr.item .open").all_inner_texts()[:FIRST_ROWS]
        gains = [direction * (int(name[-4:]) * 37 % 10) for name in names]
        assert gains == sorted(gains)
        assert names == sorted(names)


def test_a_printed_report_holds_every_row(open_page: Callable[..., Any], long_report: str) -> None:
    page = open_page(long_report)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("tr.item").count() == 1000
