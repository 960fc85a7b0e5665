"""A small dataset, and runs over it made of the real stages, with no cluster and no server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ldp_core.archive.layout import GROUP_METADATA
from ldp_core.catalogue import encode_coc_px, read_catalogue
from ldp_core.images import encode_image
from ldp_core.metrics import summarise
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import Item, ItemCounts, QuarantineRecord, RunSummary
from tasks.items import ItemResult, ingest_item, restore_item
from tasks.pipeline import make_config, pipeline_for, pipelines_for
from tasks.plan import Plan, make_plan
from tasks.run import Run, RunItem
from tasks.run_stats import RunStats
from tasks.sources import apply_versions
from tasks.stage import PAIR, SINGLE, PipelineConfig
from tasks.stored_run import describe_request, environment
from tasks.work import BatchResult, choose_ingest, choose_restore

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


def start_run(archive: Path, source: Path, run_id: str, **settings: Any) -> Run:
    """The record that a run leaves at its start."""
    config = make_config(str(archive), estimator=("disparity", {}), deblurrer=("wiener", settings))
    return begin_run(config, source, run_id)


def begin_run(config: PipelineConfig, source: Path, run_id: str, *, dataset: str = "set") -> Run:
    """As `start_run`, of any configuration."""
    catalogue = read_catalogue(str(source), layout="folders", dataset=dataset, pixels=config.pixels)
    return Run.start(config, catalogue, pipelines_for(config, catalogue.items), run_id=run_id)


def make_run(archive: Path, source: Path, run_id: str, **settings: Any) -> RunSummary:
    """A whole run with `disparity` and `wiener`; ``settings`` are those of the latter."""
    refused = QuarantineRecord("left/9.png", "catalogue", "pairing", "it has no right view", "add it")
    return complete_run(start_run(archive, source, run_id, **settings), refused)


def run_planned(
    archive: Path | str,
    source: Path | str,
    run_id: str,
    *,
    dataset: str = "set",
    verify_sources: bool = False,
    **settings: Any,
) -> RunSummary:
    """What `ldp restore` does of a source, worker by worker in this process: planned, ingested, restored."""
    config = make_config(str(archive), estimator=("disparity", {}), deblurrer=("wiener", settings))
    plan = make_plan(config, str(source), layout="folders", dataset=dataset, verify_sources=verify_sources)
    run, stats = start_planned(plan, run_id)
    ingested = call(choose_ingest(plan, item) for item in plan.catalogue.items)
    stats.add(ingested)
    stats.add(call(choose_restore(plan, item) for item in items_found(plan, ingested)))
    summary = stats.summarise(run_id, plan.pipelines, seconds=1.0, report=f"{run.url}/report/index.html")
    run.finish(summary, stats.items)
    return summary


def start_planned(plan: Plan, run_id: str) -> tuple[Run, RunStats]:
    """The record of a planned run at its start, and its counts."""
    asked = describe_request(plan.options, plan.camera, from_archive=plan.config.from_archive)
    run = Run.start(plan.config, plan.catalogue, plan.pipelines, run_id=run_id, asked=asked)
    return run, RunStats(plan.catalogue, max_bad=1.0, vanished=plan.sources.vanished)


def call(calls: Iterable[tuple[Any, ...]]) -> BatchResult:
    """The results of calls that workers would make."""
    return BatchResult(function(*arguments) for function, *arguments in calls)


def items_found(plan: Plan, ingested: BatchResult) -> list[Item]:
    """The items that were ingested, in the versions that their sources hold."""
    versions = {result.item_id: result.version for result in ingested.results}
    found = apply_versions(plan.catalogue, versions).items
    return [item for item in found if item.id in versions]


def complete_run(run: Run, *quarantine: QuarantineRecord) -> RunSummary:
    """Have the items of a run that has started go through its stages, and record what came of it."""
    items = []
    for item in run.catalogue.items:
        assert isinstance(ingest_item(run.config, item), ItemResult)
        done = restore_item(run.config, item, pipeline_for(run.config, item).labels)
        assert isinstance(done, ItemResult), done
        items.append(RunItem(item.id, "computed" if done.computed else "skipped", done.scores, done.digest))
    summary = RunSummary(
        run_id=run.run_id,
        created="2026-01-01T00:00:00+00:00",
        dataset=run.catalogue.dataset,
        layout=run.catalogue.layout,
        source=run.catalogue.source,
        report=f"{run.url}/report/index.html",
        stages=run.specs.get(PAIR, ()),
        environment=environment(),
        items=ItemCounts(len(items) + len(quarantine), len(items), 0, len(quarantine)),
        seconds={"total": 1.0},
        metrics=summarise([score for item in items for score in item.scores]),
        quarantine=quarantine,
        single_stages=run.specs.get(SINGLE, ()),
    )
    run.finish(summary, items)
    return summary


def contents_of(folder: Path, *, groups: bool = False) -> dict[str, bytes]:
    """Every file by relative path, but for corrupt ones moved away and, unless asked for, groups."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    return {
        name: content
        for name, content in named.items()
        if not name.startswith("rotten/") and (groups or content != GROUP_METADATA)
    }
