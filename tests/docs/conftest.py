"""A small archive, made once: two simulated pairs restored without a server, with the record of their run."""

from __future__ import annotations

from pathlib import Path

import pytest

from ldp_core.catalogue import read_catalogue
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from tasks.batches import BatchResult
from tasks.job import Job, stages_of
from tasks.runs import new_run_id, write_end, write_start
from tasks.stages import Work, ingest_item, restore_item
from tasks.summary import summarise_run
from tasks.tally import Tally

PAIRS = 2


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `dataset`, layout `folders`, and `archive` beside it."""
    folder = tmp_path_factory.mktemp("docs")
    for seed in range(PAIRS):
        pair = simulate_pair(seed, SimulationSettings(height=64, width=80))
        for view, pixels in pair.views.items():
            (folder / "dataset" / view).mkdir(parents=True, exist_ok=True)
            (folder / "dataset" / view / f"{seed}.png").write_bytes(encode_image(pixels, "png"))
    _restore(Job(str(folder / "archive")), folder / "dataset")
    return folder


def _restore(job: Job, dataset: Path) -> None:
    catalogue = read_catalogue(str(dataset), layout="folders")
    run_id, tally = new_run_id(), Tally(catalogue, max_bad=0)
    write_start(job, run_id, catalogue, stages=stages_of(job))
    tally.add(BatchResult(ingest_item(job, item) for item in catalogue.items))
    tally.add(BatchResult(restore_item(job, Work(item)) for item in catalogue.items))
    tally.check()
    write_end(job, summarise_run(run_id, catalogue, tally, seconds=1.0, stages=stages_of(job)), tally.items)
