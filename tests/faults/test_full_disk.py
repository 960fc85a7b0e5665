"""A disk that is full when a run writes down what came of it: one line, and the next run goes on."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
import typer
from run_samples import FIRST, make_dataset, run_planned

from flows.exits import exits
from flows.finished import record_finished
from ldp_core import storage
from tasks.finished import read_all_finished
from tasks.pipeline import make_config
from tasks.plan import Plan, make_plan
from tasks.status import describe_runs


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Of an archive where nothing is left to compute."""
    folder = tmp_path_factory.mktemp("full")
    source = make_dataset(folder / "dataset", 2)
    run_planned(folder / "archive", source, FIRST)
    config = make_config(str(folder / "archive"), estimator=("disparity", {}), deblurrer=("wiener", {}))
    return make_plan(config, str(source), layout="folders", dataset="set")


def record(plan: Plan) -> None:
    results = read_all_finished(plan, scored=True)
    assert results
    record_finished("restore", plan, results, pipelines=plan.pipelines)


@pytest.mark.parametrize("name", ["index.html", "scores.parquet", "items.jsonl", "summary.json"])
def test_it_is_one_line_and_the_next_run_goes_on(
    plan: Plan, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, archive = storage._write_local, Path(plan.config.archive)

    def write(path: Path, content: bytes) -> None:
        if path.name == name:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        whole(path, content)

    monkeypatch.setattr(storage, "_write_local", write)
    with pytest.raises(typer.Exit) as caught, exits():
        record(plan)
    err = capsys.readouterr().err
    assert caught.value.exit_code == 1
    assert err.startswith("ldp: [storage] the disk is full\n  where: ")
    assert err.splitlines()[1].endswith(f"/{name}")
    [run] = (run for run in describe_runs(str(archive)) if run.state != "finished")
    assert run.state == "stopped"

    monkeypatch.undo()
    shutil.rmtree(archive / "runs" / run.run_id)
    record(plan)
    assert {run.state for run in describe_runs(str(archive))} == {"finished"}
