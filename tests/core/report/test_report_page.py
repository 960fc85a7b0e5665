"""The page of a run: safe against its content, complete, honest about what is worse, the same every time."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from ldp_core.metrics import summarise
from ldp_core.metrics.fidelity import ALIGNMENT
from ldp_core.report import (
    PICTURES,
    Fact,
    PictureKind,
    PictureSpec,
    ReportItem,
    digest_map,
    picture_paths,
    write_report,
)
from ldp_core.report.facts import show_moment, show_seconds
from ldp_core.report.model import BLUR_PICTURES
from ldp_core.report.page import LISTED_ITEMS, render_page
from ldp_core.storage import join, list_objects, read_bytes, write_bytes
from ldp_core.types import (
    BlurMapKind,
    ItemCounts,
    Problem,
    QuarantineRecord,
    RunSummary,
    Score,
    ScoringProtocol,
    StageSpec,
)

HOSTILE = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>"
PROTOCOL = ScoringProtocol(8, "840x560")
REBLUR = ScoringProtocol(8, "840x560", variant="half_disc kernel")
BLUR = digest_map(
    np.linspace(-4, 9, 400, dtype=np.float32).reshape(20, 20), BLUR_PICTURES[BlurMapKind.SIGNED_COC_PX]
)

DEPTH = PictureSpec(
    "depth", "Depth map", PictureKind.UNSIGNED_MAP, thumbnail=True, unit="m", meaning="metres from the camera"
)


class Page(HTMLParser):
    """The elements of a page: tags with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inner: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in self.inner:
            self.inner[tag].append("")

    def handle_data(self, content: str) -> None:
        if self.cdata_elem in self.inner:
            self.inner[self.cdata_elem][-1] += content

    def values_of(self, *attributes: str) -> list[str]:
        return [value for _, attrs in self.tags for name in attributes if (value := attrs.get(name))]


def _scores(
    item: str, *, source: float = 25.0, gain: float = 1.0, protocol: ScoringProtocol = PROTOCOL
) -> list[Score]:
    psnr = {"input": source, "restored": source + gain, "external": source - 2}
    return [Score(item, "psnr_db", subject, protocol, value) for subject, value in psnr.items()] + [
        Score(item, "reblur_psnr_db", "restored", replace(REBLUR, size=protocol.size), 30 + gain)
    ]


def _item(item: str, **changes: float) -> ReportItem:
    pictures = picture_paths(item, ["left.jpg", "input-thumb.jpg", "restored.jpg", "blur_map.png"])
    return ReportItem(item, "computed", _scores(item, **changes), pictures, {"blur_map": BLUR})


def _run(items: list[ReportItem], /, **changes: object) -> RunSummary:
    fields: dict[str, object] = {
        "run_id": "20260102-030405-abcd",
        "created": "2026-01-02T03:04:05+00:00",
        "dataset": "scenes",
        "layout": "folders",
        "source": "s3://bucket/scenes",
        "report": "index.html",
        "stages": (StageSpec("blur", "disparity", "3", {"window_px": 9}, weights_sha256="f00d"),),
        "environment": {"ldp": "0.1.0"},
        "items": ItemCounts(len(items), len(items), 0, 0),
        "seconds": {"blur": 3.0, "deblur": 200.0, "total": 210.0},
        "metrics": summarise(score for item in items for score in item.scores),
    }
    return RunSummary(**(fields | changes))  # type: ignore[arg-type]


def _render(items: list[ReportItem], /, **changes: object) -> str:
    return render_page(_run(items, **changes), items)


def _viewer(page: str) -> dict[str, Any]:
    """What the page's script is given."""
    found: dict[str, Any] = json.loads(Page(page).inner["script"][1])
    return found


def _viewer_items(page: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _viewer(page)["items"]
    return found


def _item_order(page: str) -> list[str]:
    return [item["id"] for item in _viewer_items(page)] if 'id="table"' in page else []


def _hostile_page() -> str:
    item = ReportItem(
        f"set/{HOSTILE}", "computed", _scores(f"set/{HOSTILE}"), {"left.jpg": f"items/{HOSTILE}/left.jpg"}
    )
    odd = ScoringProtocol(8, HOSTILE, colour=HOSTILE, variant=HOSTILE)
    scores = [*item.scores, Score(item.id, HOSTILE, HOSTILE, odd, 1.0)]
    return _render(
        [replace(item, scores=scores)],
        dataset=HOSTILE,
        run_id=HOSTILE,
        created=HOSTILE,
        source=HOSTILE,
        layout=HOSTILE,
        environment={HOSTILE: HOSTILE},
        seconds={HOSTILE: 1.0},
        stages=(StageSpec(HOSTILE, HOSTILE, HOSTILE, {HOSTILE: [HOSTILE]}, HOSTILE, HOSTILE),),
        quarantine=(QuarantineRecord(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        problems=(Problem(HOSTILE, HOSTILE, HOSTILE, HOSTILE),),
        metrics=summarise(scores),
    )


def test_hostile_text_stays_text() -> None:
    hostile, harmless = Page(_hostile_page()), Page(_render([_item("set/a")]))
    assert len(hostile.inner["script"]) == len(harmless.inner["script"]) == 3
    assert hostile.inner["script"][::2] == harmless.inner["script"][::2]
    assert not [name for _, attrs in hostile.tags for name in attrs if name.startswith("on")]
    assert "x" not in hostile.values_of("src")


def test_hostile_text_is_still_readable() -> None:
    page = _hostile_page()
    assert html.escape(HOSTILE) in page.replace("&#39;", "&#x27;").replace("&#34;", "&quot;")
    assert _viewer_items(page)[0]["id"] == f"set/{HOSTILE}"


def test_the_policy_admits_exactly_this_style_and_these_scripts() -> None:
    page = Page(_render([_item("set/a")]))
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in (policy or "").split("; "))

    def source_hash(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "'self'"
    assert rules["style-src"] == source_hash(page.inner["style"][0])
    theme, _, script = page.inner["script"]
    assert rules["script-src"] == f"{source_hash(theme)} {source_hash(script)}"


def test_nothing_is_inline_that_the_policy_forbids_and_nothing_is_fetched() -> None:
    page = Page(_render([_item("set/a")]))
    assert not page.values_of("style")
    assert not [value for value in page.values_of("src", "href") if ":" in value or value.startswith("//")]
    assert "url(" not in page.inner["style"][0]
    assert "@import" not in page.inner["style"][0]


def test_an_empty_run_has_a_page() -> None:
    page = _render([])
    assert "holds no items" in page
    assert _item_order(page) == []


def test_items_without_scores_pictures_or_blur_are_listed() -> None:
    page = _render([ReportItem("set/bare", "skipped")])
    assert _item_order(page) == ["set/bare"]
    [item] = _viewer_items(page)
    assert (item["files"], item["thumbs"], item["maps"]) == ([], [], {})


def test_the_same_run_gives_the_same_page_whatever_the_order_of_its_items() -> None:
    items = [_item(f"set/{n}", gain=n % 3 - 1, source=20 + n % 4) for n in range(60)]
    run = _run(items)
    assert render_page(run, items) == render_page(run, items) == render_page(run, items[::-1])


def test_every_file_the_page_names_lies_beside_it(tmp_path: Path) -> None:
    items = [_item("set/a"), _item("set/it em#1")]
    for item in items:
        for path in item.pictures.values():
            write_bytes(join(str(tmp_path), path), b"picture")
    address = write_report(str(tmp_path), _run(items), items)
    assert address == f"{tmp_path}/index.html"
    text = Path(address).read_text()
    named = [value for value in Page(text).values_of("src", "href") if not value.startswith("#")]
    named += [item["at"] + file for item in _viewer_items(text) for file in item["files"] + item["thumbs"]]
    assert len(named) == 2 + 4 * len(items)
    assert [name for name in named if not (tmp_path / unquote(name)).is_file()] == []


def test_a_report_can_be_written_to_any_store() -> None:
    address = write_report("memory://reports/one", _run([_item("set/a")]), [_item("set/a")])
    assert read_bytes(address).startswith(b"<!doctype html>")
    assert set(list_objects("memory://reports/one")) == {"icon.svg", "index.html"}


def test_the_blur_digest_is_read_from_beside_the_pictures(tmp_path: Path) -> None:
    bare = replace(_item("set/a"), digests={}, pictures={"blur.json": "items/set/a/blur.json"})
    write_bytes(str(tmp_path / "items/set/a/blur.json"), BLUR.to_json())
    with_file = write_report(str(tmp_path), _run([bare]), [bare])
    assert "Signed circle of confusion" in Path(with_file).read_text()
    gone = replace(bare, pictures={"blur.json": "items/set/gone/blur.json"})
    assert (
        "Signed circle of confusion"
        not in Path(write_report(str(tmp_path), _run([gone]), [gone])).read_text()
    )


def test_items_stand_worst_gain_first() -> None:
    items = [_item("set/fine", gain=2), _item("set/bad", gain=-1), _item("set/fair", gain=0.5)]
    assert _item_order(_render(items)) == ["set/bad", "set/fair", "set/fine"]


def test_items_without_a_target_stand_by_reblur_score_after_those_with_one() -> None:
    def untrue(name: str, db: float) -> ReportItem:
        return ReportItem(name, "computed", [Score(name, "reblur_psnr_db", "restored", REBLUR, db)])

    items = [untrue("set/good", 40), untrue("set/poor", 20), _item("set/known", gain=3)]
    assert _item_order(_render(items)) == ["set/known", "set/poor", "set/good"]


def test_items_of_different_sizes_are_ranked_apart() -> None:
    small = replace(PROTOCOL, size="420x280")
    items = [_item("set/a", gain=1), _item("set/b", gain=3), _item("set/c", gain=5)]
    items += [
        ReportItem(f"set/{n}", "computed", _scores(f"set/{n}", gain=g, protocol=small))
        for n, g in (("y", 4), ("z", 2))
    ]
    page = _render(items)
    assert _item_order(page) == ["set/a", "set/b", "set/c", "set/z", "set/y"]
    assert [group["count"] for group in _viewer(page)["groups"]] == [3, 2]


def test_a_method_below_its_input_is_marked_at_once() -> None:
    items = [_item(f"set/{n}", gain=-0.5 - 0.01 * n) for n in range(8)]
    page = _render(items)
    assert "Restored images are worse than their input" in page
    assert page.count(">worse</span>") == 2  # restored and the external result
    better = _render([_item(f"set/{n}", gain=1 + 0.01 * n) for n in range(8)])
    assert "Restored images gain +1.0" in better
    assert better.count(">worse</span>") == 1  # the external result alone


def test_a_gain_that_could_be_chance_is_not_claimed() -> None:
    items = [_item(f"set/{n}", gain=gain) for n, gain in enumerate((-2, 3, -2.5, 2.6, -1, 1.2))]
    page = _render(items)
    assert "do not clearly differ from their input" in page
    assert "within noise" in page


def test_lower_is_better_where_it_is() -> None:
    scores = [
        Score("set/a", "mae", subject, PROTOCOL, v) for subject, v in (("input", 0.04), ("restored", 0.03))
    ]
    page = _render([ReportItem("set/a", "computed", scores)])
    assert "lower is better" in page
    assert "+0.0100" in page
    assert ">worse</span>" not in page


def test_quarantine_and_problems_tell_reason_and_remedy() -> None:
    page = _render(
        [_item("set/a")],
        items=ItemCounts(2, 1, 0, 1),
        quarantine=(QuarantineRecord("set/b", "ingest", "image_format", "not a picture", "copy it again"),),
        problems=(Problem("l/c.png", "pairing", "no right view", "add it"),),
    )
    for text in (
        "set/b",
        "ingest",
        "image_format",
        "not a picture",
        "copy it again",
        "no right view",
        "add it",
    ):
        assert f">{text}<" in page


def test_provenance_names_keys_settings_weights_and_versions() -> None:
    page = _render([_item("set/a")])
    for text in ("disparity, version 3", "window_px", "f00d", "0.1.0"):
        assert text in page
    assert re.search(r"disparity-[0-9a-f]{20}", page)


def test_a_thousand_items_stay_light() -> None:
    items = [_item(f"set/item-{n:04d}", gain=(n * 37 % 100) / 20 - 1) for n in range(1000)]
    page = _render(items)
    assert len(_viewer_items(page)) == 1000
    assert len(page) < 750_000
    assert len(Page(page).tags) < 1500
    assert not [value for value in Page(page).values_of("src") if "items" in value]


def test_of_very_many_items_the_worst_are_listed_and_it_says_so() -> None:
    items = [
        ReportItem(f"set/{n}", "computed", _scores(f"set/{n}", gain=n / 1000))
        for n in range(LISTED_ITEMS + 500)
    ]
    page = _render(items, metrics=())
    assert len(_item_order(page)) == LISTED_ITEMS
    assert f"The worst {LISTED_ITEMS:,} of {LISTED_ITEMS + 500:,} are listed; scores.parquet" in page
    assert "set/0" in _item_order(page)


def test_of_very_many_items_those_with_pictures_are_listed_with_the_worst() -> None:
    count = LISTED_ITEMS + 500
    items = [
        ReportItem(
            f"set/{n}",
            "computed",
            _scores(f"set/{n}", gain=n / 1000),
            {"left.jpg": f"items/{n}/left.jpg"} if n in (3, count - 7) else {},
        )
        for n in range(count)
    ]
    page = _render(items, metrics=())
    assert len(_item_order(page)) == LISTED_ITEMS + 1
    assert f"set/{count - 7}" in _item_order(page)
    assert f"The worst {LISTED_ITEMS:,} of {count:,} are listed, and 1 with pictures;" in page


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0.00 s"), (9.994, "9.99 s"), (59.94, "59.9 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert show_seconds(seconds) == text


def test_a_moment_is_for_people_and_anything_else_is_kept() -> None:
    assert show_moment("2026-01-02T03:04:05+00:00") == "2 January 2026, 03:04 UTC"
    assert show_moment("yesterday") == "yesterday"


def test_a_displaced_target_is_judged_after_the_shift_search() -> None:
    shifted = replace(PROTOCOL, alignment=ALIGNMENT)
    items = [
        ReportItem(
            name, "computed", _scores(name, gain=plain) + _scores(name, gain=after, protocol=shifted)[:3]
        )
        for name, plain, after in (("set/a", 3, -1), ("set/b", -3, -0.5), ("set/c", 0, -2))
    ]
    page = _render(items)
    assert _item_order(page) == ["set/c", "set/a", "set/b"]
    assert f"3 items, {ALIGNMENT}" in page


def test_items_ranked_by_different_definitions_do_not_mix() -> None:
    shifted = replace(PROTOCOL, alignment=ALIGNMENT)
    items = [_item("set/a", gain=-5), _item("set/b", gain=5)]
    items += [
        ReportItem(
            name, "computed", _scores(name, gain=gain) + _scores(name, gain=gain, protocol=shifted)[:3]
        )
        for name, gain in (("set/x", -2), ("set/y", 2))
    ]
    assert _item_order(_render(items)) == ["set/x", "set/y", "set/a", "set/b"]


def test_a_gain_of_few_items_is_not_claimed_and_it_says_why() -> None:
    page = _render([_item(f"set/{n}", gain=1 + 0.01 * n) for n in range(4)])
    assert "Too few items to claim that restored images gain +1.0" in page
    assert ">few items</span>" in page
    assert "within noise</span>" not in page


def test_the_dataset_and_the_records_of_the_run_are_named(tmp_path: Path) -> None:
    items = [_item("set/a")]
    facts = [Fact("Licence", "CC BY 4.0"), Fact("Source", "s3://bucket/scenes", code=True)]
    address = write_report(
        str(tmp_path), _run(items), items, facts=facts, records=["../summary.json", "../scores.parquet"]
    )
    page = Page(Path(address).read_text())
    assert {"../summary.json", "../scores.parquet"} <= set(page.values_of("href"))
    assert "CC BY 4.0" in Path(address).read_text()


def test_scores_reach_the_page_as_they_are_and_are_marked_against_the_input() -> None:
    [item] = _viewer_items(_render([_item("set/a", source=25.123456789, gain=-0.5)]))
    assert item["values"] == [25.1235, 24.6235, -0.5, 23.1235, -2.0, 29.5]
    assert item["marks"] == "twwwwp"


def test_every_method_has_a_gain_and_keeps_its_capitals() -> None:
    scores = [
        Score("set/a", "psnr_db", subject, PROTOCOL, value)
        for subject, value in {"input": 20.0, "restored": 22.0, "methodA": 25.0}.items()
    ]
    pictures = picture_paths("set/a", ["restored.jpg", "peer-methoda.jpg"])
    text = _render([ReportItem("set/a", "computed", scores, pictures)])
    [item] = _viewer_items(text)
    assert (item["values"], item["marks"]) == ([20, 22, 2, 25, 5], "ppbtb")
    viewer = json.loads(re.search(r'id="viewer-items">(.*?)</script>', text, re.S)[1])  # type: ignore[index]
    assert viewer["columns"][0]["subjects"] == ["Input", "Restored", "Gain", "methodA", "Gain of methodA"]
    assert viewer["titles"]["peer-methoda"] == "methodA"


def test_settings_stand_by_name_and_no_value_as_json() -> None:
    settings = {"kernel": {"family": "half_disc", "order": 3}, "scales": [1, 2], "mode": "fast"}
    run = replace(_run([]), stages=(StageSpec("blur", "disparity", "1", settings),))
    text = render_page(run, [])
    for name, value in {"kernel.family": "half_disc", "scales": "1, 2", "mode": "fast"}.items():
        assert f'<th scope="row">{name}</th><td class="mono">{value}</td>' in text


def test_every_landmark_and_chart_has_a_name() -> None:
    page = Page(_render([_item(f"set/{n}", gain=n) for n in range(6)]))
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    regions = [a for tag, a in page.tags if tag in ("section", "nav", "dialog") or a.get("role") == "region"]
    assert len(regions) > 5
    assert all(a.get("aria-label") or a.get("aria-labelledby") in ids for a in regions)
    charts = [a for _, a in page.tags if a.get("role") == "img"]
    assert len(charts) == 5  # three of PSNR, one of reblur PSNR, one of the blur maps
    assert all(len(a.get("aria-label") or "") > 20 for a in charts)
    assert all("alt" in a for tag, a in page.tags if tag == "img")


def _with_depth(name: str, **fields: Any) -> ReportItem:
    pictures = picture_paths(name, ["input.jpg", "depth.png", "depth-thumb.jpg", "blur_map-thumb.jpg"])
    digests = {"depth": digest_map(np.full((4, 4), 3, np.float32), DEPTH)}
    return replace(_item(name), pictures=pictures, digests=digests, **fields)


def test_a_product_that_the_report_does_not_know_has_a_thumbnail_a_range_a_chart_and_a_legend() -> None:
    items = [_with_depth("set/a"), _with_depth("set/b")]
    page = render_page(_run(items), items, pictures=(*PICTURES, DEPTH))
    viewer = _viewer(page)
    assert viewer["titles"]["depth"] == "Depth map"
    assert viewer["ranges"] == ["depth"]
    [item, _] = viewer["items"]
    assert item["thumbs"] == ["blur_map-thumb.jpg", "depth-thumb.jpg"]
    assert item["files"] == ["input.jpg", "depth.png"]
    assert (item["maps"]["depth"]["range"], item["maps"]["depth"]["high"]) == ("3 to 3 m", "5 m")
    for text in ("Depth map, 5–95 %", "Share of pixels by value: metres from the camera", ".scale-depth{"):
        assert text in page


def test_a_picture_that_nobody_described_is_shown_under_its_name() -> None:
    items = [_with_depth("set/a")]
    viewer = _viewer(render_page(_run(items), items))
    assert viewer["titles"]["depth"] == "depth"
    assert viewer["items"][0]["files"] == ["input.jpg", "depth.png"]
    assert viewer["ranges"] == []


def test_items_of_every_route_are_counted_marked_and_can_be_filtered() -> None:
    items = [_item("set/a"), replace(_item("set/b"), route="single")]
    items += [replace(_item(f"set/{n}"), route="burst") for n in "cd"]
    page = _render(items, single_stages=(StageSpec("deblur", "bdir", "1"), StageSpec("depth", "lens", "1")))
    assert "1 of 4 items is a single view: restored by bdir, depth by lens." in page
    assert "2 of 4 items are bursts." in page
    assert _viewer(page)["routes"] == {"single": "single view", "burst": "burst"}
    assert [n for n in Page(page).values_of("value") if n in ("single", "burst")] == [
        "burst",
        "single",
    ]
