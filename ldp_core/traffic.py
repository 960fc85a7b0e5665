"""What is asked of a store: requests by kind, and bytes, counted where objects are read and written.

A request counts as an object store would be sent it, on a local disk as well. Those that are made again after
a fault, and the parts of large objects, are not told apart. A thread that `counting` watches has a count of
its own, all others share that of the process.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import Final, Literal

Kind = Literal["puts", "gets", "heads", "lists", "deletes"]
PAGE_KEYS: Final = 1000
"""What a request for a listing tells at most."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests by kind; bytes that were read and written."""

    puts: int = 0
    gets: int = 0
    heads: int = 0
    lists: int = 0
    deletes: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    @property
    def requests(self) -> int:
        """All requests together."""
        return self.puts + self.gets + self.heads + self.lists + self.deletes

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.puts + other.puts,
            self.gets + other.gets,
            self.heads + other.heads,
            self.lists + other.lists,
            self.deletes + other.deletes,
            self.bytes_in + other.bytes_in,
            self.bytes_out + other.bytes_out,
        )

    def __sub__(self, other: Traffic) -> Traffic:
        return self + Traffic(*(-count for count in astuple(other)))


NO_TRAFFIC: Final = Traffic()


class Meter:
    """Counts of one thread, or of all that nobody watches."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, kind: Kind, requests: int, bytes_in: int, bytes_out: int) -> None:
        with self._lock:
            self._counts.update({kind: requests, "bytes_in": bytes_in, "bytes_out": bytes_out})

    @property
    def total(self) -> Traffic:
        """What was counted until now."""
        with self._lock:
            return Traffic(**self._counts)


_PROCESS: Final = Meter()
_THREAD: Final = threading.local()


def count(kind: Kind, requests: int = 1, *, bytes_in: int = 0, bytes_out: int = 0) -> None:
    """Count requests that this thread makes."""
    meter: Meter = getattr(_THREAD, "meter", _PROCESS)
    meter.add(kind, requests, bytes_in, bytes_out)


def count_pages(keys: int) -> None:
    """Count the requests of a listing of so many keys."""
    count("lists", max(1, -(-keys // PAGE_KEYS)))


def process_traffic() -> Traffic:
    """What this process has asked for, but for what was counted apart."""
    return _PROCESS.total


@contextmanager
def counting() -> Iterator[Meter]:
    """Count what this thread asks for in the block, apart from the rest of the process."""
    before, meter = getattr(_THREAD, "meter", _PROCESS), Meter()
    _THREAD.meter = meter
    try:
        yield meter
    finally:
        _THREAD.meter = before
