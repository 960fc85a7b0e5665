"""The same bytes with any number of threads and workers; nearly the same with other instructions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from run_samples import FIRST, begin_run, complete_run, contents_of, make_dataset

from ldp_core.archive import Archive
from tasks.pipeline import make_config
from tasks.run import Run
from tasks.stage import PipelineConfig

PROGRAM = """
import sys
from pathlib import Path
import torch
from run_samples import FIRST, begin_run, complete_run
from tasks.pipeline import make_config
archive, source, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
config = make_config(archive, estimator=("disparity", {}), deblurrer=("ldp", {}), baselines=["bdir"])
complete_run(begin_run(config, Path(source), FIRST))
"""
OLDER = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
"""Instructions of processors of about 2008."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reproducible")
    make_dataset(folder / "dataset", 2)
    restore(folder, "one", threads=1)
    return folder


def restore(folder: Path, name: str, *, threads: int, **environment: str) -> Path:
    """An archive made by a process of its own."""
    paths = os.pathsep.join(filter(None, sys.path))
    subprocess.run(
        [sys.executable, "-c", PROGRAM, folder / name, folder / "dataset", str(threads)],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": str(threads), **environment},
        check=True,
    )
    return folder / name


def products_of(archive: Path) -> dict[str, bytes]:
    contents = contents_of(archive)
    return {name: content for name, content in contents.items() if not name.startswith("runs/")}


def test_the_number_of_threads_changes_no_byte(place: Path) -> None:
    assert torch.get_num_threads() == 1
    many = products_of(restore(place, "many", threads=4))
    assert many == products_of(place / "one")


def test_other_instructions_change_little(place: Path) -> None:
    """By no more than infra/archive-format.md allows."""
    other = restore(place, "other", threads=1, **OLDER)
    ours, theirs = Archive(str(place / "one")), Archive(str(other))
    run = Run(str(place / "one"), FIRST)
    for item in run.completed:
        key = run.key_of("blur", "pair")
        maps = [archive.read_blur_map(key, item).values for archive in (ours, theirs)]
        np.testing.assert_allclose(*maps, atol=0.02, rtol=0)
        for label in ("deblur", "baseline:bdir"):
            key = run.key_of(label, "pair")
            first, second = (archive.read_restored(key, item).astype(int) for archive in (ours, theirs))
            assert np.abs(first - second).max() <= 1
            assert (first != second).mean() < 0.02
        key = run.key_of("score", "pair")
        scores = [archive.read_scores(key, item) for archive in (ours, theirs)]
        for one, two in zip(*scores, strict=True):
            assert one.value == pytest.approx(two.value, abs=0.001)


def test_a_thread_setting_of_the_caller_does_not_matter(place: Path, tmp_path: Path) -> None:
    config: PipelineConfig = make_config(
        str(tmp_path), estimator=("disparity", {}), deblurrer=("ldp", {}), baselines=["bdir"]
    )
    torch.set_num_threads(3)
    try:
        complete_run(begin_run(config, place / "dataset", FIRST))
    finally:
        torch.set_num_threads(1)
    assert products_of(tmp_path) == products_of(place / "one")
