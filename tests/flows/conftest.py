"""One Prefect server for all flow tests, and a small simulated dataset."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair

PAIRS = 3


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def _simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    for seed in range(PAIRS):
        pair = simulate_pair(seed, SimulationSettings(height=96, width=128))
        for view, pixels in pair.views.items():
            (folder / view).mkdir(exist_ok=True)
            (folder / view / f"Scene {seed}.png").write_bytes(encode_image(pixels, format="png"))
    return folder


@pytest.fixture
def dataset(_simulated: Path, tmp_path: Path) -> Path:
    """A fresh copy of three simulated pairs in the `folders` layout."""
    return Path(shutil.copytree(_simulated, tmp_path / "dataset"))
