"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from fault_proxy import FaultProxy, run_proxy
from s3_server import S3Server, serve_s3
from s3fs import S3FileSystem

os.environ |= {
    "XDG_CACHE_HOME": tempfile.mkdtemp(prefix="ldp-tests-"),
    "DO_NOT_TRACK": "1",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
torch.set_num_threads(1)

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photographs; the test is skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"real photographs are not at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with serve_s3(tmp_path_factory.mktemp("s3") / "buckets") as server:
        yield server


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a fresh bucket; this process and those it starts have its credentials."""
    with _environment(s3_server.environment(), monkeypatch):
        yield f"s3://{s3_server.make_bucket()}"


@pytest.fixture
def proxied_s3(s3: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """The fresh bucket of `s3` seen through a proxy that counts requests and can spoil them."""
    with (
        run_proxy(s3_server.port) as proxy,
        _environment(s3_server.environment(proxy.port), monkeypatch),
    ):
        yield proxy


@contextmanager
def _environment(variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    S3FileSystem.clear_instance_cache()
    yield
    S3FileSystem.clear_instance_cache()
