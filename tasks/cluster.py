"""The one module that opens Dask: a cluster to work on, and a bounded stream of work through it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

import dask
from distributed import Client, Future, LocalCluster, as_completed

from ldp_core import __version__
from ldp_core.errors import ClusterError
from tasks.capacity import THREADS_PER_WORKER, cores

T = TypeVar("T")

KEEP_FREED_MEMORY = {
    f"distributed.nanny.pre-spawn-environ.MALLOC_{name}_THRESHOLD_": 2**30 for name in ("TRIM", "MMAP")
}
"""Dask has workers return memory to the system at every free: a fourfold cost (decision 0003)."""
NO_PROFILES = {"distributed.worker.profile.enabled": False}
"""Dask samples what workers do and keeps an hour of it: .35 MiB for each small item."""


@dataclass(frozen=True, slots=True)
class Workers:
    """A cluster in use: its client, its worker processes, and the memory each may take.

    ``embedded``: they were started by this process. ``memory_bytes`` is the limit of the smallest worker, 0
    where it has none.
    """

    client: Client
    processes: int
    embedded: bool
    memory_bytes: int = 0


@contextmanager
def open_workers(
    address: str | None = None, *, processes: int | None = None, timeout_s: float = 60
) -> Iterator[Workers]:
    """Workers of a running scheduler, or of a cluster embedded in this process when none is named.

    Args:
        address: a Dask scheduler, such as ``tls://host:8786``; None or empty for none.
        processes: worker processes of the embedded cluster; one per core by default.
        timeout_s: how long to wait for a named scheduler to answer, and for its first worker.

    Raises:
        ClusterError: the scheduler does not answer, has no workers, or they run other code.
    """
    if not address:
        with _embedded(processes or cores()) as workers:
            yield workers
    else:
        with _connected(address, timeout_s) as workers:
            yield workers


def stream(
    submit: Callable[[T], Future[Any]], items: Iterable[T], *, in_flight: int
) -> Iterator[tuple[T, Any]]:
    """Items with the results of ``submit(item)`` as they finish, at most ``in_flight`` at once.

    A future that failed yields its exception: a worker that died again and again, for example.
    """
    waiting = iter(items)
    running = as_completed()
    item_of: dict[Any, T] = {}

    def start(count: int) -> None:
        for item in islice(waiting, count):
            future = submit(item)
            item_of[future.key] = item
            running.add(future)

    start(in_flight)
    for future in running:
        error = future.exception()
        yield item_of.pop(future.key), future.result() if error is None else error
        start(1)


class RunCalls(Protocol):
    """Runs ``function(*call)`` for every call; the order of the results is not that of the calls."""

    def __call__(self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]], /) -> Iterator[T]: ...


def on_workers(workers: Workers) -> RunCalls:
    """Run calls on workers, a bounded number at once. What a call raises is raised here."""

    def run(function: Callable[..., T], calls: Iterable[tuple[Any, ...]], /) -> Iterator[T]:
        def submit(call: tuple[Any, ...]) -> Future[Any]:
            future: Future[Any] = workers.client.submit(function, *call, pure=False)
            return future

        for _, result in stream(submit, calls, in_flight=THREADS_PER_WORKER * workers.processes + 1):
            if isinstance(result, Exception):
                raise result
            yield result

    return run


def in_process(function: Callable[..., T], calls: Iterable[tuple[Any, ...]], /) -> Iterator[T]:
    """Run calls one by one in this process."""
    return (function(*call) for call in calls)


@contextmanager
def _embedded(processes: int) -> Iterator[Workers]:
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with dask.config.set(KEEP_FREED_MEMORY | NO_PROFILES):
        cluster = LocalCluster(
            n_workers=processes,
            threads_per_worker=THREADS_PER_WORKER,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
        )
        try:
            with Client(cluster) as client:
                yield Workers(client, processes, True, _smallest_memory_bytes(client))
        finally:
            with suppress(TimeoutError):  # a worker slow to end is killed; its work is done
                cluster.close()


@contextmanager
def _connected(address: str, timeout_s: float) -> Iterator[Workers]:
    try:
        client = Client(address, timeout=timeout_s)
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(
            "the Dask scheduler does not answer",
            where=address,
            got=f"{type(error).__name__}: {error}",
            remedy="check the address and that the scheduler runs, or leave out --cluster",
        ) from error
    with client:
        processes = _checked(client, address, timeout_s)
        yield Workers(client, processes, False, _smallest_memory_bytes(client))


def installed_version() -> str:
    """The version of this package where it is called, such as on a worker."""
    return __version__


def _checked(client: Client, address: str, timeout_s: float) -> int:
    try:
        client.wait_for_workers(1, timeout=timeout_s)
        versions = client.run(installed_version)
    except TimeoutError as error:
        raise ClusterError(
            "the Dask scheduler has no workers", where=address, remedy="start workers and try again"
        ) from error
    except Exception as error:
        raise ClusterError(
            "the workers cannot import this package",
            where=address,
            got=f"{type(error).__name__}: {error}",
            remedy=f"install dual-pixel-ldp {__version__} where the workers run",
        ) from error
    if set(versions.values()) != {__version__}:
        raise ClusterError(
            "the workers run another version",
            where=address,
            expected=__version__,
            got=", ".join(sorted(set(versions.values()))),
            remedy="install the same version everywhere, so that stage keys agree",
        )
    return len(versions)


def _smallest_memory_bytes(client: Client) -> int:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return min((worker["memory_limit"] for worker in workers if worker["memory_limit"]), default=0)
