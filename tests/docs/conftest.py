"""A small archive, made once: two simulated pairs restored without a server, with the record of their run."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_samples import begin_run, complete_run

from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from tasks.run import new_run_id
from tasks.stage import PipelineConfig

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
    config = PipelineConfig(str(folder / "archive"))
    complete_run(begin_run(config, folder / "dataset", new_run_id(), dataset="dataset"))
    return folder
