"""Scheduled ticks over a dataset that never rests, while processes are killed and the store fails at random.

LDP_SOAK_S says for how many seconds (180; an hour is 3600), LDP_SOAK_SEED begins the random numbers, and
LDP_SOAK_REPORT names a file for the figures.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from fault_proxy import Fault, FaultProxy, Kind, run_proxy
from memory_log import MemoryLog, logging_memory
from prefect_service import PrefectService, free_port, wait_until
from s3_server import S3Server, serve_s3

from flows.archives import verify
from ldp_core.archive import Archive
from ldp_core.images import encode_image
from ldp_core.item_ids import make_item_key
from ldp_core.optics import SimulationSettings, simulate_pair

SECONDS = float(os.environ.get("LDP_SOAK_S", 180))
SEED = int(os.environ.get("LDP_SOAK_SEED", 0))
BUCKET = "ldp"
DEPLOYMENT = "restore-dataset/restore"
TICK_S = 30
SCENES = 8
FEWEST, MOST = 10, 20
"""Pairs of the dataset."""
BACKGROUND = (
    Fault("503", "GET|PUT|HEAD", every=60),
    Fault("reset", "GET|PUT", every=83),
    Fault("cut", every=97),
)
"""Of all requests, in the whole time."""
BURST: tuple[Kind, ...] = ("503", "500", "reset", "cut")
GROWTH, SPREAD_MIB = 1.15, 30
"""What counts as flat: RSS of one process varies by 20 MiB from minute to minute."""


class Soak:
    """A deployment at work, its dataset, and what befalls both."""

    def __init__(
        self, prefect: PrefectService, worker: psutil.Process, proxy: FaultProxy, store: S3Server
    ) -> None:
        self.prefect, self.worker, self.proxy, self.files = prefect, worker, proxy, store.open()
        self.server = next(one for one in psutil.Process().children() if "server" in one.cmdline())
        self.store = next(one for one in psutil.Process().children() if "serve" in one.cmdline())
        self.random = random.Random(SEED)
        self.befell: Counter[str] = Counter()
        self.scenes = [
            simulate_pair(seed, SimulationSettings(height=96, width=128)) for seed in range(SCENES)
        ]
        self.numbers: dict[int, int] = {}
        self.newest = 0
        self.deployment: str = prefect.get(f"deployments/name/{DEPLOYMENT}")["id"]
        for _ in range(FEWEST):
            self.add()

    def parameters(self, archive: str = "archive") -> dict[str, Any]:
        place = {"source": f"s3://{BUCKET}/pairs", "archive": f"s3://{BUCKET}/{archive}"}
        return place | {"layout": "folders", "processes": 1, "deblurrer": "wiener", "allow_shrink": True}

    # The dataset.

    def add(self) -> None:
        self.newest += 1
        self._write(self.newest)

    def change(self) -> None:
        self._write(self.random.choice(list(self.numbers)))

    def remove(self) -> None:
        number = self.random.choice(list(self.numbers))
        del self.numbers[number]
        self.files.rm(self.files.glob(f"{BUCKET}/pairs/*/{number}.png"))

    def _write(self, number: int) -> None:
        scene = self.random.choice([one for one in range(SCENES) if one != self.numbers.get(number)])
        self.numbers[number] = scene
        for view, pixels in self.scenes[scene].views.items():
            picture = encode_image(pixels, format="png")
            self.files.pipe_file(f"{BUCKET}/pairs/{view}/{number}.png", picture)

    # What befalls.

    def processes(self) -> Mapping[str, list[psutil.Process]]:
        """Server, worker and store, the runs at work and their workers."""
        runs = [one for one in self.worker.children() if one.is_running()]
        started = [one for run in runs for one in run.children(recursive=True)]
        computing = [one for one in started if "spawn_main" in " ".join(one.cmdline())]
        stay = {"Prefect server": [self.server], "Prefect worker": [self.worker], "store": [self.store]}
        return stay | {"run": runs, "Dask worker": computing}

    def kill_run(self) -> None:
        self._end("run", psutil.Process.kill)

    def terminate_run(self) -> None:
        self._end("run", psutil.Process.terminate)

    def kill_dask_worker(self) -> None:
        self._end("Dask worker", psutil.Process.kill)

    def _end(self, role: str, end: Callable[[psutil.Process], None]) -> None:
        found = self.processes()[role]
        if found:
            end(self.random.choice(found))
            self.befell[f"{end.__name__} {role}"] += 1

    def fail_store(self) -> None:
        """Until the next act every second or third request fails."""
        kind = self.random.choice(BURST)
        with self.proxy.lock:
            self.proxy.faults.append(Fault(kind, "GET|PUT|HEAD", every=self.random.choice([2, 3])))
        self.befell[f"burst of {kind}"] += 1

    def act(self) -> None:
        """One change of the dataset, and one fault."""
        with self.proxy.lock:
            self.proxy.faults[:] = BACKGROUND
            self.proxy.requests.clear()
        few, many = len(self.numbers) <= FEWEST, len(self.numbers) >= MOST
        self.random.choice([self.change] + [self.add] * (2 * (not many)) + [self.remove] * (not few))()
        faults = [self.kill_run, self.terminate_run, *[self.kill_dask_worker, self.fail_store] * 2]
        with suppress(psutil.NoSuchProcess):
            self.random.choice(faults)()

    # Runs.

    def switch_on(self) -> None:
        schedule = {"schedule": {"interval": TICK_S}, "active": True, "parameters": self.parameters()}
        self.prefect.post(f"deployments/{self.deployment}/schedules", [schedule])

    def switch_off(self) -> None:
        for one in self.prefect.get(f"deployments/{self.deployment}")["schedules"]:
            self.prefect.delete(f"deployments/{self.deployment}/schedules/{one['id']}")
        wait_until(lambda: all(run["end_time"] for run in self.runs()), "every run has ended")

    def runs(self) -> list[dict[str, Any]]:
        """All that began, oldest first."""
        found: list[dict[str, Any]] = []
        asked = {"deployment_id": {"any_": [self.deployment]}, "start_time": {"is_null_": False}}
        while page := self.prefect.post(
            "flow_runs/filter", {"flow_runs": asked, "offset": len(found), "sort": "START_TIME_ASC"}
        ):
            found += page
        return found

    def run_once(self, archive: str = "archive") -> dict[str, int]:
        """The version of every item that a run finds in which nothing fails."""
        run_id = self.prefect.start_run(DEPLOYMENT, **self.parameters(archive))
        state = self.prefect.wait_for_state(run_id)
        assert state["type"] == "COMPLETED", state["message"]
        newest = max(self.files.glob(f"{BUCKET}/{archive}/runs/*/summary.json")).removesuffix("summary.json")
        assert not json.loads(self.files.cat_file(f"{newest}summary.json"))["quarantine"]
        rows = map(json.loads, self.files.cat_file(f"{newest}items.jsonl").splitlines())
        return {row["item"]: row["version"] for row in rows}


@pytest.fixture
def soak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Soak]:
    monkeypatch.setattr("prefect_service.PATIENCE_S", 900)
    for folder in (f"buckets/{BUCKET}", "prefect"):
        (tmp_path / folder).mkdir(parents=True)
    with serve_s3(tmp_path / "buckets") as store, run_proxy(store.port) as proxy:
        for name, text in store.environment(proxy.port).items():
            monkeypatch.setenv(name, text)
        service = PrefectService(tmp_path / "prefect", free_port())
        service.environment["PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS"] = "5"
        with service.serving():
            service.run("work-pool", "create", "--type", "process", "ldp")
            service.run("--no-prompt", "deploy", "--all")
            with service.process("worker", "start", "--pool", "ldp", "--type", "process") as worker:
                yield Soak(service, psutil.Process(worker.pid), proxy, store)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 3600)
def test_an_archive_is_whole_after_hours_of_ticks_and_faults(soak: Soak, tmp_path: Path) -> None:
    begin = time.monotonic()
    with logging_memory(soak.processes) as memory:
        soak.switch_on()
        while time.monotonic() - begin < SECONDS:
            time.sleep(soak.random.uniform(20, 60))
            soak.act()
        soak.switch_off()
        spoilt = Counter(kind for kind, *_ in soak.proxy.spoilt)
        soak.proxy.forget()
        runs = soak.runs()
        versions = soak.run_once()

    report = describe(soak, memory, runs) | {"seconds": round(time.monotonic() - begin), "spoilt": spoilt}
    print(json.dumps(report, indent=1))
    if "LDP_SOAK_REPORT" in os.environ:
        Path(os.environ["LDP_SOAK_REPORT"]).write_text(json.dumps(report, indent=1))
    check_runs(runs)
    assert versions.keys() == {f"pairs/{number}" for number in soak.numbers}
    check_archive(soak, tmp_path / "buckets" / BUCKET, versions)
    for role in memory.samples:
        before, after = memory.growth(role)
        assert after <= GROWTH * before + SPREAD_MIB, f"{role} grows from {before:.0f} to {after:.0f} MiB"


def describe(soak: Soak, memory: MemoryLog, runs: list[dict[str, Any]]) -> dict[str, Any]:
    sizes = {
        role: {
            "processes": len(memory.samples[role]),
            "before_and_after_mib": [round(size) for size in memory.growth(role)],
            "peak_mib": round(memory.peak(role)),
        }
        for role in memory.samples
    }
    ended = Counter(run["state"]["type"] for run in runs)
    failures = Counter(first_line(run) for run in runs if run["state"]["type"] != "COMPLETED")
    return {"seed": SEED, "runs": ended, "failures": failures, "befell": soak.befell, "memory": sizes}


def first_line(run: dict[str, Any]) -> str:
    return str(run["state"]["message"]).partition("\n")[0][:200]


def check_runs(runs: list[dict[str, Any]]) -> None:
    """No two at once; what failed did so with an error of its own kind."""
    for before, after in pairwise(runs):
        assert before["end_time"] <= after["start_time"], (before["name"], after["name"])
    for run in runs:
        assert run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), run["state"]
        assert run["state"]["type"] != "FAILED" or "Error" in first_line(run), run["state"]


def check_archive(soak: Soak, bucket: Path, versions: Mapping[str, int]) -> None:
    """Nothing is corrupt, and the present version of every item is what a fresh archive has of it."""
    assert verify(str(bucket / "archive"), processes=1)["corrupt"] == []
    assert soak.run_once("fresh").keys() == versions.keys()
    old, new = (Archive(str(bucket / name)) for name in ("archive", "fresh"))
    [key] = [path.name for path in (bucket / "fresh" / "restored").iterdir() if path.is_dir()]
    for item, version in versions.items():
        present = old.read_restored(key, make_item_key(item, version))
        assert np.array_equal(present, new.read_restored(key, item)), item
