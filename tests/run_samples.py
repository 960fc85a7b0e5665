"""A small dataset, and runs over it made of the real stages, with no cluster and no server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ldp_core.catalogue import encode_coc_px, read_catalogue
from ldp_core.images import encode_image
from ldp_core.metrics import summarise
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import ItemCounts, QuarantineRecord, RunSummary
from tasks.job import Job, Method, stages_of
from tasks.runs import RunItem, environment, write_end, write_start
from tasks.stages import Outcome, Work, ingest_item, restore_item

FIRST, SECOND = "20260101t000000z-aaaaaa", "20260102t000000z-bbbbbb"
OTHER = {"noise_signal": 0.05}


def make_dataset(folder: Path, count: int = 3) -> Path:
    """Simulated pairs with target and truth in the `folders` layout."""
    for seed in range(count):
        pair = simulate_pair(seed, SimulationSettings(height=64, width=72))
        assert pair.blur_truth is not None
        for view, pixels in (pair.views | {"coc": encode_coc_px(pair.blur_truth)}).items():
            (folder / view).mkdir(parents=True, exist_ok=True)
            (folder / view / f"{seed}.png").write_bytes(encode_image(pixels, format="png"))
    return folder


def start_run(archive: Path, source: Path, run_id: str, **settings: Any) -> tuple[Job, Any]:
    """The record that a run leaves at its start."""
    job = Job(str(archive), Method("disparity"), Method.of("wiener", settings), torch_threads=1)
    catalogue = read_catalogue(str(source), layout="folders", dataset="set")
    write_start(job, run_id, catalogue, stages=stages_of(job))
    return job, catalogue


def make_run(archive: Path, source: Path, run_id: str, **settings: Any) -> RunSummary:
    """A whole run with `disparity` and `wiener`; ``settings`` are those of the latter."""
    job, catalogue = start_run(archive, source, run_id, **settings)
    items = []
    for item in catalogue.items:
        assert isinstance(ingest_item(job, item), Outcome)
        done = restore_item(job, Work(item, frozenset(("blur", "deblur", "score"))))
        assert isinstance(done, Outcome), done
        items.append(RunItem(item.id, "computed" if done.computed else "skipped", done.scores))
    set_aside = QuarantineRecord("left/9.png", "catalogue", "pairing", "it has no right view", "add it")
    summary = RunSummary(
        run_id=run_id,
        created="2026-01-01T00:00:00+00:00",
        dataset=catalogue.dataset,
        layout=catalogue.layout,
        source=catalogue.source,
        report=f"{archive}/runs/{run_id}/report/index.html",
        stages=stages_of(job),
        environment=environment(),
        items=ItemCounts(len(items) + 1, len(items), 0, 1),
        seconds={"total": 1.0},
        metrics=summarise([score for item in items for score in item.scores]),
        quarantine=(set_aside,),
    )
    write_end(job, summary, items)
    return summary


def contents_of(folder: Path) -> dict[str, bytes]:
    """Every file by relative path, but for what was set aside."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {name: content for name, content in named.items() if not name.startswith("rotten/")}
