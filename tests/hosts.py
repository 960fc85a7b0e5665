"""Hosts with addresses of their own, made of network namespaces: they are killed, cut off, and new ones join.

They share the files and the clock of this machine. Root and `ip netns` are needed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_SUBNET = "10.64.7"
_SWITCH = "switch"


class Network:
    """A switch, itself a namespace, and the hosts at it. This machine's own network sees nothing of it."""

    def __init__(self) -> None:
        self._prefix = f"ldp-{uuid.uuid4().hex[:6]}"
        self._hosts: list[str] = []
        self._programs: list[subprocess.Popen[str]] = []
        self._make(_SWITCH)
        self._within(_SWITCH, "ip", "link", "add", "bridge", "type", "bridge")
        self._within(_SWITCH, "ip", "link", "set", "bridge", "up")

    def add_host(self, name: str) -> str:
        """Connect a new host; its address."""
        address = f"{_SUBNET}.{len(self._hosts)}"
        self._make(name)
        peer = ("type", "veth", "peer", "name", "eth0", "netns", self._namespace(name))
        self._within(_SWITCH, "ip", "link", "add", name, *peer)
        self._within(_SWITCH, "ip", "link", "set", name, "master", "bridge", "up")
        self._within(name, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        self._within(name, "ip", "link", "set", "eth0", "up")
        return address

    def start(self, host: str, *command: str | Path, **options: Any) -> subprocess.Popen[str]:
        """A program on a host."""
        program = subprocess.Popen([*self._prepare(host), *map(str, command)], text=True, **options)
        self._programs.append(program)
        return program

    def cut_off(self, host: str) -> None:
        """Pull the cable of a host; its programs go on."""
        self._within(_SWITCH, "ip", "link", "set", host, "down")

    def kill(self, host: str) -> None:
        """End every program of a host at once."""
        for pid in _output("ip", "netns", "pids", self._namespace(host)).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def remove(self) -> None:
        """End all programs and take everything away."""
        for host in reversed(self._hosts):
            self.kill(host)
            _output("ip", "netns", "delete", self._namespace(host))
        for program in self._programs:
            program.communicate()

    def _make(self, name: str) -> None:
        _output("ip", "netns", "add", self._namespace(name))
        self._hosts.append(name)
        self._within(name, "ip", "link", "set", "lo", "up")

    def _within(self, host: str, *command: str) -> None:
        _output(*self._prepare(host), *command)

    def _prepare(self, host: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self._namespace(host))

    def _namespace(self, host: str) -> str:
        return f"{self._prefix}-{host}"


@contextmanager
def network() -> Iterator[Network]:
    """A network that goes with the block, and all programs on its hosts."""
    made = Network()
    try:
        yield made
    finally:
        made.remove()


def can_make_hosts() -> bool:
    """Whether network namespaces can be made here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"ldp-{uuid.uuid4().hex[:6]}-probe"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    return made and subprocess.run(["ip", "netns", "delete", name], check=False).returncode == 0


def make_certificate(folder: Path, *addresses: str) -> tuple[Path, Path]:
    """A key, and the certificate that everybody at these addresses shows and trusts."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    names = ",".join(f"IP:{address}" for address in addresses)
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
    files = ("-keyout", str(key), "-out", str(certificate))
    named = ("-subj", "/CN=ldp-tests", "-addext", f"subjectAltName={names}")
    _output("openssl", "req", "-x509", *kind, *files, *named)
    return key, certificate


def wait_for_port(network: Network, host: str, address: str, port: int, *, seconds: float = 60) -> None:
    """Until somebody listens at an address, as a host sees it."""
    end = time.monotonic() + seconds
    knock = f"exec 3<>/dev/tcp/{address}/{port}"
    quiet: Mapping[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    while network.start(host, "bash", "-c", knock, **quiet).wait():
        assert time.monotonic() < end, f"nobody listens at {address}:{port}"
        time.sleep(0.2)


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout
