"""Log lines of a command: warnings as text, or all of them as JSON, one object a line."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from run_samples import FIRST, make_dataset, run_planned
from typer.testing import CliRunner

from flows.cli import app
from flows.exits import exits
from flows.logs import ITEMS, LOG, show_json, show_warnings
from ldp_core.errors import ClusterError


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = LOG.handlers[:], LOG.level, LOG.propagate
    yield
    LOG.handlers[:], LOG.level, LOG.propagate = before


def test_a_finished_run_logs_json_and_nothing_else(tmp_path: Path) -> None:
    source, archive = make_dataset(tmp_path / "dataset", 2), tmp_path / "archive"
    run_planned(archive, source, FIRST)
    arguments = ["ingest", str(source), "--archive", str(archive), "--dataset", "set", "--log-json", "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    begin, end = map(json.loads, done.stderr.splitlines())
    assert (begin["logger"], begin["level"], begin["dataset"], begin["items"]) == (
        "ldp.run",
        "INFO",
        "set",
        2,
    )
    assert (end["run"], end["state"]) == (begin["run"], "finished")
    assert (end["total"], end["quarantined"]) == (2, 0)
    assert begin["time"] <= end["time"]
    assert json.loads(done.stdout)["run_id"] == end["run"]


def test_the_last_line_is_json_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    show_json()
    with pytest.raises(typer.Exit), exits():
        raise ClusterError("no workers", where="tcp://host:1", remedy="start some")
    [line] = capsys.readouterr().err.splitlines()
    assert (
        json.loads(line).items()
        >= {
            "level": "ERROR",
            "message": "no workers",
            "kind": "cluster",
            "where": "tcp://host:1",
            "remedy": "start some",
            "exit_code": 1,
        }.items()
    )


def test_warnings_are_shown_but_for_what_the_summary_tells(capsys: pytest.CaptureFixture[str]) -> None:
    show_warnings()
    logging.getLogger("ldp.workers").warning("worker %s: lost", "tls://host:1")
    logging.getLogger(ITEMS).warning("set/1 is quarantined")
    logging.getLogger("ldp.run").info("begins")
    assert capsys.readouterr().err == "ldp: worker tls://host:1: lost\n"
