"""A real Prefect server, worker and command line, as processes with a home of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
PREFECT = Path(sys.executable).with_name("prefect")
PATIENCE_S = 240
"""For anything that a busy machine should have done long before."""


class PrefectService:
    """A server at a loopback port; its commands run in the root of the repository."""

    def __init__(self, home: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api"
        self._home = home
        self.environment = {name: text for name, text in os.environ.items() if "PREFECT" not in name} | {
            "PYTHONPATH": str(ROOT),
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
            "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
            "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
            "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
        }

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        """The server, while the block runs; started again, it remembers what it was told."""
        port = self.url.split(":")[2].removesuffix("/api")
        with (
            self.process("server", "start", "--host", "127.0.0.1", "--port", port) as server,
            httpx.Client(base_url=f"{self.url}/", timeout=PATIENCE_S) as self._api,
        ):
            wait_until(self._answers, "the server answers")
            yield server

    @contextmanager
    def process(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A `prefect` command that stays, in a process group of its own that ends with the block."""
        with (self._home / f"{arguments[0]}.log").open("ab") as log:
            started = subprocess.Popen(
                [PREFECT, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield started
        finally:
            stop_group(started)

    def run(self, *arguments: str, **environment: str) -> str:
        """A `prefect` command that ends; its standard output."""
        done = subprocess.run(
            [PREFECT, *arguments],
            cwd=ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, path: str) -> Any:
        return self._ask("GET", path).json()

    def post(self, path: str, content: Any = None) -> Any:
        return self._ask("POST", path, content or {}).json()

    def delete(self, path: str) -> None:
        self._ask("DELETE", path)

    def _ask(self, verb: str, path: str, content: Any = None) -> httpx.Response:
        """The answer; asked again while the database is locked, as the server itself advises."""
        end = time.monotonic() + PATIENCE_S
        while (answer := self._api.request(verb, path, json=content)).status_code == 503:
            assert time.monotonic() < end, f"not within {PATIENCE_S} s: an answer to {verb} {path}"
            time.sleep(1)
        return answer.raise_for_status()

    def start_run(self, deployment: str, **parameters: Any) -> str:
        """Have a deployment run once; the id of its run."""
        found = self.get(f"deployments/name/{deployment}")
        made: str = self.post(f"deployments/{found['id']}/create_flow_run", {"parameters": parameters})["id"]
        return made

    def wait_for_state(self, run_id: str, *types: str) -> Any:
        """The state of a run once it is of one of the types; of any final one, if none is given."""
        wanted = types or ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

        def state() -> Any:
            found = self.get(f"flow_runs/{run_id}")["state"]
            return found if found["type"] in wanted else None

        return wait_until(state, f"run {run_id} is {' or '.join(wanted)}")

    def _answers(self) -> bool:
        try:
            return bool(self.get("health"))
        except httpx.HTTPError:
            return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until(check: Callable[[], T], what: str) -> T:
    """What ``check`` returns once it is true."""
    end = time.monotonic() + PATIENCE_S
    while not (found := check()):
        assert time.monotonic() < end, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.2)
    return found


def stop_group(started: subprocess.Popen[bytes]) -> None:
    """End a process and its children: asked first, killed if they stay."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(started.pid, number)
            started.wait(timeout=20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
