"""An HTTP proxy before an S3 server: counts requests and spoils the ones it is told to."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Kind = Literal["503", "403", "500", "reset", "cut", "stall", "hang", "no list", "no mark", "same mark"]
"""``503``, ``403``, ``500``: refused; ``reset``: dropped unanswered; ``cut``: dropped in the middle of the
answer; ``stall``: no answer; ``hang``: half of what is sent reaches the server, then nothing goes on;
``no list``: answered with what is no listing; ``no mark``: with a page of a listing that does not say which
one follows; ``same mark``: with one that is followed by itself."""

_REFUSALS: dict[str, str] = {"503": "ServiceUnavailable", "403": "AccessDenied", "500": "InternalError"}
_TRUNCATED = "<ListBucketResult><IsTruncated>true</IsTruncated>{}</ListBucketResult>"
_PAGES: dict[str, bytes] = {
    "no list": b"<html><body>Please sign in.</body></html>",
    "no mark": _TRUNCATED.format("").encode(),
    "same mark": _TRUNCATED.format("<NextContinuationToken>1</NextContinuationToken>").encode(),
}
_HOP_BY_HOP = {"connection", "expect", "keep-alive", "transfer-encoding"}
_STALL_S = 60.0


@dataclass
class Fault:
    """What befalls requests of a method whose path and query match: the next ``times`` of them.

    With ``every`` it befalls each request of that ordinal (3: the third, the sixth ...) instead.
    """

    kind: Kind
    method: str = "GET"
    path: str = ""
    times: int = 1
    every: int = 0
    seen: int = 0

    def befalls(self, method: str, path: str) -> bool:
        if not (re.fullmatch(self.method, method) and re.search(self.path, path)):
            return False
        self.seen += 1
        return self.seen % self.every == 0 if self.every else self.seen <= self.times


@dataclass
class FaultProxy:
    """Where the proxy listens, what passed through it, and what it is to spoil."""

    port: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    spoilt: list[tuple[Kind, str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def meet(self, method: str, path: str) -> Kind | None:
        with self.lock:
            self.requests.append((method, path))
            kind = next((fault.kind for fault in self.faults if fault.befalls(method, path)), None)
            if kind is not None:
                self.spoilt.append((kind, method, path))
            return kind

    def forget(self) -> None:
        """As if nothing had passed, and nothing to spoil."""
        with self.lock:
            self.requests.clear()
            self.faults.clear()
            self.spoilt.clear()


@contextmanager
def run_proxy(server_port: int) -> Iterator[FaultProxy]:
    """A proxy in a thread of this process."""
    proxy = FaultProxy()
    gone = threading.Event()

    class Handler(_Forwarder):
        target, told, ended = server_port, proxy, gone

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        proxy.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy
        finally:
            gone.set()
            server.shutdown()
            thread.join()


class _Forwarder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: int
    told: FaultProxy
    ended: threading.Event

    def forward(self) -> None:
        kind = self.told.meet(self.command, self.path)
        body = b"" if kind == "hang" else self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if kind in _REFUSALS:
            self.refuse(kind)
        elif kind in _PAGES:
            self.send_content(200, _PAGES[kind])
        elif kind == "reset":
            self.drop()
        elif kind == "stall":
            self.wait()
        elif kind == "hang":
            self.send_half()
        else:
            self.answer(body, cut=kind == "cut")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815

    def answer(self, body: bytes, *, cut: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=_STALL_S)
        headers = {name: text for name, text in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        try:
            connection.request(self.command, self.path, body=body or None, headers=headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        self.send_response_only(response.status)
        kept = [(n, t) for n, t in response.getheaders() if n.lower() not in _HOP_BY_HOP]
        for name, text in kept:
            self.send_header(name, text)
        if not any(name.lower() == "content-length" for name, _ in kept):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        if cut:
            self.wfile.flush()
            self.drop()

    def refuse(self, kind: Kind) -> None:
        code = _REFUSALS[kind]
        self.send_content(int(kind), f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def send_content(self, status: int, content: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def drop(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def wait(self) -> None:
        """Silence until the client has gone or the test is over."""
        end = time.monotonic() + _STALL_S
        self.connection.settimeout(0.1)
        while time.monotonic() < end and not self.ended.is_set():
            with suppress(TimeoutError):
                if not self.connection.recv(1):
                    break
        self.close_connection = True

    def send_half(self) -> None:
        length = int(self.headers["Content-Length"])
        half = self.rfile.read(length // 2)
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            lines = [f"{n}: {t}" for n, t in self.headers.items() if n.lower() not in _HOP_BY_HOP]
            server.sendall("\r\n".join([self.requestline, *lines, "", ""]).encode() + half)
            self.wait()

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):
            super().handle()

    def log_message(self, *arguments: Any) -> None:
        """Nothing is printed."""
