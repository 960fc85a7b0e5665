"""The report as a reader uses it: opened from disk in a real browser, with the mouse and with keys."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ldp_core.metrics import summarise
from ldp_core.report import ReportItem, picture_paths, render_pictures, write_report
from ldp_core.storage import join, write_bytes
from ldp_core.types import BlurMap, BlurMapKind, ItemCounts, Pair, Protocol, RunSummary, Score, StageSpec

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PROTOCOL = Protocol(8, "120x80")
GAINS_DB = {"set/a-fine": 2.0, "set/b-worst": -1.5, "set/c-fair": 0.5, "set/<b>d": 1.0}
BARE = "set/e-bare"  # an item without pictures
GAINS_DB[BARE] = 3.0
TEXT_ON_GROUND = [
    ("--ink", "--ground"),
    ("--ink", "--surface"),
    ("--muted", "--ground"),
    ("--muted", "--surface"),
    ("--muted", "--raised"),
    ("--muted", "--sunken"),
    ("--accent", "--surface"),
    ("--accent", "--accent-soft"),
    ("--better", "--surface"),
    ("--worse", "--surface"),
    ("--worse", "--worse-soft"),
]
WORST_FIRST = sorted(GAINS_DB, key=GAINS_DB.__getitem__)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (the test extra)"
    )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of five items, four with pictures, as a file:// address."""
    url = str(tmp_path_factory.mktemp("report"))
    items = [_item(url, item, gain) for item, gain in GAINS_DB.items()]
    items[2] = replace(items[2], status="skipped")
    items[-1] = replace(items[-1], pictures={})
    scores = [score for item in items for score in item.scores]
    run = RunSummary(
        run_id="20260102-030405-abcd",
        created="2026-01-02T03:04:05+00:00",
        dataset="browser",
        layout="folders",
        source="memory",
        report="",
        stages=(StageSpec("blur", "disparity", "1"),),
        environment={},
        items=ItemCounts(5, 4, 1, 0),
        seconds={"blur": 1.0},
        metrics=summarise(scores),
    )
    return f"file://{write_report(url, run, items)}"


def _item(url: str, item: str, gain: float) -> ReportItem:
    rng = np.random.default_rng(len(item))
    left, right, restored = (rng.integers(0, 255, (80, 120, 3), dtype=np.uint8) for _ in range(3))
    coc_px = BlurMap(np.tile(np.linspace(-6, 6, 120, dtype=np.float32), (80, 1)), BlurMapKind.SIGNED_COC_PX)
    pair = Pair(item, left, right, target=left)
    files = render_pictures(pair, blur_map=coc_px, restored=restored)
    paths = picture_paths(item, files)
    for name, content in files.items():
        write_bytes(join(url, paths[name]), content)
    values = {"psnr_db": 25.0, "mae": 0.04}
    scores = [
        Score(item, metric, subject, PROTOCOL, value + (gain if subject == "restored" else 0))
        for metric, value in values.items()
        for subject in ("input", "restored")
    ]
    return ReportItem(item, "computed", scores, paths)


@pytest.fixture
def page(browser: Any, report: str) -> Iterator[Any]:
    """The report, open; the test fails if the browser complained of anything."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.extend(_failure(request)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(report)
    yield page
    page.close()
    assert complaints == []


def _failure(request: Any) -> list[str]:
    """The address, unless the load was only given up because the page was left."""
    return [] if request.failure == "net::ERR_ABORTED" else [request.url]


def _names(page: Any) -> list[str]:
    names: list[str] = page.locator("tr.item:visible .open").all_inner_texts()
    return names


def _open(page: Any, row: int = 0) -> None:
    page.locator("tr.item .open").nth(row).click()
    page.locator("dialog[open]").wait_for()
    page.wait_for_function("[...document.querySelectorAll('#strip img')].every(i => i.naturalWidth)")


def _title(page: Any) -> str:
    title: str = page.locator("#viewer-title").inner_text()
    return title


def _transforms(page: Any) -> list[tuple[float, float, float]]:
    """Scale of each pane, and the picture point at its centre."""
    found: list[tuple[float, float, float]] = page.evaluate(
        """[...document.querySelectorAll('dialog .view')].map(view => {
             const m = new DOMMatrix(getComputedStyle(view.querySelector('img')).transform);
             return [m.a, (view.clientWidth / 2 - m.e) / m.a, (view.clientHeight / 2 - m.f) / m.d];
           })"""
    )
    return found


def test_it_renders_every_picture_worst_first(page: Any) -> None:
    assert _names(page) == WORST_FIRST
    page.locator("#table img").last.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('#table img')].every(i => i.naturalWidth > 0)")
    assert page.locator("#table img").count() == 3 * (len(GAINS_DB) - 1)
    assert page.locator(".lead").bounding_box()["height"] > 0


def test_style_and_script_are_admitted_by_the_policy(page: Any) -> None:
    assert page.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius") != "0px"
    assert page.evaluate("document.querySelector('#table').tBodies.length") == 1


def test_a_script_that_is_not_the_pages_own_is_refused(browser: Any, report: str) -> None:
    page = browser.new_page()
    page.goto(report)
    ran = page.evaluate(
        """() => { const s = document.createElement('script');
                   try { s.textContent = 'window.intruder = 1'; document.body.append(s); } catch { }
                   return window.intruder; }"""
    )
    assert ran is None
    page.close()


def test_a_column_sorts_and_sorts_back(page: Any) -> None:
    gain = page.locator("th[data-sort]", has_text="Gain").first
    assert gain.get_attribute("aria-sort") == "ascending"
    gain.locator("button").click()
    assert _names(page) == WORST_FIRST[::-1]
    assert gain.get_attribute("aria-sort") == "descending"
    gain.locator("button").press("Enter")
    assert _names(page) == WORST_FIRST


def test_names_sort_as_text(page: Any) -> None:
    page.locator("th[data-sort=text] button", has_text="Item").click()
    assert _names(page) == sorted(GAINS_DB)
    assert page.locator("th[aria-sort]").count() == 1


def test_the_filter_keeps_what_matches(page: Any) -> None:
    page.locator("#filter").fill("fair SKIPPED")
    assert _names(page) == ["set/c-fair"]
    assert page.locator("#shown").inner_text() == "1 of 5 items"
    page.locator("#filter").fill("")
    page.locator("#only-worse").check()
    assert _names(page) == ["set/b-worst"]


def test_columns_can_be_hidden_and_shown(page: Any) -> None:
    chip = page.locator(".chip", has_text="PSNR")
    before = page.locator("#table th:visible").count()
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    assert page.locator("#table th:visible").count() < before
    chip.click()
    assert page.locator("#table th:visible").count() == before


def test_the_viewer_shows_the_item_of_the_row(page: Any) -> None:
    _open(page, row=1)
    assert _title(page) == WORST_FIRST[1]
    titles = page.locator("#strip figcaption button").all_inner_texts()
    assert titles == ["Left view", "Right view", "Input", "Blur map", "Restored", "Target"]
    assert "−10" in page.locator(".legend").inner_text()
    assert "+10 px" in page.locator(".legend").inner_text()
    assert "25.00" in page.locator("#scores").inner_text()


def test_an_item_without_pictures_says_so_and_shows_its_scores(page: Any) -> None:
    _open(page, row=WORST_FIRST.index(BARE))
    told = page.evaluate("getComputedStyle(document.querySelector('#stage .view'), '::after').content")
    assert "No pictures" in told
    assert "28.00" in page.locator("#scores").inner_text()
    page.keyboard.press("ArrowLeft")
    assert page.locator("#stage .view.bare").count() == 0


def test_the_wipe_follows_slider_keys_and_mouse(page: Any) -> None:
    _open(page)
    wipe, curtain = page.locator("#wipe"), page.locator("#curtain")
    wipe.fill("20")
    assert "20%" in curtain.evaluate("e => e.style.clipPath")
    wipe.press("ArrowRight")
    assert wipe.input_value() == "20.5"
    assert _title(page) == WORST_FIRST[0]
    page.locator("[data-do=fit]").focus()
    page.keyboard.press("]")
    assert wipe.input_value() == "25.5"
    box, view = page.locator("#handle").bounding_box(), page.locator("#stage .view").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(view["x"] + view["width"] * 0.75, box["y"] + 40)
    page.mouse.up()
    assert float(wipe.input_value()) == pytest.approx(75, abs=1)


def test_the_wipe_compares_any_two_pictures(page: Any) -> None:
    _open(page)
    page.locator("#under").select_option("left")
    page.locator("#over").select_option("right")
    assert page.locator("#under-picture").get_attribute("src").endswith("/left.jpg")
    assert page.locator("#over-picture").get_attribute("src").endswith("/right.jpg")
    page.locator("#strip button", has_text="Target").click()
    assert page.locator("#over-picture").get_attribute("src").endswith("/target.jpg")
    page.keyboard.press("ArrowRight")
    assert page.locator("#over").input_value() == "target"  # the choice stays with the next item


def test_keys_step_through_the_items_in_the_order_of_the_table(page: Any) -> None:
    page.locator("#filter").fill("set/")
    page.locator("th[data-sort=text] button", has_text="Item").click()
    _open(page)
    seen = [_title(page)]
    for _ in range(len(GAINS_DB)):
        page.keyboard.press("ArrowRight")
        seen.append(_title(page))
    assert seen == [*sorted(GAINS_DB), sorted(GAINS_DB)[-1]]
    page.keyboard.press("ArrowLeft")
    assert _title(page) == sorted(GAINS_DB)[-2]
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    assert page.evaluate("document.activeElement.textContent") == sorted(GAINS_DB)[-2]


def test_zoom_and_pan_are_the_same_in_all_panes(page: Any) -> None:
    _open(page)
    fitted = _transforms(page)
    page.keyboard.press("+")
    view = page.locator("#strip .view").first.bounding_box()
    page.mouse.move(view["x"] + 20, view["y"] + 20)
    page.mouse.down()
    page.mouse.move(view["x"] + 50, view["y"] + 35)
    page.mouse.up()
    zoomed = _transforms(page)
    assert [now[0] / then[0] for now, then in zip(zoomed, fitted, strict=True)] == pytest.approx(
        [1.5] * 7, rel=1e-3
    )
    for centre in (1, 2):
        assert [pane[centre] for pane in zoomed] == pytest.approx([zoomed[0][centre]] * 7, abs=0.05)
        assert zoomed[0][centre] < fitted[0][centre] - 1
    page.keyboard.press("0")
    assert np.allclose(_transforms(page), fitted)


def test_one_to_one_is_one_picture_pixel_per_screen_pixel(browser: Any, report: str) -> None:
    page = browser.new_page(device_scale_factor=2)
    page.goto(report)
    _open(page)
    page.keyboard.press("1")
    assert _transforms(page)[0][0] == pytest.approx(0.5)
    assert page.locator("#zoom").inner_text() == "100 %"
    page.close()


def test_the_wheel_zooms_about_the_pointer(page: Any) -> None:
    _open(page)
    box = page.locator("#stage .view").bounding_box()
    x, y = box["width"] * 0.3, box["height"] * 0.6

    def point_under() -> tuple[float, float]:
        scale, centre_x, centre_y = _transforms(page)[0]
        return centre_x + (x - box["width"] / 2) / scale, centre_y + (y - box["height"] / 2) / scale

    before, fitted = point_under(), _transforms(page)[0][0]
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(100)
    assert _transforms(page)[0][0] > 1.5 * fitted
    assert point_under() == pytest.approx(before, abs=0.6)


def test_a_link_opens_its_item(page: Any, report: str) -> None:
    page.goto("about:blank")
    page.goto(f"{report}#item=set%2Fc-fair")
    page.locator("dialog[open]").wait_for()
    assert _title(page) == "set/c-fair"


def test_every_control_is_reached_by_tab_with_a_visible_focus(page: Any) -> None:
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        seen.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        assert outline != "none" or page.evaluate("document.activeElement === document.body")
    assert {"filter", "only-worse", "chip", "open"} <= seen
    page.locator(".open").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("dialog[open]").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Any, report: str, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(report)
    ratios = page.evaluate(
        """colours => {
          const probe = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
          const style = getComputedStyle(document.documentElement);
          const luminance = name => {
            probe.fillStyle = style.getPropertyValue(name).trim();
            probe.fillRect(0, 0, 1, 1);
            const [r, g, b] = [...probe.getImageData(0, 0, 1, 1).data].map(v => v / 255)
              .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
            return .2126 * r + .7152 * g + .0722 * b + .05;
          };
          return colours.map(([a, b]) => [a, b, Math.exp(Math.abs(Math.log(luminance(a) / luminance(b))))]);
        }""",
        TEXT_ON_GROUND,
    )
    assert [(a, b, round(ratio, 2)) for a, b, ratio in ratios if ratio < 4.5] == []
    page.close()
