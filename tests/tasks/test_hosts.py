"""A scheduler and workers on hosts of their own (network namespaces, which need root); one is cut off."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import dask
import pytest
from dask_programs import slowly, started
from distributed import Future
from prefect_service import wait_until

from tasks.cluster import open_workers, stream

NET, BRIDGE = "10.213.77", "ldp-test"
QUICK = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "10 s", "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "8 s"}
ITEMS = 24


def ip(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], check=False, capture_output=True).returncode == 0


@pytest.fixture
def hosts() -> Iterator[list[str]]:
    """Names of four hosts; this process is one more beside them. Host n has the address NET.n."""
    names = [f"{BRIDGE}{number}" for number in range(1, 5)]
    try:
        made = ip("link", "add", BRIDGE, "type", "bridge") and ip("link", "set", BRIDGE, "up")
        made = made and ip("addr", "add", f"{NET}.254/24", "dev", BRIDGE)
        for number, name in enumerate(names, 1):
            made = (
                made
                and ip("netns", "add", name)
                and ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
                and ip("link", "set", name, "master", BRIDGE, "up")
                and ip("-n", name, "addr", "add", f"{NET}.{number}/24", "dev", "eth0")
                and ip("-n", name, "link", "set", "eth0", "up")
                and ip("-n", name, "link", "set", "lo", "up")
            )
        if not made:
            pytest.skip("network namespaces cannot be made here")
        yield names
    finally:
        for name in names:
            ip("netns", "del", name)
        ip("link", "del", BRIDGE)


def test_a_host_that_is_cut_off_is_named_and_its_items_go_to_others(
    hosts: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(logging.getLogger("ldp"), "handlers", [caplog.handler])
    monkeypatch.setattr(logging.getLogger("ldp"), "level", logging.INFO)
    address = f"tcp://{NET}.1:8786"
    with ExitStack() as running, dask.config.set({"distributed.comm.timeouts.connect": "30 s"}):
        running.enter_context(started("dask_scheduler", "--port", "8786", host=hosts[0]))
        for host in hosts[1:]:
            running.enter_context(started("dask_worker", address, "--nthreads", "1", host=host))
        workers = running.enter_context(open_workers(address, insecure=True))
        wait_until(lambda: len(workers.client.scheduler_info()["workers"]) == 3, "three workers are there")

        def submit(number: int) -> Future[Any]:
            return workers.client.submit(slowly, 0.3, os.getpid, pure=False)

        for done, _ in enumerate(stream(submit, range(ITEMS), in_flight=6)):
            if done == 3:
                cut = time.monotonic()
                assert ip("link", "set", hosts[3], "down")
        assert done == ITEMS - 1
        assert time.monotonic() - cut < 60
    assert f"worker tcp://{NET}.4:" in caplog.text
