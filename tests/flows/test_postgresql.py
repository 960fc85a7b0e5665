"""Commands beside a configured Prefect server whose database is PostgreSQL, which dies and comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgresql_service import PostgreSQL, serve_postgresql
from prefect_service import PrefectService, free_port, wait_until

from tasks.status import describe_runs

pytestmark = pytest.mark.timeout(600)  # a database, a server twice and three runs start here

LDP = Path(sys.executable).with_name("ldp")


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    with serve_postgresql() as server:
        yield server


@pytest.fixture(scope="module")
def prefect(database: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> PrefectService:
    service = PrefectService(tmp_path_factory.mktemp("prefect"), free_port())
    service.environment |= database.environment | {
        "LDP_PREFECT_TIMEOUT": "4",  # an item takes ten seconds
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    del service.environment["PREFECT_LOGGING_LEVEL"]
    return service


def start(prefect: PrefectService, *command: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(command, env=prefect.environment, stdout=-1, stderr=-1, text=True)


def test_runs_are_recorded_and_a_dead_server_ends_one(
    prefect: PrefectService, database: PostgreSQL, dataset: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    with prefect.serving() as server:
        run = start(prefect, sys.executable, "-m", "slow_ingest", dataset, archive, "")
        wait_until(lambda: list(archive.glob("runs/*/run.json")), "the run has begun")
        os.killpg(server.pid, signal.SIGKILL)
        out, err = run.communicate(timeout=120)
    assert (run.returncode, out) == (1, "")
    assert err.startswith(f"ldp: [engine] Prefect's server cannot be used\n  where: {prefect.url}\n")
    assert "Traceback" not in err
    [begun] = describe_runs(str(archive))
    assert begun.state == "stopped"

    with prefect.serving():
        run = start(prefect, LDP, "restore", dataset, "--archive", archive, "--workers", "1", "--json")
        out, err = run.communicate(timeout=240)
    assert run.returncode == 0, err
    assert json.loads(out)["items"]["total"] == 3
    assert database.ask("select count(*) from flow_run where state_type = 'COMPLETED'") == ["1"]
    assert int(database.ask("select count(*) from task_run where state_type = 'COMPLETED'")[0]) >= 1
    assert database.ask("select count(*) from artifact where key = 'restore-summary'") == ["1"]
