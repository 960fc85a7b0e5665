"""How long a browser takes to open the report of many items.

    python infra/benchmarks/report_load.py --items 1000
    python infra/benchmarks/report_load.py --items 100000 --repeats 3

writes two reports, one of a few items and one of many, and opens both from disk in Chromium, taking turns.
Needs the `test` extra and Debian's `chromium`.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

from harness import make_parser, parse, parse_size

from ldp_core.metrics import score_item, summarise
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.report import ReportItem, picture_paths, render_pictures, write_report
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, ItemCounts, RunSummary, Score

FEW = 10
LISTED, DRAWN = 2000, 200
"""Beyond so many items a report lists the worst; so many have pictures where a run is not asked for more."""
SCENES = 4

Scene = tuple[Path, Sequence[Score]]
"""The folder with the pictures of a scene, and its scores."""


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--size", type=parse_size, default=(720, 480), help="WIDTHxHEIGHT of the pictures")
    parser.add_argument("--keep", type=Path, help="write the reports into this folder and leave them there")
    asked = parse(parser)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        width, height = asked.size
        settings = SimulationSettings(width=width, height=height)
        scenes = [draw_scene(folder / "scenes" / str(seed), seed, settings) for seed in range(SCENES)]
        pages = {}
        for count in (FEW, asked.items):
            begin = process_time()
            pages[count] = make_report(folder / f"{count}-items", count, scenes)
            print(f"{count} items: {process_time() - begin:.1f} CPU s to write", flush=True)
        print_loads(measure_loads(pages, repeats=asked.repeats), pages)


def make_report(folder: Path, count: int, scenes: Sequence[Scene]) -> Path:
    """A report of ``count`` items whose pictures and scores are those of a few scenes, scores shifted."""
    items = [
        repeat_scene(
            folder, f"set/item-{n:06d}", scenes[n % SCENES], shift=n, drawn=count <= LISTED or n < DRAWN
        )
        for n in range(count)
    ]
    scores = [score for item in items for score in item.scores]
    run = RunSummary(
        run_id="benchmark",
        created="2026-01-02T03:04:05+00:00",
        dataset="set",
        layout="folders",
        source="simulated",
        report="",
        stages=(),
        environment={},
        items=ItemCounts(count, count, 0, 0),
        seconds={},
        metrics=summarise(scores),
    )
    return Path(write_report(str(folder), run, items))


def draw_scene(folder: Path, seed: int, settings: SimulationSettings) -> Scene:
    """The pictures of a simulated scene and its scores, the right view standing for the restored image."""
    pair = replace(simulate_pair(seed, settings), blur_truth_kind=BlurTruthKind.SIGNED_COC_PX)
    coc_px = BlurMap(pair.blur_truth, BlurMapKind.SIGNED_COC_PX) if pair.blur_truth is not None else None
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in render_pictures(pair, blur_map=coc_px, restored=pair.right).items():
        (folder / name).write_bytes(content)
    return folder, score_item(pair, restored=pair.right, blur_map=coc_px)


def repeat_scene(folder: Path, item: str, scene: Scene, *, shift: int, drawn: bool) -> ReportItem:
    """A scene under another name, in a group by ISO: its files linked, not copied."""
    pictures, scores = scene
    paths = picture_paths(item, [file.name for file in pictures.iterdir()] if drawn else [])
    for name, path in paths.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).hardlink_to(pictures / name)
    factor = 1 + 0.2 * math.sin(shift * 2.399)
    shifted = [
        Score(item, s.metric, s.subject, s.protocol, s.value * (factor if s.subject == "restored" else 1))
        for s in scores
    ]
    return ReportItem(item, "computed", shifted, paths, metadata={"iso": 100 * 2 ** (shift % 4)})


def measure_loads(pages: dict[int, Path], *, repeats: int) -> dict[int, list[dict[str, float]]]:
    """For each page, what each of its loads took, after one to warm up."""
    from playwright.sync_api import sync_playwright

    loads: dict[int, list[dict[str, float]]] = {count: [] for count in pages}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"))
        for turn in range(repeats + 1):
            for count, page in pages.items():
                load = measure_load(browser, page)
                if turn:
                    loads[count].append(load)
        browser.close()
    return loads


def measure_load(browser: Any, path: Path) -> dict[str, float]:
    """Seconds until the page is whole and answers, and how many requests that took."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    begin = perf_counter()
    page.goto(path.as_uri(), wait_until="load")
    loaded = perf_counter() - begin
    page.locator("tr.item").first.wait_for(state="attached")
    page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    ready = perf_counter() - begin
    begin = perf_counter()
    page.locator("#table thead button").first.click()
    sorted_ = perf_counter() - begin
    begin = perf_counter()
    page.locator("tr.item .open").first.click()
    page.locator("dialog[open]").wait_for()
    opened = perf_counter() - begin
    page.close()
    return {
        "loaded_s": loaded, "ready_s": ready, "sort_s": sorted_, "open_s": opened, "requests": len(requests)
    }  # fmt: skip


def print_loads(loads: dict[int, list[dict[str, float]]], pages: dict[int, Path]) -> None:
    few, many = ({name: median(load[name] for load in loads[n]) for name in loads[n][0]} for n in pages)
    sizes = [path.stat().st_size / 1e6 for path in pages.values()]
    print(f"{'':12}" + "".join(f"{n:>8} items" for n in pages) + f"{'ratio':>8}")
    print(f"{'page, MB':12}{sizes[0]:14.3f}{sizes[1]:14.3f}{sizes[1] / sizes[0]:8.1f}")
    for name in few:
        print(f"{name:12}{few[name]:14.3f}{many[name]:14.3f}{many[name] / few[name]:8.1f}")


if __name__ == "__main__":
    main()
