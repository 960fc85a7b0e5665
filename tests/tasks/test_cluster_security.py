"""Who may use a Dask cluster: an embedded one nobody else, one elsewhere only by TLS."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dask
import httpx
import pytest
from distributed import LocalCluster
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.credentials import KEYRING, hide, reveal
from ldp_core.errors import ClusterError
from tasks.cluster import Workers, open_workers, share_credentials
from tasks.cluster_checks import check_address

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "archive"
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


MISMATCH = """
import sys, dask
from distributed import LocalCluster
from distributed.security import Security
from ldp_core.errors import ClusterError
from tasks.cluster import open_workers
served, keys = sys.argv[1], Security.temporary()
own = keys.get_tls_config_for_role("client")
dask.config.set({f"distributed.comm.tls.{name}": own[key] for name, key in
                 (("ca-file", "ca_file"), ("client.cert", "cert"), ("client.key", "key"))})
other = {"tls": "tcp", "tcp": "tls"}[served]
with LocalCluster(n_workers=0, host="127.0.0.1", protocol=f"{served}://",
                  security=keys if served == "tls" else None, dashboard_address="127.0.0.1:0") as cluster:
    try:
        with open_workers(f"{other}://{cluster.scheduler_address.partition('://')[2]}", timeout_s=2):
            pass
    except ClusterError as error:
        print(f"[{error.kind}] {error.what}")
"""


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


def test_an_embedded_cluster_shows_nothing_over_plain_http(workers: Workers) -> None:
    """Dask's pages have logs and the names of what is computed."""
    services = workers.client.scheduler_info()["services"]
    for path in ("status", "info/main/workers.html", "json/counts.json", "metrics"):
        assert httpx.get(f"http://127.0.0.1:{services['dashboard']}/{path}").status_code == 404


def log_on_worker(address: str) -> str:
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    logger = logging.getLogger("fsspec")
    logger.addHandler(handler)
    logger.error("opening %s", address)
    return f"{reveal('https://host/a')} {lines}"


def test_workers_know_the_whole_address_and_log_the_plain_one(workers: Workers) -> None:
    factory = logging.getLogRecordFactory()
    try:
        assert hide("https://reader:pass-word@host/a") == "https://host/a"
        share_credentials(workers.client)
        said = workers.client.submit(log_on_worker, "https://reader:pass-word@host/a").result()
        assert said == "https://reader:pass-word@host/a ['opening https://***@host/a']"
    finally:
        KEYRING.users.clear()
        logging.setLogRecordFactory(factory)


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


@pytest.mark.parametrize("verb", ["verify", "report", "restore", "ingest"])
def test_commands_with_a_cluster_have_the_option(verb: str) -> None:
    shown = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "200"}).stdout
    assert "--cluster" in shown
    assert "--insecure-cluster" in shown


def test_a_command_ends_with_one_line_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the option it is refused; with it, nobody answers at this address, which no host has."""
    monkeypatch.setenv("LDP_CLUSTER_TIMEOUT", "1")
    arguments = ["verify", str(GOLDEN), "--cluster", "tcp://192.0.2.1:8786"]
    for more, what in (([], "without TLS"), (["--insecure-cluster"], "does not answer")):
        result = CliRunner().invoke(app, [*arguments, *more])
        assert result.exit_code == 1
        assert result.stderr.startswith("ldp: [cluster] ")
        assert what in result.stderr
        assert "Traceback" not in result.stderr


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
    """In a process of its own: Dask leaves sockets of handshakes that failed to the garbage collector."""
    found = subprocess.run(
        [sys.executable, "-c", MISMATCH, served], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert found.stdout == "[cluster] the Dask scheduler does not answer\n", found.stderr
