"""Who may use a Dask cluster: an embedded one nobody else, one elsewhere only by TLS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import LocalCluster
from distributed.security import Security

from ldp_core.errors import ClusterError
from tasks.cluster import Workers, check_address, open_workers

INTRUDER = """
import os, sys
from distributed import Client
from distributed.security import Security
security = Security.temporary() if sys.argv[1].startswith("tls") else None
if os.getuid() == 0:  # packages may lie where only their owner reads; by now they are imported
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    with Client(sys.argv[1], security=security, timeout=5) as client:
        print("worked for", os.getuid(), client.submit(sum, [20, 22]).result(timeout=20))
except Exception as error:
    print("refused:", type(error).__name__)
"""
"""Becomes another user where tests may; else it is this one, who lacks the key as well."""


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with open_workers(processes=1) as opened:
        yield opened


def intrude(address: str) -> str:
    """What another user's program says that sends work to a scheduler."""
    found = subprocess.run(
        [sys.executable, "-c", INTRUDER, address], capture_output=True, text=True, timeout=90, cwd="/"
    )
    return found.stdout or found.stderr


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_another_user_is_refused_by_an_embedded_cluster(workers: Workers, scheme: str) -> None:
    place = workers.client.scheduler.address.partition("://")[2]
    assert intrude(f"{scheme}://{place}").startswith("refused: ")


def test_another_user_is_not_refused_by_a_plain_one() -> None:
    """The intruder of the test above can do what it tries."""
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        host="127.0.0.1",
        protocol="tcp://",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        assert intrude(cluster.scheduler_address).startswith("worked for ")


def test_an_embedded_cluster_works_over_tls(workers: Workers) -> None:
    assert workers.client.scheduler.address.startswith("tls://127.0.0.1:")
    assert workers.client.submit(sum, [20, 22]).result() == 42


@pytest.mark.parametrize(
    "address", ["tcp://scheduler.example:8786", "scheduler.example:8786", "ws://192.0.2.1:8786", "10.0.0.5:1"]
)
def test_a_scheduler_elsewhere_without_tls_must_be_asked_for(address: str) -> None:
    with pytest.raises(ClusterError, match="without TLS") as caught, open_workers(address, timeout_s=1):
        pass
    assert "--insecure-cluster" in caught.value.remedy
    check_address(address, insecure=True)


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:8786", "localhost:8786", "tcp://[::1]:8786", "127.3.4.5:8786", "inproc://10.0.0.5/1/1"],
)
def test_a_scheduler_on_this_machine_needs_no_tls(address: str) -> None:
    check_address(address)


def test_tls_that_is_not_set_up_is_named() -> None:
    with pytest.raises(ClusterError, match="TLS is not set up"), open_workers("tls://127.0.0.1:9"):
        pass


def test_certificates_that_are_not_there_are_named(tmp_path: Path) -> None:
    names = ("ca-file", "client.cert", "client.key")
    settings = {f"distributed.comm.tls.{name}": str(tmp_path / name) for name in names}
    with (
        dask.config.set(settings),
        pytest.raises(ClusterError, match="TLS is not set up") as caught,
        open_workers("tls://127.0.0.1:9"),
    ):
        pass
    assert "FileNotFoundError" in caught.value.got


@pytest.mark.parametrize("served", ["tls", "tcp"])
def test_plain_against_tls_is_refused_within_the_time_allowed(served: str) -> None:
    security = Security.temporary() if served == "tls" else None
    with LocalCluster(
        n_workers=0,
        host="127.0.0.1",
        protocol=f"{served}://",
        security=security,
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        port = cluster.scheduler_address.rpartition(":")[2]
        other = {"tls": "tcp", "tcp": "tls"}[served]
        keys = Security.temporary().get_tls_config_for_role("client")
        settings = {"ca-file": keys["ca_file"], "client.cert": keys["cert"], "client.key": keys["key"]}
        with (
            dask.config.set({f"distributed.comm.tls.{name}": value for name, value in settings.items()}),
            pytest.raises(ClusterError, match="does not answer"),
            open_workers(f"{other}://127.0.0.1:{port}", timeout_s=2),
        ):
            pass
