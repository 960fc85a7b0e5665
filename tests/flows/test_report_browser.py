"""The report as a reader uses it: opened from disk in a real browser, with the mouse and with keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_samples import BARE, GAINS_DB, WORST_FIRST, write_depth_report

from ldp_core.report.single_file import pack_report


def _names(page: Any) -> list[str]:
    names: list[str] = page.locator("tr.item:visible .open").all_inner_texts()
    return names


def _open(page: Any, row: int = 0) -> None:
    page.locator("tr.item .open").nth(row).click()
    page.locator("dialog[open]").wait_for()
    page.wait_for_function("() => [...document.querySelectorAll('#strip img')].every(i => i.naturalWidth)")


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
    for row in page.locator("tr.item").all():
        row.scroll_into_view_if_needed()
    page.wait_for_function("() => [...document.querySelectorAll('#table img')].every(i => i.naturalWidth)")
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
    gain = page.locator("#table th[data-sort]", has_text="Gain").first
    assert gain.get_attribute("aria-sort") == "ascending"
    gain.locator("button").click()
    assert _names(page) == WORST_FIRST[::-1]
    assert gain.get_attribute("aria-sort") == "descending"
    gain.locator("button").press("Enter")
    assert _names(page) == WORST_FIRST


def test_names_sort_as_text(page: Any) -> None:
    page.locator("th[data-sort=id] button").click()
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


def test_the_divider_follows_slider_keys_and_mouse(page: Any) -> None:
    _open(page)
    divider, overlay = page.locator("#divider"), page.locator("#overlay")
    divider.fill("20")
    assert "20%" in overlay.evaluate("e => e.style.clipPath")
    divider.press("ArrowRight")
    assert divider.input_value() == "20.5"
    assert _title(page) == WORST_FIRST[0]
    for key, position in (("Home", "0"), ("End", "100")):
        divider.press(key)
        assert divider.input_value() == position
    divider.fill("20.5")
    page.locator("[data-do=fit]").focus()
    page.keyboard.press("]")
    assert divider.input_value() == "25.5"
    box, view = page.locator("#handle").bounding_box(), page.locator("#stage .view").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(view["x"] + view["width"] * 0.75, box["y"] + 40)
    page.mouse.up()
    assert float(divider.input_value()) == pytest.approx(75, abs=1)


def test_the_divider_compares_any_two_pictures(page: Any) -> None:
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
    page.locator("th[data-sort=id] button").click()
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
    last = sorted(GAINS_DB)[-2]  # its row gets the focus with the event that follows the closing
    page.wait_for_function("name => document.activeElement.textContent === name", arg=last)


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


def test_the_keyboard_pans_all_panes(page: Any) -> None:
    _open(page)
    for _ in range(5):
        page.keyboard.press("+")
    before = _transforms(page)
    for key, axis, sign in (("ArrowRight", 1, 1), ("ArrowDown", 2, 1)):
        page.keyboard.press(f"Shift+{key}")
        after = _transforms(page)
        moved = [now[axis] - then[axis] for now, then in zip(after, before, strict=True)]
        assert all(sign * m > 1 for m in moved)
        assert moved == pytest.approx([moved[0]] * len(moved), abs=0.05)
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowUp")
    assert np.allclose(_transforms(page), before, atol=0.05)
    assert _title(page) == WORST_FIRST[0]


def test_both_layouts_show_every_pane_within_the_window(page: Any) -> None:
    _open(page)
    for layout in ("focus", "grid"):
        page.locator(f"button[data-layout={layout}]").click()
        boxes = [pane.bounding_box() for pane in page.locator("dialog .view").all()]
        assert len(boxes) == 7
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 1280 for box in boxes)
        assert all(box["y"] + box["height"] <= 800 and box["height"] > 40 for box in boxes)


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
    x, y = box["width"] / 2 - 30, box["height"] / 2 + 20  # on the picture, which is 120 x 80 px

    def point_under() -> tuple[float, float]:
        scale, centre_x, centre_y = _transforms(page)[0]
        return centre_x + (x - box["width"] / 2) / scale, centre_y + (y - box["height"] / 2) / scale

    before, fitted = point_under(), _transforms(page)[0][0]
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.wheel(0, -400)
    page.wait_for_timeout(100)
    assert _transforms(page)[0][0] > 1.5 * fitted
    assert point_under() == pytest.approx(before, abs=0.6)


PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def test_a_phone_shows_pictures_and_figures_of_every_item_within_its_width(
    open_page: Callable[..., Any], report: str
) -> None:
    page = open_page(report, **PHONE)
    row = page.locator("tr.item").first
    boxes = [image.bounding_box() for image in row.locator("img").all()]
    assert len(boxes) == 3
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    for text in ("PSNR Restored", "PSNR Gain"):
        cell = row.locator(f"[data-label='{text}']")
        assert text in cell.evaluate("e => getComputedStyle(e, '::before').content")
        assert cell.bounding_box()["x"] + cell.bounding_box()["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#order").select_option("id")
    assert _names(page) == sorted(GAINS_DB)


@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_groups_are_read_whole_within_their_cards(
    options: dict[str, Any], open_page: Callable[..., Any], grouped_report: str
) -> None:
    page = open_page(grouped_report, **options)
    cards = page.locator("#groups .card").all()
    assert [card.locator("h3").inner_text().split()[0] for card in cards] == ["iso", "model"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for card in cards:
        around = card.bounding_box()
        for cell in card.locator("th, td").all():
            box = cell.bounding_box()
            assert around["x"] <= box["x"]
            assert box["x"] + box["width"] <= around["x"] + around["width"]
            assert cell.evaluate("e => e.scrollWidth <= e.clientWidth + 1"), cell.inner_text()


def test_on_a_phone_nothing_of_the_viewer_lies_over_another_part(
    open_page: Callable[..., Any], report: str
) -> None:
    page = open_page(report, **PHONE)
    _open(page)
    for layout in ("focus", "grid"):
        page.locator(f"button[data-layout={layout}]").click()
        parts = "dialog figcaption, dialog .view, #scores"
        boxes = [part.bounding_box() for part in page.locator(parts).all() if part.is_visible()]
        assert len(boxes) == 2 * 7 + (layout == "focus")
        for n, one in enumerate(boxes):
            assert min(one["width"] / 100, one["height"] / 15) > 1
            for other in boxes[n + 1 :]:
                beside = (
                    one["x"] + one["width"] <= other["x"] + 1 or other["x"] + other["width"] <= one["x"] + 1
                )
                above = (
                    one["y"] + one["height"] <= other["y"] + 1 or other["y"] + other["height"] <= one["y"] + 1
                )
                assert beside or above


def test_fit_never_enlarges_and_zoom_ends_at_eight_times(page: Any) -> None:
    _open(page)
    assert page.locator("#zoom").inner_text() == "100 %"  # 120 px wide, in a stage of about 800
    for _ in range(12):
        page.keyboard.press("+")
    assert page.locator("#zoom").inner_text() == "800 %"
    page.keyboard.press("0")
    assert page.locator("#zoom").inner_text() == "100 %"


def test_a_report_in_one_file_shows_its_pictures_from_an_empty_folder(
    open_page: Callable[..., Any], report: str, tmp_path: Path
) -> None:
    folder = report.removeprefix("file://").rpartition("/")[0]
    (tmp_path / "alone.html").write_bytes(pack_report(folder, most_bytes=10_000_000))
    page = open_page(f"file://{tmp_path}/alone.html")
    _open(page)
    page.wait_for_function("() => [...document.querySelectorAll('dialog img')].every(i => i.naturalWidth)")
    assert page.locator("#strip img").count() == 6


def test_a_link_opens_its_item(page: Any, report: str) -> None:
    page.goto("about:blank")
    page.goto(f"{report}#item=set%2Fc-fair")
    page.locator("dialog[open]").wait_for()
    assert _title(page) == "set/c-fair"


def test_every_control_is_reached_by_tab_with_a_visible_focus(page: Any) -> None:
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        focused, outline, beyond_the_page = page.evaluate(
            """(e => [e.id || e.className || e.textContent, getComputedStyle(e).outlineStyle,
                      e === document.body])(document.activeElement)"""
        )
        if "Provenance" in seen and focused == seen[0]:
            break
        assert beyond_the_page or outline != "none", focused
        seen.append(focused)
    assert seen[0] == "skip"
    in_order = ["theme", "Summary", "filter", "only-worse", "chip", "open"]
    assert sorted(in_order, key=seen.index) == in_order
    assert seen.count("open") == 1  # one stop for all rows; arrows move between them


def test_arrows_move_from_row_to_row_and_enter_opens(page: Any) -> None:
    page.locator("tr.item .open").first.focus()
    for key, at in (
        ("ArrowDown", 1),
        ("ArrowDown", 2),
        ("ArrowUp", 1),
        ("End", 4),
        ("ArrowDown", 4),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.textContent") == WORST_FIRST[at]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator("dialog[open]").wait_for()
    assert _title(page) == WORST_FIRST[1]


def test_the_focus_stays_in_the_viewer(page: Any) -> None:
    _open(page)
    for _ in range(40):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )


def test_a_mark_in_a_plot_opens_its_item(page: Any) -> None:
    page.locator('circle[data-item="set/c-fair"]').first.click()
    page.locator("dialog[open]").wait_for()
    assert _title(page) == "set/c-fair"


def test_every_column_sorts_by_its_numbers_with_gaps_last(page: Any) -> None:
    headings = page.locator("#table th[data-sort]:visible")
    assert headings.count() == 3 + 6
    for heading in headings.all():
        key = heading.get_attribute("data-sort")
        for _ in range(2):
            heading.locator("button").click()
            direction = heading.get_attribute("aria-sort")
            assert _names(page) == _sorted_by(page, key, descending=direction == "descending")


def _sorted_by(page: Any, key: str, *, descending: bool) -> list[str]:
    """Ids sorted by what the page was given, in the order shown before for equals."""
    items = page.evaluate("JSON.parse(document.getElementById('viewer-items').textContent).items")
    shown = _names(page)

    def value(item: dict[str, Any]) -> Any:
        if key.startswith("map:"):
            return item["maps"].get(key.removeprefix("map:"), {}).get("reach")
        return item[key] if key in ("id", "status") else item["values"][int(key)]

    known = sorted((item for item in items if value(item) is not None), key=lambda i: shown.index(i["id"]))
    gaps = [name for name in shown if name not in {item["id"] for item in known}]
    return [item["id"] for item in sorted(known, key=value, reverse=descending)] + gaps


def test_a_depth_map_and_a_route_that_the_report_does_not_know_are_shown(
    open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(f"file://{write_depth_report(str(tmp_path))}")
    page.wait_for_function("() => [...document.querySelectorAll('#table img')].every(i => i.naturalWidth)")
    assert page.locator("#table img").count() == 4 * 3
    assert page.locator("th[data-sort='map:depth']").inner_text().startswith("Depth map, 5–95 %")
    page.locator("#only-burst").check()
    [name] = _names(page)
    assert page.locator("tr.item .badge").inner_text() == "burst"
    _open(page)
    assert _title(page) == name
    assert "burst" in page.locator("#viewer-place").inner_text()
    assert page.locator("#strip figcaption button").all_inner_texts()[-1] == "Depth map"
    legend = page.locator("#strip .legend").last
    assert legend.inner_text().split() == ["0", "10", "m"]
    assert "gradient" in legend.locator("i").evaluate("e => getComputedStyle(e).backgroundImage")
