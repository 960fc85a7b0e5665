"""Streams of work through a real embedded cluster: bounded, complete, safe when a worker dies."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import dask
import pytest
from dask_programs import slowly, started
from distributed import Client, Future, LocalCluster
from prefect_service import free_port, wait_until

from ldp_core.errors import ClusterError
from ldp_core.types import ImageRef, Item
from tasks import batches
from tasks.cluster import Workers, open_workers, stream
from tasks.items import ItemResult
from tasks.stage import PipelineConfig
from tasks.work import Call

SIZES = ("small", "large", "tiny")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with open_workers(processes=1) as opened:
        yield opened


def double(value: int) -> int:
    return 2 * value


def fail_on_odd(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd")
    return value


def die_until(path: str, *, deaths: int) -> int:
    marks = Path(path)
    seen = len(list(marks.iterdir()))
    if seen < deaths:
        (marks / f"{os.getpid()}").touch()
        os._exit(9)
    return seen


def test_workers_have_imported_what_they_work_with_before_they_are_asked_for_a_sign_of_life() -> None:
    with open_workers(processes=1) as workers:
        modules = workers.client.run(eval, "set(__import__('sys').modules)")
    assert all({"tasks.work", "torch"} <= found for found in modules.values())


def test_every_item_comes_back_with_its_result(workers: Workers) -> None:
    results = dict(stream(lambda n: workers.client.submit(double, n), range(30), in_flight=4))
    assert results == {n: 2 * n for n in range(30)}


def test_never_more_in_flight_than_asked(workers: Workers) -> None:
    started = 0

    def submit(value: int) -> Future[Any]:
        nonlocal started
        started += 1
        return workers.client.submit(double, value, pure=False)

    for finished, _ in enumerate(stream(submit, range(25), in_flight=3)):
        assert started - finished <= 3


def test_a_failed_future_yields_its_exception_and_the_rest_goes_on(workers: Workers) -> None:
    results = dict(stream(lambda n: workers.client.submit(fail_on_odd, n), range(6), in_flight=2))
    assert {n for n, result in results.items() if isinstance(result, ValueError)} == {1, 3, 5}
    assert [results[n] for n in (0, 2, 4)] == [0, 2, 4]


def test_no_items_is_no_work(workers: Workers) -> None:
    assert list(stream(lambda n: workers.client.submit(double, n), [], in_flight=3)) == []


def test_work_survives_the_death_of_its_worker(tmp_path: Path, workers: Workers) -> None:
    def submit(path: str) -> Future[Any]:
        return workers.client.submit(die_until, path, deaths=1)

    [(_, deaths)] = stream(submit, [str(tmp_path)], in_flight=1)
    assert deaths == 1


def test_a_worker_that_takes_long_to_start_again_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask's own time is made short here: a worker that comes later is ended for good."""
    marks = tmp_path / "marks"
    marks.mkdir()
    slow = tmp_path / "slow_start.py"
    slow.write_text(f"import pathlib, time\nif list(pathlib.Path({str(marks)!r}).iterdir()): time.sleep(4)\n")
    monkeypatch.setattr(
        "tasks.cluster.IMPORTS_FIRST", {"distributed.worker.preload": ["tasks.work", str(slow)]}
    )
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 s"}),
        open_workers(processes=1) as opened,
    ):
        future = opened.client.submit(die_until, str(marks), deaths=1)
        assert future.result(timeout=90) == 1


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    opening = open_workers("tcp://127.0.0.1:9", timeout_s=1)
    with pytest.raises(ClusterError, match="does not answer") as caught, opening:
        pass
    assert caught.value.where == "tcp://127.0.0.1:9"


def sleepy(value: int) -> int:
    time.sleep(0.3)
    return value


def work_and_kill(address: str, scheduler: subprocess.Popen[bytes]) -> None:
    with open_workers(address) as opened:
        for _ in stream(lambda n: opened.client.submit(sleepy, n, pure=False), range(50), in_flight=3):
            scheduler.kill()


def test_a_scheduler_that_dies_ends_the_work_with_one_error(capfd: pytest.CaptureFixture[str]) -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    port = address.rpartition(":")[2]
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "5 s"}),
        started("dask_scheduler", "--host", "127.0.0.1", "--port", port) as scheduler,
        started("dask_worker", address, "--nthreads", "1"),
    ):
        with pytest.raises(ClusterError, match="connection to the Dask scheduler is lost") as caught:
            work_and_kill(address, scheduler)
        assert caught.value.got == "scheduler-connection-lost"
    assert "Traceback" not in capfd.readouterr().err


def test_work_ends_whose_client_another_thread_closes(workers: Workers) -> None:
    """Dask then leaves futures that never end, in a quarter of all cases."""

    def work(client: Client) -> None:
        def submit(number: int) -> Future[Any]:
            future: Future[Any] = client.submit(sleepy, number, pure=False)
            return future

        with suppress(ClusterError, RuntimeError):
            for _ in stream(submit, range(50), in_flight=3):
                pass

    threads = []
    for number in range(12):
        with Client(workers.client.cluster.scheduler_address, security=workers.client.security) as client:
            threads.append(threading.Thread(target=work, args=[client], daemon=True))
            threads[-1].start()
            time.sleep(0.02 * number)
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


def test_an_address_uses_the_workers_of_that_scheduler() -> None:
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        open_workers(cluster.scheduler_address) as opened,
    ):
        assert (opened.processes, opened.embedded) == (1, False)
        assert isinstance(opened.client, Client)
        assert opened.client.submit(double, 21).result() == 42


def test_a_scheduler_without_workers_is_an_error_not_a_wait() -> None:
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster:
        opening = open_workers(cluster.scheduler_address, timeout_s=1)
        with pytest.raises(ClusterError, match="no workers"), opening:
            pass


def test_work_fails_when_the_last_worker_has_been_gone_for_the_time_allowed() -> None:
    with (
        dask.config.set({"distributed.scheduler.no-workers-timeout": "2 s"}),
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):

        def submit(number: int) -> Future[Any]:
            if number == 1:
                cluster.scale(0)
                wait_until(lambda: not cluster.scheduler.workers, "the worker is gone")
            return client.submit(double, number, pure=False)

        results = dict(stream(submit, range(3), in_flight=1))
    assert results[0] == 0
    assert all(isinstance(results[number], Exception) for number in (1, 2))


def test_a_frozen_worker_is_named_and_its_items_go_to_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LDP_WORKER_TIMEOUT", "8")
    monkeypatch.setattr(logging.getLogger("ldp"), "handlers", [caplog.handler])
    monkeypatch.setattr(logging.getLogger("ldp"), "level", logging.INFO)
    with open_workers(processes=2) as opened:
        pids = opened.client.run(os.getpid)
        frozen = next(iter(pids))

        def submit(number: int) -> Future[Any]:
            return opened.client.submit(slowly, 0.2, os.getpid, pure=False)

        begin = time.monotonic()
        for done, (_, pid) in enumerate(stream(submit, range(20), in_flight=7)):
            if done == 3:
                os.kill(pids[frozen], signal.SIGSTOP)
            assert done < 10 or pid != pids[frozen]
        assert done == 19
        assert time.monotonic() - begin < 60
    for words in ("no sign of life for 8 s", "lost"):
        assert f"worker {frozen}: {words}; its items go to others" in caplog.text
    assert "Traceback" not in capfd.readouterr().err


def take_memory(config: PipelineConfig, item: Item) -> ItemResult:
    if item.id == "set/large":
        held = [bytes(2**20) for _ in range(2**20)]
        raise AssertionError(f"a terabyte is there: {len(held)}")
    return ItemResult(item.id, (), (), {})


def test_an_item_that_takes_a_worker_beyond_its_memory_is_quarantined_with_its_need() -> None:
    ref = ImageRef("memory://a.png", 840, 560, 3, 8, 100)
    calls: list[Call] = [
        (take_memory, PipelineConfig("memory://"), Item(f"set/{n}", ref, ref)) for n in SIZES
    ]
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=1, threads_per_worker=1, memory_limit="1.2GB", dashboard_address="127.0.0.1:0"
        ) as cluster,
        open_workers(cluster.scheduler_address) as opened,
        opened.client.as_current(),
    ):
        found = batches._run("restore", calls, 1, len(calls))
    [record] = found.quarantine
    assert (record.item, record.kind, record.stage) == ("set/large", "memory_short", "restore")
    assert re.search(r"expected about \d\.\d GB for 560x840 px; got 1\.\d GB", record.message)
    assert [one.item_id for one in found.results] == ["set/small", "set/tiny"]
