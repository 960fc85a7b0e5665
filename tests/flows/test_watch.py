"""A run whose flow run is cancelled, whose server is silent or full, whose scheduler dies: one line each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from dask_programs import started
from distributed import LocalCluster
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL
from prefect_service import free_port, wait_until

from flows import private_server as module
from flows.engine import prefect_engine
from flows.exits import exits
from flows.ingest import ingest_dataset
from flows.private_server import private_server
from tasks.status import describe_runs


class Server:
    """A Prefect server whose end nobody tells the runs."""

    def __init__(self) -> None:
        [self.process] = [one for one in psutil.Process().children() if module.__file__ in one.cmdline()]
        user, _, password = PREFECT_API_AUTH_STRING.value().partition(":")
        self.api = httpx.Client(base_url=f"{PREFECT_API_URL.value()}/", auth=(user, password), timeout=60)

    def ask(self, path: str, **content: Any) -> Any:
        return self.api.post(path, json=content).json()

    def newest_run(self) -> dict[str, Any]:
        [found] = self.ask("flow_runs/filter", sort="START_TIME_DESC", limit=1)
        return dict(found)

    def cancel(self) -> None:
        self.ask(f"flow_runs/{self.newest_run()['id']}/set_state", state={"type": "CANCELLING"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("temporary")))
        with private_server(on_death=lambda code: None):
            found = Server()
            yield found
            found.api.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    local = "127.0.0.1"
    with LocalCluster(
        n_workers=1, processes=False, protocol="tcp", host=local, dashboard_address=f"{local}:0"
    ) as cluster:
        yield cluster


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def ingest(
    server: Server, cluster: LocalCluster, dataset: Path, archive: Path
) -> Callable[..., dict[str, Any]]:
    """Archive a dataset as a command does."""

    def run(address: str = cluster.scheduler_address) -> dict[str, Any]:
        with exits(), prefect_engine():
            return ingest_dataset(str(dataset), "folders", str(archive), cluster=address, max_bad=1)

    return run


@dataclass(frozen=True)
class End:
    """How a program ended."""

    code: int
    err: str


@pytest.fixture
def slow_ingest(server: Server, cluster: LocalCluster, dataset: Path, archive: Path) -> Callable[..., End]:
    """The same as a process, each item in ten seconds."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PREFECT_API_URL": PREFECT_API_URL.value(),
        "PREFECT_API_AUTH_STRING": PREFECT_API_AUTH_STRING.value(),
        "LDP_PREFECT_TIMEOUT": "6",
        "LDP_CLUSTER_TIMEOUT": "15",
        "LDP_PATIENCE": "60",
    }

    def run(address: str = cluster.scheduler_address, **more: str) -> End:
        command = [sys.executable, "-m", "slow_ingest", str(dataset), str(archive), address]
        ended = subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=240)
        return End(ended.returncode, ended.stderr)

    return run


def soon(act: Callable[[], Any], archive: Path) -> None:
    """Act once a run works."""

    def wait_and_act() -> None:
        wait_until(lambda: list(archive.glob("runs/*/run.json")), "a run has begun")
        time.sleep(0.5)
        act()

    threading.Thread(target=wait_and_act, daemon=True).start()


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def lost() -> str:
    return f"ldp: [engine] Prefect's server cannot be used\n  where: {PREFECT_API_URL.value()}\n"


def state_of(archive: Path) -> str:
    [run] = describe_runs(str(archive))
    return run.state


def test_what_is_quarantined_is_seen_in_prefect(
    server: Server, ingest: Callable[..., dict[str, Any]], dataset: Path
) -> None:
    picture = dataset / "left" / "Scene 1.png"
    picture.write_bytes(picture.read_bytes()[:2000])
    assert ingest()["items"]["quarantined"] == 1
    run_id = server.newest_run()["id"]

    artifacts = server.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run_id]}})
    [row] = next(json.loads(one["data"]) for one in artifacts if one["key"] == "ingest-quarantine")
    assert (row["item"], row["kind"]) == ("dataset/scene-1", "image_format")

    def warnings() -> list[str]:
        asked = {"flow_run_id": {"any_": [run_id]}, "level": {"ge_": 30}}
        return [one["message"] for one in server.ask("logs/filter", logs=asked)]

    def events() -> list[dict[str, Any]]:
        asked = {"event": {"name": ["ldp.items.quarantined"]}}
        found = server.ask("events/filter", filter=asked)["events"]
        ids = {f"prefect.flow-run.{run_id}"}
        return [one for one in found if ids <= {of["prefect.resource.id"] for of in one["related"]}]

    first, last = (
        wait_until(lambda: found if len(found := warnings()) == 2 else None, "the log is there") or []
    )
    assert first.startswith("dataset/scene-1 is quarantined: [image_format] ")
    assert last == "1 of 3 items are quarantined"
    [event] = wait_until(events, "the event is there")
    assert event["payload"]["quarantined"] == 1


def test_a_run_that_is_cancelled_in_prefect_ends_with_one_line(
    server: Server, slow_ingest: Callable[..., End], archive: Path
) -> None:
    soon(server.cancel, archive)
    end = slow_ingest()
    assert end.code == 143
    assert end.err == (
        "ldp: [cancelled] the run was cancelled in Prefect\n  do: give the same command again to continue\n"
    )
    assert state_of(archive) == "cancelled"
    assert server.newest_run()["state"]["type"] == "CANCELLED"


def test_a_cancelled_run_whose_batch_does_not_end_is_ended_and_prefect_knows(
    server: Server, slow_ingest: Callable[..., End], archive: Path
) -> None:
    soon(server.cancel, archive)
    end = slow_ingest(STUCK="1", LDP_PATIENCE="16")
    assert end.code == 143
    assert end.err.count("ldp: [cancelled]") == 1
    assert server.newest_run()["state"]["type"] == "CANCELLED"


def test_a_run_whose_scheduler_is_killed_ends_with_one_line(
    slow_ingest: Callable[..., End], archive: Path
) -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with (
        started("dask_scheduler", "--host", "127.0.0.1", "--port", str(port)) as scheduler,
        started("dask_worker", address, "--nthreads", "1", "--no-nanny"),
    ):
        wait_until(lambda: answers(port), "the scheduler listens")
        soon(scheduler.kill, archive)
        end = slow_ingest(address)
    assert end.code == 1
    assert end.err.startswith("ldp: [cluster] the connection to the Dask scheduler is lost\n")
    assert "Traceback" not in end.err
    assert state_of(archive) == "stopped"


def test_a_server_without_room_ends_a_run_with_one_line(
    server: Server, slow_ingest: Callable[..., End]
) -> None:
    """A limit to the size of its files is to it as a full disk."""
    limits = server.process.rlimit(psutil.RLIMIT_FSIZE)
    server.process.rlimit(psutil.RLIMIT_FSIZE, (1, limits[1]))
    try:
        end = slow_ingest()
    finally:
        server.process.rlimit(psutil.RLIMIT_FSIZE, limits)
    assert end.code == 1
    assert end.err.startswith(f"{lost()}  got: HTTPStatusError: Server error")
    assert "room on its disk" in end.err
    assert "Traceback" not in end.err


def test_a_run_whose_server_is_silent_ends_with_one_line(
    server: Server, slow_ingest: Callable[..., End], archive: Path
) -> None:
    """The last test of this server."""
    soon(server.process.suspend, archive)
    end = slow_ingest()
    assert end.code == 1
    assert end.err.startswith(f"{lost()}  got: no answer for ")
    assert "Traceback" not in end.err
    assert state_of(archive) == "stopped"
    server.process.kill()
