"""A run over a dataset of which nothing is left to compute starts neither server nor workers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from run_samples import FIRST, contents_of, make_dataset, run_planned
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.archive.run_files import audit_run, list_runs
from tasks.heartbeat import RunState
from tasks.run import Run

METHODS = ("--dataset", "set", "--estimator", "disparity", "--deblurrer", "wiener")


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run_planned(folder / "archive", make_dataset(folder / "dataset"), FIRST)
    return folder


@pytest.fixture
def folder(_made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset and an archive that has all of it; a server or workers are started with a `StartedError`."""
    monkeypatch.setattr("flows.launch.server_is_configured", lambda: False)
    monkeypatch.setattr("flows.engine.prefect_engine", start)
    # Files are told from others by the time of their last change.
    return Path(shutil.copytree(_made, tmp_path / "copy", copy_function=shutil.copy2))


class StartedError(Exception):
    """A server would have been started."""


@contextmanager
def start() -> Iterator[None]:
    raise StartedError
    yield


def run(command: str, folder: Path, *options: object) -> Any:
    arguments = (command, folder / "dataset", "--archive", folder / "archive", *options)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_it_is_recorded_as_any_other_run(folder: Path) -> None:
    assert run("restore", folder, *METHODS).exit_code == 1  # its sources lie elsewhere: they are looked at
    shutil.rmtree(folder / "archive" / "runs")
    run_planned(folder / "archive", folder / "dataset", FIRST)
    done = run("restore", folder, *METHODS, "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    again, first = (Run(str(folder / "archive"), run_id) for run_id in list_runs(str(folder / "archive")))
    assert summary["items"] == {"total": 3, "computed": 0, "skipped": 3, "quarantined": 0}
    assert (again.run_id, again.state) == (summary["run_id"], RunState.FINISHED)
    assert [again.config, again.specs, again.catalogue] == [first.config, first.specs, first.catalogue]
    assert again.read_file("scores.parquet") == first.read_file("scores.parquet")
    assert again.found == first.found
    assert again.summary.metrics == first.summary.metrics
    assert {item.status for item in again.items} == {"skipped"}
    audit = audit_run(again.archive, again.run_id)
    assert (audit.checked, audit.corrupt) == (True, ())
    report = Path(summary["report"])
    assert all(f"set/{n}" in report.read_text() for n in range(3))
    assert len([*report.parent.rglob("*.jpg"), *report.parent.rglob("*.png")]) >= 3


def test_frames_that_are_there_are_ingested_again_without_workers(folder: Path) -> None:
    run_planned(folder / "archive", folder / "dataset", FIRST)
    before = contents_of(folder / "archive" / "frames")
    done = run("ingest", folder, "--dataset", "set", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["items"] == {"total": 3, "computed": 0, "skipped": 3, "quarantined": 0}
    assert contents_of(folder / "archive" / "frames") == before


@pytest.mark.parametrize("fault", ["result lost", "scores damaged", "frames damaged", "source changed"])
def test_whatever_is_left_to_do_starts_them(folder: Path, fault: str) -> None:
    archive, left = folder / "archive", folder / "dataset" / "left"
    shutil.rmtree(archive / "runs")
    run_planned(archive, folder / "dataset", FIRST)
    if fault == "result lost":
        [lost] = archive.glob("restored/*/set/1/zarr.json")
        lost.unlink()
    elif fault == "source changed":
        (left / "1.png").write_bytes((left / "2.png").read_bytes())
    else:
        pattern = "scores/*/set/1.json" if fault == "scores damaged" else "frames/set/1/zarr.json"
        [damaged] = archive.glob(pattern)
        damaged.write_bytes(damaged.read_bytes().replace(b"0", b"1", 1))
    before = list_runs(str(archive))
    assert isinstance(run("restore", folder, *METHODS).exception, StartedError)
    assert list_runs(str(archive)) == before


def test_too_many_refused_items_stop_it(folder: Path) -> None:
    for number in (5, 6):
        (folder / "dataset" / "target" / f"{number}.png").write_bytes(b"nothing")
    run_planned(folder / "archive", folder / "dataset", FIRST)
    done = run("restore", folder, *METHODS)
    assert done.exit_code == 4
    newest = list_runs(str(folder / "archive"))[0]
    assert Run(str(folder / "archive"), newest).state is RunState.STOPPED


def test_neither_prefect_nor_dask_is_imported(folder: Path) -> None:
    run_planned(folder / "archive", folder / "dataset", FIRST)
    arguments = ["restore", folder / "dataset", "--archive", folder / "archive", *METHODS]
    program = f"""
import sys
from flows.cli import app
app({[*map(str, arguments)]}, standalone_mode=False)
print([name for name in ("prefect", "distributed") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "3 skipped" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
