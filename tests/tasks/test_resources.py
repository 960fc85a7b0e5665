"""Restoring on workers that have a resource of Dask, such as a GPU, and on no others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Scheduler, SpecCluster, Worker, get_worker
from prefect.settings import PREFECT_API_URL, temporary_settings
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.errors import ClusterError
from ldp_core.types import ImageRef, Item
from tasks import batches
from tasks.cluster import open_workers
from tasks.items import ItemResult
from tasks.stage import PipelineConfig

THREADS = 3
TOGETHER = threading.Barrier(THREADS)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster in this process with two workers, of which one has a GPU and more memory."""
    common = {"nthreads": THREADS, "dashboard": False}
    workers = {
        "gpu": {"cls": Worker, "options": common | {"resources": {"GPU": 1}, "memory_limit": "4GB"}},
        "plain": {"cls": Worker, "options": common | {"memory_limit": "1GB"}},
    }
    scheduler = {"cls": Scheduler, "options": {"dashboard": False, "host": "127.0.0.1"}}
    with SpecCluster(workers=workers, scheduler=scheduler) as cluster:
        yield cluster.scheduler_address


def restore_together(config: PipelineConfig, item: Item) -> ItemResult:
    """Where it runs; it ends only once as many as a worker has threads run at once."""
    TOGETHER.wait(20)
    return ItemResult(item.id, (str(get_worker().name),), (), {})


def make_items(count: int) -> list[Item]:
    ref = ImageRef("memory://a.png", 64, 48, 3, 8, 100)
    return [Item(f"set/{number}", ref, ref) for number in range(count)]


def test_items_go_to_workers_that_have_it_and_to_all_their_threads(address: str) -> None:
    calls = [(restore_together, PipelineConfig("memory://"), item) for item in make_items(4 * THREADS)]
    with open_workers(address, resource="GPU") as opened, opened.client.as_current():
        assert opened.memory_bytes == 4e9
        found = batches._run("restore", calls, len(calls), len(calls), resource="GPU")
    assert not found.quarantine
    assert {one.computed for one in found.results} == {("gpu",)}
    assert len(found.results) == len(calls)


def test_without_one_asked_for_every_worker_counts(address: str) -> None:
    with open_workers(address) as opened:
        assert (opened.processes, opened.memory_bytes) == (2, 1e9)


def test_a_resource_that_no_worker_has_is_an_error_not_a_wait(address: str) -> None:
    opening = open_workers(address, resource="TPU", timeout_s=1)
    with pytest.raises(ClusterError, match="no worker has the resource") as caught, opening:
        pass
    assert (caught.value.expected, caught.value.got) == ("TPU", "GPU")
    assert "--resources TPU=1" in caught.value.remedy


def test_workers_on_this_machine_have_none_and_a_command_says_so_at_once(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no worker has the resource"), open_workers(resource="GPU"):
        pass
    arguments = ["restore", str(tmp_path), "--archive", str(tmp_path / "archive"), "--resource", "GPU"]
    with temporary_settings(restore_defaults={PREFECT_API_URL}):  # other tests may have a server
        result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("ldp: [cluster] no worker has the resource that is asked for\n")
    assert not (tmp_path / "archive").exists()
