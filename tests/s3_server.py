"""A real S3 server for tests: rclone over a folder, on a loopback port, with credentials."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3fs import S3FileSystem

RCLONE = Path(sys.executable).with_name("rclone")
_REGION = "us-east-1"
_START_S = 20.0


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where a server listens, and who may use it."""

    port: int
    key: str = "camera"
    secret: str = "dual-pixel"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, port: int = 0, **changes: str) -> dict[str, str]:
        """What the AWS tools read; ``port`` is that of a proxy in front of the server."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": _REGION,
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_EC2_METADATA_DISABLED": "true",
        } | changes

    def open(self) -> S3FileSystem:
        """A client of its own, which shares nothing with that of the code under test."""
        client = {"endpoint_url": self.url, "key": self.key, "secret": self.secret}
        return S3FileSystem(**client, client_kwargs={"region_name": _REGION}, skip_instance_cache=True)

    def make_bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"bucket-{uuid.uuid4().hex[:8]}"
        self.open().mkdir(name)
        return name


@contextmanager
def serve_s3(
    folder: Path, *, public: bool = False, port: int = 0, secret: str = "dual-pixel"
) -> Iterator[S3Server]:
    """Serve the buckets in a folder; a public server asks nobody for credentials."""
    folder.mkdir(parents=True, exist_ok=True)
    server = S3Server(port or find_port(), secret=secret)
    command = [RCLONE, "serve", "s3", folder, "--addr", f"127.0.0.1:{server.port}", "--config", "/dev/null"]
    allowed = [] if public else ["--auth-key", f"{server.key},{server.secret}"]
    with subprocess.Popen(
        [*map(str, command), *allowed], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        try:
            _wait_for(server.port, run)
            yield server
        finally:
            run.terminate()


def find_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int, run: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and run.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"rclone did not start on port {port}: exit code {run.poll()}")
