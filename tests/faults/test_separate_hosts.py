"""A run over hosts of their own: one is killed, one is cut off, one joins; nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hosts import Network, can_make_hosts, make_certificate, network, wait_for_port
from prefect_service import wait_until
from s3_server import RCLONE, S3Server

from flows.archives import verify
from ldp_core.archive import Archive
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair

LDP = Path(sys.executable).with_name("ldp")
ROOT = Path(__file__).resolve().parents[2]
PAIRS = 72
NAMES = ("scheduler", "store", "flow", "one", "two", "three", "four")
NOTICED_S = 30
"""So long a worker may be silent, or a connection, as the page on deploying has it."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A line of a host's log: what it began or ended, on which items, when."""

    host: str
    what: str
    event: str
    items: tuple[str, ...]
    time: float


class Hosts:
    """A scheduler, a store and workers on hosts of their own; all connections between them are encrypted."""

    def __init__(self, made: Network, folder: Path) -> None:
        self.network, self.folder = made, folder
        self.bucket = folder / "buckets" / "ldp"
        self.address = {name: made.add_host(name) for name in NAMES}
        self.when: dict[str, float] = {}
        self.key, self.certificate = make_certificate(folder, *self.address.values())
        self.scheduler = f"tls://{self.address['scheduler']}:8786"
        (folder / "dask").mkdir()
        (folder / "dask" / "ldp.yaml").write_text(yaml.safe_dump({"distributed": self._dask()}))
        store = f"https://{self.address['store']}:9000"
        self.environment = (
            os.environ
            | S3Server(9000).environment(AWS_ENDPOINT_URL=store)
            | {
                "AWS_CA_BUNDLE": str(self.certificate),
                "DASK_CONFIG": str(folder / "dask"),
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "WORK_PAUSE_S": "1.5",
            }
        )

    def _dask(self) -> dict[str, Any]:
        mine = {"cert": str(self.certificate), "key": str(self.key)}
        roles = dict.fromkeys(("scheduler", "worker", "client"), mine)
        return {
            "comm": {
                "require-encryption": True,
                "timeouts": {"tcp": f"{NOTICED_S} s"},
                "tls": {"ca-file": str(self.certificate), **roles},
            },
            "scheduler": {"worker-ttl": f"{NOTICED_S} s", "no-workers-timeout": "2 minutes"},
            "worker": {"preload": ["tasks.items", "work_log"]},
        }

    def serve(self) -> None:
        """Start scheduler and store."""
        self._start("scheduler", *_dask_program("scheduler"), "--host", self.address["scheduler"])
        store = ("--addr", f"{self.address['store']}:9000", "--auth-key", "camera,dual-pixel")
        encrypted = ("--cert", self.certificate, "--key", self.key)
        self._start("store", RCLONE, "serve", "s3", self.bucket.parent, *store, *encrypted)
        wait_for_port(self.network, "flow", self.address["store"], 9000)
        wait_for_port(self.network, "flow", self.address["scheduler"], 8786)

    def add_worker(self, host: str) -> None:
        options = ("--nthreads", "3", "--no-nanny", "--local-directory", self.folder / host)
        self._start(host, *_dask_program("worker"), self.scheduler, *options)

    def has_joined(self, host: str) -> bool:
        return "Registered to" in (self.folder / f"{host}.log").read_text()

    def restore(self) -> subprocess.Popen[str]:
        options = ("--cluster", self.scheduler, "--deblurrer", "wiener", "--json", "--log-json")
        pipe = subprocess.PIPE
        return self._start(
            "flow", LDP, "restore", "s3://ldp/pairs", "--archive", "s3://ldp/archive", *options, stdout=pipe
        )

    def _start(self, host: str, *command: str | Path, stdout: Any = None) -> subprocess.Popen[str]:
        with (self.folder / f"{host}.log").open("w") as log:
            environment = self.environment | {"WORK_LOG": str(self.folder / f"{host}.jsonl")}
            options: dict[str, Any] = {"stdout": stdout or log, "stderr": log, "env": environment}
            return self.network.start(host, *command, cwd=self.folder, **options)

    def kill(self, host: str) -> None:
        self.when[host] = time.time()
        self.network.kill(host)

    def cut_off(self, host: str) -> None:
        self.when[host] = time.time()
        self.network.cut_off(host)

    @property
    def noted(self) -> list[Noted]:
        logs = {host: self.folder / f"{host}.jsonl" for host in NAMES}
        texts = {host: log.read_text() for host, log in logs.items() if log.exists()}
        return [
            Noted(host, row["what"], row["event"], tuple(row["items"]), row["time"])
            for host, text in texts.items()
            for row in map(json.loads, text.rpartition("\n")[0].splitlines())  # the last may be half written
        ]

    def restored(self, host: str = "") -> int:
        """How many items were restored, by one host or all."""
        return sum(
            (one.what, one.event) == ("restore", "end") and one.host == (host or one.host)
            for one in self.noted
        )

    def in_flight(self, host: str) -> set[str]:
        """Items of what a host had begun when it was lost, and whose results it had not long handed over."""
        chunks: Counter[tuple[str, ...]] = Counter()
        for one in (one for one in self.noted if (one.host, one.what) == (host, "chunk")):
            if one.event == "begin":
                chunks[one.items] += 1
            elif one.time < self.when[host] - 2:
                chunks[one.items] -= 1
        return {item for items in +chunks for item in items}


def _dask_program(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"distributed.cli.dask_{name}", "--no-dashboard")


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    monkeypatch.setattr("prefect_service.PATIENCE_S", 900)  # nine programs start at once
    if not can_make_hosts():
        pytest.skip("network namespaces cannot be made here: root and `ip netns` are needed")
    with network() as made:
        found = Hosts(made, tmp_path)
        make_pairs(found.bucket / "pairs")
        found.serve()
        yield found


def make_pairs(folder: Path) -> None:
    """Eight scenes under many names: simulating takes longer than restoring."""
    for seed in range(8):
        pair = simulate_pair(seed, SimulationSettings(height=96, width=128))
        for view, pixels in pair.views.items():
            (folder / view).mkdir(parents=True, exist_ok=True)
            for number in range(seed, PAIRS, 8):
                (folder / view / f"{number}.png").write_bytes(encode_image(pixels, format="png"))


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_hosts_that_are_killed_cut_off_or_added_lose_nothing(hosts: Hosts) -> None:
    for name in ("one", "two", "three"):
        hosts.add_worker(name)
    for name in ("one", "two", "three"):
        wait_until(lambda name=name: hosts.has_joined(name), f"{name} has joined")
    run = hosts.restore()

    wait_until(lambda: hosts.restored("one") >= 3 or run.poll(), "the first host restores")
    hosts.kill("one")
    wait_until(lambda: hosts.restored("two") >= 6 or run.poll(), "the second host restores")
    hosts.cut_off("two")
    hosts.add_worker("four")
    out, _ = run.communicate(timeout=600)
    log = (hosts.folder / "flow.log").read_text()
    assert run.returncode == 0, log

    summary = json.loads(out)
    assert summary["items"] == {"total": PAIRS, "computed": PAIRS, "skipped": 0, "quarantined": 0}
    assert hosts.restored("four") > 0
    for host in ("one", "two"):
        assert hosts.address[host] in log, f"the log does not name {host}"
    check_archive(hosts, summary)
    check_nothing_twice(hosts)


def check_archive(hosts: Hosts, summary: dict[str, Any]) -> None:
    """The files that the store serves: every item once, and whole."""
    archive = hosts.bucket / "archive"
    assert len(Archive(str(archive)).list_items("frames")) == PAIRS
    rows = (archive / "runs" / summary["run_id"] / "items.jsonl").read_text().splitlines()
    assert Counter(json.loads(row)["item"] for row in rows).most_common(1)[0][1] == 1
    assert len(rows) == PAIRS
    found = verify(str(archive), processes=1)
    assert found["whole"], found


def check_nothing_twice(hosts: Hosts) -> None:
    """What was computed more than once is what was in flight on the hosts that were lost."""
    lost = {host: hosts.in_flight(host) for host in ("one", "two")}
    assert all(lost.values()), "a host was lost that did nothing"
    for what in ("ingest", "restore"):
        begun = Counter(one.items[0] for one in hosts.noted if (one.what, one.event) == (what, "begin"))
        assert len(begun) == PAIRS
        again = {item for item, times in begun.items() if times > 1}
        assert again <= lost["one"] | lost["two"], again
        print(f"{what}: {len(again)} of {PAIRS} again; in flight: {[len(items) for items in lost.values()]}")
