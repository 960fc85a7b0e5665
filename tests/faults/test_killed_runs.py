"""Runs that are killed, interrupted or doubled: the same command goes on, and nothing half is kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ldp_core.archive import Archive
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from tasks.status import describe_runs

LDP = Path(sys.executable).with_name("ldp")
PAIRS = 6


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    for number in range(PAIRS):
        pair = simulate_pair(number, SimulationSettings(height=160, width=192))
        for view, pixels in pair.views.items():
            (folder / view).mkdir(exist_ok=True)
            (folder / view / f"{number}.png").write_bytes(encode_image(pixels, format="png"))
    return folder


@pytest.fixture
def start(dataset: Path, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start `ldp restore` on the dataset in a process group of its own."""
    started: list[subprocess.Popen[str]] = []

    def start_run(source: Path = dataset) -> subprocess.Popen[str]:
        command = [LDP, "restore", source, "--archive", tmp_path / "archive", "--workers", "1", "--json"]
        pipe = subprocess.PIPE
        run = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
        started.append(run)
        return run

    yield start_run
    for run in started:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate()


def wait_for(pattern: str, archive: Path, run: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 240
    while not list(archive.glob(pattern)):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < end, "no item was finished in four minutes"
        time.sleep(0.05)


def wait_for_silence(group: int) -> bool:
    """Whether a process group empties within half a minute."""
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def finish(run: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = run.communicate(timeout=240)
    assert run.returncode == 0, err
    summary: dict[str, Any] = json.loads(out)
    return summary


def assert_whole(archive: Path) -> None:
    opened = Archive(str(archive))
    for item_id in opened.list_items("frames"):
        opened.read_pair(item_id)
    for key in (path.name for path in archive.glob("restored/*") if path.is_dir()):
        for item_id in opened.list_items("restored", key):
            opened.read_restored(key, item_id)


def test_a_killed_run_goes_on_where_it_was(start: Callable[[], Any], tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    run = start()
    wait_for("scores/*/**/*.json", archive, run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()

    assert_whole(archive)
    summary = finish(start())
    assert summary["items"]["computed"] + summary["items"]["skipped"] == PAIRS
    assert summary["items"]["skipped"] >= 1
    assert_whole(archive)


def test_an_interrupted_run_says_so_and_leaves_no_process(start: Callable[[], Any], tmp_path: Path) -> None:
    run = start()
    wait_for("frames/**/zarr.json", tmp_path / "archive", run)
    os.kill(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 130, err
    assert "give the same command again" in err
    assert wait_for_silence(run.pid), "processes of the run are still there"


def test_two_runs_at_once_agree(start: Callable[[], Any], tmp_path: Path) -> None:
    first, second = (finish(run) for run in [start(), start()])
    assert first["run_id"] != second["run_id"]
    assert first["metrics"] == second["metrics"]
    assert first["items"]["quarantined"] == second["items"]["quarantined"] == 0
    assert_whole(tmp_path / "archive")


@pytest.fixture
def changed(dataset: Path, start: Callable[..., Any], tmp_path: Path) -> Path:
    """A copy of the dataset that was restored, and of which two items have changed since."""
    source = Path(shutil.copytree(dataset, tmp_path / "dataset"))
    finish(start(source))
    for number in (0, 1):
        pair = simulate_pair(PAIRS + number, SimulationSettings(height=160, width=192))
        for view, pixels in pair.views.items():
            (source / view / f"{number}.png").write_bytes(encode_image(pixels, format="png"))
    return source


def versions_of(archive: Path, summary: dict[str, Any]) -> dict[str, int]:
    lines = (archive / "runs" / summary["run_id"] / "items.jsonl").read_text().splitlines()
    return {row["item"]: row["version"] for row in map(json.loads, lines)}


def test_a_run_killed_while_it_archives_new_versions_goes_on(
    start: Callable[..., Any], changed: Path, tmp_path: Path
) -> None:
    archive, expected = tmp_path / "archive", {f"dataset/{n}": 2 if n < 2 else 1 for n in range(PAIRS)}
    run = start(changed)
    wait_for("frames/dataset/*@2/zarr.json", archive, run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert_whole(archive)

    summaries = [finish(run) for run in (start(changed), start(changed))]  # two at once
    assert [versions_of(archive, summary) for summary in summaries] == [expected] * 2
    assert [summary["sources"]["changed"] for summary in summaries] == [2, 2]
    assert summaries[0]["metrics"] == summaries[1]["metrics"]
    assert [summary["items"]["quarantined"] for summary in summaries] == [0, 0]
    assert_whole(archive)
    assert finish(start(changed))["items"]["skipped"] == PAIRS
    assert not list(archive.glob("frames/dataset/*@3"))


def server_of(run: subprocess.Popen[str]) -> psutil.Process:
    """The Prefect server of a run."""
    children = psutil.Process(run.pid).children(recursive=True)
    [server] = [child for child in children if "private_server" in " ".join(child.cmdline())]
    return server


def state_of(archive: Path) -> str:
    [run] = describe_runs(str(archive))
    return run.state


def test_a_run_whose_prefect_server_is_killed_says_so_in_the_time_allowed(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LDP_PATIENCE", "8")
    run = start()
    wait_for("frames/*/*/c.*", tmp_path / "archive", run)
    server_of(run).kill()
    begin = time.monotonic()
    _, err = run.communicate(timeout=100)
    assert time.monotonic() - begin < 30
    assert run.returncode == 1
    assert err.startswith("ldp: [engine] Prefect's server of this run has ended before it\n  got: signal 9\n")
    assert "Traceback" not in err
    assert wait_for_silence(run.pid)
    assert state_of(tmp_path / "archive") == "stopped"
    assert finish(start())["items"]["total"] == PAIRS


def test_a_signal_to_the_whole_group_is_one_line(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LDP_PATIENCE", "8")
    run = start()
    wait_for("frames/*/*/c.*", tmp_path / "archive", run)
    server = server_of(run)
    begin = time.monotonic()
    os.killpg(run.pid, signal.SIGTERM)
    _, err = run.communicate(timeout=100)
    assert time.monotonic() - begin < 30
    assert (run.returncode, err) == (143, "ldp: terminated; give the same command again to continue\n")
    assert wait_for_silence(run.pid)
    server.wait(30)
    assert state_of(tmp_path / "archive") == "cancelled"
