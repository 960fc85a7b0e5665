"""The report for every reader: any window, light or dark, by eye or by ear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SIZES = {"laptop": (1280, 720), "4K": (3840, 2160), "phone": (360, 740)}
SCHEMES = ("light", "dark")
FAINT_TEXTS = """() => {
  const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const paint = (...colours) => {
    probe.clearRect(0, 0, 1, 1);
    for (const colour of colours) { probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1); }
    return [...probe.getImageData(0, 0, 1, 1).data];
  };
  const luminance = rgb => rgb.slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [.2126, .7152, .0722][k], .05);
  const groundOf = element => {
    const grounds = [];
    for (let e = element; e; e = e.parentElement) grounds.unshift(getComputedStyle(e).backgroundColor);
    return ['Canvas', ...grounds];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  let seen = 0;
  while (texts.nextNode()) {
    const { parentElement: element, data } = texts.currentNode;
    const unseen = 'script, style, noscript, title, option, .sr';
    if (!data.trim() || element.closest(unseen) || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const colour = element.closest('svg') ? style.fill : style.color;
    const grounds = groundOf(element);
    const [one, other] = [luminance(paint(...grounds, colour)), luminance(paint(...grounds))];
    const ratio = Math.max(one, other) / Math.min(one, other);
    const large = parseFloat(style.fontSize) >= (style.fontWeight >= 700 ? 18.66 : 24);
    seen += 1;
    if (ratio < (large ? 3 : 4.5)) faint.push(`${data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return [seen, faint];
}"""
SMALL_TEXTS = """() => [...document.querySelectorAll('body *')]
  .filter(e => e.checkVisibility() && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
  .map(e => [parseFloat(getComputedStyle(e).fontSize), e.textContent.trim().slice(0, 40)])
  .filter(([size]) => size < 10.5)"""
EDGES = """() => ['--edge', '--plot', '--plain', '--better', '--worse'].map(name => {
  const probe = document.createElement('i');
  document.body.append(probe);
  probe.style.color = `var(${name})`;
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
})"""


def _open_viewer(page: Any) -> None:
    page.locator("tr.item .open").first.click()
    page.locator("dialog[open]").wait_for()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_all_text_stands_out_from_its_ground(open_page: Callable[..., Any], report: str, scheme: str) -> None:
    """WCAG 2.2 AA: 4.5 to 1, and 3 to 1 for large text, computed from what the browser paints."""
    page = open_page(report, color_scheme=scheme)
    seen, faint = page.evaluate(FAINT_TEXTS)
    assert (seen > 150, faint) == (True, [])
    _open_viewer(page)
    assert page.evaluate(FAINT_TEXTS)[1] == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_marks_and_edges_stand_out_from_their_ground(
    open_page: Callable[..., Any], report: str, scheme: str
) -> None:
    """WCAG 2.2 AA for what is no text: 3 to 1."""
    page = open_page(report, color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    ratios = [_contrast(colour, ground) for colour in page.evaluate(EDGES)]
    assert min(ratios) >= 3


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)``, by WCAG 2.2."""
    channels = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("size", SIZES)
def test_it_fits_the_window_and_stays_legible(open_page: Callable[..., Any], report: str, size: str) -> None:
    width, height = SIZES[size]
    page = open_page(report, viewport={"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(SMALL_TEXTS) == []
    _open_viewer(page)
    assert page.evaluate("document.querySelector('dialog').scrollWidth") <= width
    view = page.locator("#stage .view").bounding_box()
    assert view["width"] > 0.5 * width
    assert view["height"] > 0.2 * height


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_to_repair(open_page: Callable[..., Any], report: str, scheme: str) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="the test extra is not installed"
    )
    page = open_page(report, color_scheme=scheme, bypass_csp=True)
    for opens in (lambda: None, lambda: _open_viewer(page)):
        opens()
        found = axe.Axe().run(page).response
        problems = [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found["violations"]]
        assert (len(found["passes"]) > 20, problems) == (True, [])


def test_the_colours_chosen_last_when_the_page_is_opened_again(
    open_page: Callable[..., Any], browser: Any, report: str
) -> None:
    page = open_page(report, color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("#theme").select_option("dark")
    dark = page.evaluate(ground)
    assert _luminance(dark) < 0.05 < 0.8 < _luminance(light)
    page.reload()
    assert (page.evaluate(ground), page.locator("#theme").input_value()) == (dark, "dark")
    page.emulate_media(color_scheme="dark")
    page.locator("#theme").select_option("light")
    assert page.evaluate(ground) == light
    page.locator("#theme").select_option("system")
    assert page.evaluate(ground) == dark


def test_without_storage_the_choice_lasts_as_long_as_the_page(
    open_page: Callable[..., Any], tmp_path: Path, report: str
) -> None:
    page = open_page("about:blank")
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })"
    )
    page.goto(report)
    page.locator("#theme").select_option("dark")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
