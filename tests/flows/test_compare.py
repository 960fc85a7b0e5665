"""Comparing two real runs: values, the page in the archive, the page in a browser."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_samples import FIRST, OTHER, SECOND, make_dataset, make_run
from typer.testing import CliRunner

from flows.cli import app, parsing
from ldp_core.archive import Archive
from ldp_core.errors import SettingsError
from ldp_core.report.comparison import find_difference

THIRD = "20260103t000000z-cccccc"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that differ in a setting of the restoration."""
    folder = tmp_path_factory.mktemp("compared")
    source = make_dataset(folder / "dataset")
    make_run(folder / "archive", source, FIRST)
    make_run(folder / "archive", source, SECOND, **OTHER)
    return folder / "archive"


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_differences_are_those_of_the_archived_scores(archive: Path) -> None:
    code, out, _ = run("compare", archive, FIRST, SECOND, "--json")
    values = json.loads(out)
    assert code == 0
    assert values["items"] == {"common": 3, "only_first": 0, "only_second": 0}
    assert {change["name"] for change in values["changes"]} == {"key", "noise_signal"}
    row = next(r for r in values["differences"] if (r["metric"], r["subject"]) == ("psnr_db", "restored"))
    keys = sorted((archive / "scores").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    means = [
        np.mean([s.value for n in range(3) for s in Archive(str(archive)).read_scores(key.name, f"set/{n}")
                 if (s.metric, s.subject) == ("psnr_db", "restored")])
        for key in keys
    ]  # fmt: skip
    assert (row["first"], row["second"]) == (pytest.approx(means[0]), pytest.approx(means[1]))
    assert row["mean"] == pytest.approx(means[1] - means[0])


def test_people_see_a_table_and_counts(archive: Path) -> None:
    code, out, _ = run("compare", archive, FIRST, SECOND)
    assert code == 0
    assert "3 items in both" in out
    assert "psnr_db" in out


def test_an_unknown_run_is_explained(archive: Path) -> None:
    code, _, err = run("compare", archive, FIRST, "20250101t000000z-cccccc")
    assert code == 1
    assert "[item_missing]" in err


def test_runs_have_names_their_methods_or_those_that_are_given(archive: Path) -> None:
    _, out, _ = run("compare", archive, FIRST, SECOND, "--name", f"{SECOND}=less noise")
    assert "less noise" in out.splitlines()[0]
    assert "only in less noise" in out
    code, _, err = run("compare", archive, FIRST, SECOND, "--name", "20250101t000000z-cccccc=x")
    assert (code, "--name" in err) == (1, True)
    code, _, err = run("compare", archive, FIRST, SECOND, "--name", f"{FIRST}={SECOND}")
    assert (code, "same name" in err) == (1, True)


def test_several_runs_make_a_matrix_whose_halves_are_opposite(archive: Path, tmp_path: Path) -> None:
    shutil.copytree(archive, tmp_path / "copy")
    runs = tmp_path / "copy" / "runs"
    shutil.copytree(runs / FIRST, runs / THIRD)
    for path in (runs / THIRD).glob("*.json"):
        path.write_text(path.read_text().replace(FIRST, THIRD))
    names = [part for r, n in ((FIRST, "a"), (SECOND, "b"), (THIRD, "c")) for part in ("--name", f"{r}={n}")]
    values = json.loads(run("compare", tmp_path / "copy", FIRST, SECOND, THIRD, *names, "--json")[1])
    found = {(row["first_name"], row["second_name"]): row for row in values["matrix"]}
    assert [*found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found["a", "c"]["mean"] == 0
    assert found["a", "b"]["mean"] == pytest.approx(-found["b", "c"]["mean"])
    assert all(row["n"] == 3 and row["low"] <= row["mean"] <= row["high"] for row in values["matrix"])
    _, out, _ = run("compare", tmp_path / "copy", FIRST, SECOND, THIRD, *names)
    head, *rows = (line.split() for line in out.splitlines()[:4])
    assert head == ["minus", "a", "b", "c"]
    assert float(rows[0][1].rstrip("*")) == pytest.approx(-float(rows[1][1].rstrip("*")))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([FIRST], "two runs or more"),
        ([FIRST, FIRST], "two runs or more"),
        ([FIRST, SECOND, "x", "--html"], "--html"),
    ],
)
def test_what_cannot_be_compared_is_refused(archive: Path, arguments: list[str], told: str) -> None:
    code, _, err = run("compare", archive, *arguments)
    assert (code, told in err) == (1, True)


def test_differences_of_groups_are_those_of_their_items(archive: Path, tmp_path: Path) -> None:
    shutil.copytree(archive, tmp_path / "copy")
    for name in (FIRST, SECOND):
        path = tmp_path / "copy" / "runs" / name / "catalogue.jsonl"
        head, *lines = path.read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        for n, row in enumerate(row for row in rows if "item" in row):
            row["item"]["metadata"] = {"iso": 100 if n < 2 else 800}
        path.write_text("\n".join([head, *map(json.dumps, rows), ""]))
    values = json.loads(run("compare", tmp_path / "copy", FIRST, SECOND, "--html", "--json")[1])
    chosen = [r for r in values["groups"] if (r["metric"], r["subject"]) == ("psnr_db", "restored")]
    assert [(row["column"], row["value"], row["n"]) for row in chosen] == [
        ("iso", "100", 2),
        ("iso", "800", 1),
    ]
    [whole] = [r for r in values["differences"] if (r["metric"], r["subject"]) == ("psnr_db", "restored")]
    assert sum(row["mean"] * row["n"] for row in chosen) / 3 == pytest.approx(whole["mean"])
    assert "Groups" in Path(values["page"]).read_text()
    assert "iso: 800" in run("compare", tmp_path / "copy", FIRST, SECOND)[1]


@pytest.fixture(scope="module")
def page(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = run("compare", archive, FIRST, SECOND, "--html", "--json")[1]
    return Path(json.loads(out)["page"])


def test_the_page_lies_with_the_second_run_and_shows_the_changed_items(archive: Path, page: Path) -> None:
    assert page == archive / "runs" / SECOND / f"compared-with-{FIRST}" / "index.html"
    text = page.read_text()
    assert all(f"set/{n}" in text for n in range(3))
    assert "noise_signal" in text


def test_the_page_opens_without_complaint_and_shows_every_picture(page: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    playwright: Any = pytest.importorskip("playwright.sync_api", reason="the test extra is not installed")
    complaints: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        view = browser.new_page(viewport={"width": 1280, "height": 900})
        view.on("console", lambda message: complaints.append(message.text))
        view.on("requestfailed", lambda request: complaints.append(request.url))
        view.goto(f"file://{page}")
        images = view.locator(".views img")
        for n in range(images.count()):
            images.nth(n).scroll_into_view_if_needed()
        view.wait_for_function("() => [...document.images].every(i => i.complete && i.naturalWidth)")
        assert images.count() == 4 * 3
        assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")
        browser.close()
    assert complaints == []


def test_a_result_that_is_gone_leaves_its_item_without_pictures(archive: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(archive, tmp_path / "copy"))
    shutil.rmtree(copy / "restored")
    code, out, _ = run("compare", copy, FIRST, SECOND, "--output", tmp_path / "page", "--json")
    assert code == 0
    assert "<img" not in Path(json.loads(out)["page"]).read_text()


def test_the_cut_out_is_where_the_pictures_differ_most() -> None:
    first = np.zeros((400, 500, 3), np.uint8)
    second = first.copy()
    second[300:340, 30:70] = 90
    rows, columns = find_difference(first, second)
    assert rows.start <= 300 < 340 <= rows.stop
    assert columns.start <= 30 < 70 <= columns.stop
    assert (rows.stop - rows.start, columns.stop - columns.start) == (192, 192)
    small = np.zeros((10, 12, 1), np.uint16)
    assert find_difference(small, small) == (slice(0, 10), slice(0, 12))


@pytest.mark.parametrize("wrong", ["a", "=A", "a=", "a= ", "a=A\tB"])
def test_a_title_without_a_name_or_text_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError, match="not a title") as refused:
        parsing.parse_titles(["b=B", wrong], option="--name", form="RUN=NAME")
    assert (refused.value.where, refused.value.got) == ("--name", wrong)


def test_titles_may_hold_signs_and_stand_between_blanks() -> None:
    assert parsing.parse_titles(["a= x = 1 ", "b=B"], option="--name", form="RUN=NAME") == {
        "a": "x = 1",
        "b": "B",
    }
    assert parsing.parse_titles(None, option="--name", form="RUN=NAME") == {}
