"""The one module that opens Dask: a cluster to work on, and a bounded stream of work through it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import resource_tracker
from queue import Empty, SimpleQueue
from typing import Any, Final, Protocol, TypeVar
from weakref import WeakKeyDictionary

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, Worker, WorkerPlugin
from distributed.client import FutureCancelledError
from distributed.security import Security

from ldp_core.credentials import KEYRING, Keyring, guard_logs
from ldp_core.errors import ClusterError
from ldp_core.settings import seconds_from_environment
from tasks.capacity import THREADS_PER_WORKER, cores
from tasks.cluster_checks import await_resource, check_address, count_workers, smallest_memory_bytes

T = TypeVar("T")

_LOG: Final = logging.getLogger("ldp.workers")

KEEP_FREED_MEMORY = {
    f"distributed.nanny.pre-spawn-environ.MALLOC_{name}_THRESHOLD_": 2**30 for name in ("TRIM", "MMAP")
}
"""Dask has workers return memory to the system at every free: a fourfold cost (decision 0003)."""
_SILENCE_S: Final = 50
"""So long after its last sign of life a worker is given up; Dask's own 5 minutes are up to 10. It gives one
every second."""
_LOOKS_MS: Final = 5_000
"""How often embedded workers are looked at. Dask looks once in the time that it allows them."""
IMPORTS_FIRST = {"distributed.worker.preload": ["tasks.work"]}
"""A worker gives no sign of life while it reads a call, and so imports what it works with: 5 s, a minute on a
busy machine. So it does that before it is known to the scheduler."""
_NEVER_GIVEN_UP: Final = {"distributed.deploy.lost-worker-timeout": "1 day"}
"""A worker that died is started again. Dask ends it for good where that takes more than 15 s, as it does on a
busy machine, and work then waits for ever."""
_WITHOUT_WORKERS: Final = {"distributed.scheduler.no-workers-timeout": "10 minutes"}
"""Where no worker can be started again, work fails after this time."""
_TAKEN: Final = 1e-3
"""Of a resource, by a piece of work. With 1 a worker would have one at a time, and not read meanwhile."""
NO_PROFILES = {"distributed.worker.profile.enabled": False}
"""Dask samples what workers do and keeps an hour of it: .35 MiB for each small item."""


@dataclass(frozen=True, slots=True)
class Workers:
    """A cluster in use: its client, its worker processes, and the memory each may take.

    ``embedded``: they were started by this process. ``memory_bytes`` is the limit of the smallest worker that
    restores, 0 where it has none.
    """

    client: Client
    processes: int
    embedded: bool
    memory_bytes: int = 0


@contextmanager
def open_workers(
    address: str | None = None,
    *,
    processes: int | None = None,
    timeout_s: float | None = None,
    insecure: bool = False,
    resource: str = "",
) -> Iterator[Workers]:
    """Workers of a running scheduler, or of a cluster embedded in this process when none is named.

    Dask runs whatever reaches it. So an embedded cluster speaks TLS with a key that only this process and its
    workers have, and a scheduler elsewhere must be reached by TLS.

    Args:
        address: a Dask scheduler, such as ``tls://host:8786``; None or empty for none.
        processes: worker processes of the embedded cluster; one per core by default.
        timeout_s: how long to wait for a named scheduler to answer, and for its first worker; by default
            what the variable LDP_CLUSTER_TIMEOUT says, else 60.
        insecure: allow a scheduler on another host without TLS.
        resource: a resource of Dask, such as ``GPU``, that a worker must have.

    Raises:
        ClusterError: the scheduler does not answer, has no workers, none has the resource, or they run other
            code; TLS is not set up, or an address of another host does without it.
    """
    check_address(address or "", insecure=insecure, resource=resource)
    if not address:
        with _embedded(processes or cores()) as workers:
            yield workers
    else:
        timeout_s = timeout_s or seconds_from_environment("LDP_CLUSTER_TIMEOUT", 60)
        with _connected(address, timeout_s, resource) as workers:
            yield workers


def stream(
    submit: Callable[[T], Future[Any]], items: Iterable[T], *, in_flight: int
) -> Iterator[tuple[T, Any]]:
    """Items with the results of ``submit(item)`` as they finish, at most ``in_flight`` at once.

    A future that failed yields its exception: a worker that died again and again, for example.

    Raises:
        ClusterError: the scheduler is gone, or another thread has closed the client; nothing else ends a
            future without a result.
    """
    waiting = iter(items)
    finished: SimpleQueue[tuple[Future[Any], Any]] = SimpleQueue()
    item_of: dict[Future[Any], T] = {}

    async def fetch(future: Future[Any]) -> None:
        try:
            result = await future.client.gather(future, asynchronous=True)
        except Exception as error:
            result = error
        finished.put((future, result))

    def start(count: int) -> None:
        for item in islice(waiting, count):
            future = submit(item)
            item_of[future] = item
            future.client.loop.add_callback(fetch, future)

    start(in_flight)
    while item_of:
        future, result = _next_of(finished, next(iter(item_of)).client)
        yield item_of.pop(future), result
        start(1)


def _next_of(finished: SimpleQueue[tuple[Future[Any], Any]], client: Client) -> tuple[Future[Any], Any]:
    """The next future that ends, and its result. Of a client that is closed, some may never end."""
    while True:
        with suppress(Empty):
            future, result = finished.get(timeout=1)
            if isinstance(result, FutureCancelledError):
                raise _lost(str(result).partition("cancelled for reason: ")[2].partition(".")[0])
            return future, result
        if client.status == "closed":
            raise _lost("its client is closed")


def _lost(reason: str) -> ClusterError:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # Dask would log how it looks for it
    return ClusterError(
        "the connection to the Dask scheduler is lost",
        got=reason if reason != "unknown" else "",
        remedy="see whether the scheduler runs, then give the same command again to continue",
    )


class _Credentials(WorkerPlugin):
    """Gives workers, also those that start later, what was parted from addresses."""

    name = "ldp-credentials"

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def setup(self, worker: Worker) -> None:
        KEYRING.take(self._keyring)
        guard_logs()


_SHARED: Final[WeakKeyDictionary[Client, int]] = WeakKeyDictionary()
"""Which revision of the keyring the workers of a client have."""


def share_credentials(client: Client) -> None:
    """Give the workers of a client what was parted from addresses, where they do not have it yet."""
    if KEYRING.revision and _SHARED.get(client) != KEYRING.revision:
        _SHARED[client] = KEYRING.revision
        client.register_plugin(_Credentials(KEYRING))


def only_with(resource: str) -> dict[str, float] | None:
    """What a piece of work takes of a resource, as Dask counts it: it goes to workers that have it."""
    return {resource: _TAKEN} if resource else None


class RunCalls(Protocol):
    """Runs ``function(*call)`` for every call; the order of the results is not that of the calls."""

    def __call__(self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]], /) -> Iterator[T]: ...


def on_workers(workers: Workers) -> RunCalls:
    """Run calls on workers, a bounded number at once. What a call raises is raised here."""

    def run(function: Callable[..., T], calls: Iterable[tuple[Any, ...]], /) -> Iterator[T]:
        share_credentials(workers.client)

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


_OUT_OF_MEMORY: Final[dict[str, int]] = {}
"""Bytes that workers held when they were ended for it, by their address."""


def memory_at_end(error: Exception) -> int:
    """Bytes that the worker held which died of a piece of work, where it was ended for that; else 0."""
    address = error.last_worker.address if isinstance(error, KilledWorker) else ""
    return _OUT_OF_MEMORY.get(address, 0)


@contextmanager
def _watching(client: Client, end_frozen: Callable[[str], None] = lambda address: None) -> Iterator[None]:
    """Log which workers are frozen, lost, or ended because of their memory; Dask repeats their work.

    ``end_frozen`` ends one at once. Dask asks it to end, and kills it after 24 s.
    """

    def note_frozen(event: tuple[float, Mapping[str, Any]]) -> None:
        for address in event[1]["workers"] if event[1].get("action") == "worker-ttl-timed-out" else ():
            silence = f"no sign of life for {event[1]['ttl']:.0f} s; its items go to others"
            _LOG.warning("worker %s: %s", address, silence, extra={"worker": address})
            end_frozen(address)

    def note_memory(event: tuple[float, Mapping[str, Any]]) -> None:
        address, held = event[1]["worker"], event[1]["rss"]
        _OUT_OF_MEMORY[address] = held
        what = f"ended at {held / 1e9:.1f} GB, nearly all that it may take; its items are tried again"
        _LOG.warning("worker %s: %s", address, what, extra={"worker": address, "bytes": held})

    def note_loss(event: tuple[float, Mapping[str, Any]]) -> None:
        if event[1].get("action") == "remove-worker" and event[1]["processing-tasks"]:
            address = event[1]["worker"]
            _LOG.info("worker %s: lost; its items go to others", address, extra={"worker": address})

    handlers = {"all": note_loss, "scheduler": note_frozen, "worker-restart-memory": note_memory}
    for topic, handler in handlers.items():
        client.subscribe_topic(topic, handler)
    try:
        yield
    finally:
        with suppress(Exception):  # the scheduler may be gone
            for topic in handlers:
                client.unsubscribe_topic(topic)


def _kill(cluster: LocalCluster, address: str) -> None:
    for nanny in cluster.workers.values():
        if nanny.worker_address == address and nanny.pid:
            os.kill(nanny.pid, signal.SIGKILL)


@contextmanager
def _embedded(processes: int) -> Iterator[Workers]:
    logging.getLogger("distributed").setLevel(logging.ERROR)
    _start_quiet_resource_tracker()
    silence = {"distributed.scheduler.worker-ttl": seconds_from_environment("LDP_WORKER_TIMEOUT", _SILENCE_S)}
    patience = _NEVER_GIVEN_UP | _WITHOUT_WORKERS | silence
    embedding = KEEP_FREED_MEMORY | IMPORTS_FIRST | NO_PROFILES | patience | _show_no_pages()
    with dask.config.set(embedding):
        cluster = LocalCluster(
            n_workers=processes,
            threads_per_worker=THREADS_PER_WORKER,
            host="127.0.0.1",
            protocol="tls://",
            security=Security.temporary(),
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.ERROR,
        )
        try:
            scheduler: Any = cluster.scheduler
            scheduler.periodic_callbacks["worker-ttl"].callback_time = _LOOKS_MS
            with Client(cluster) as client, _watching(client, lambda address: _kill(cluster, address)):
                share_credentials(client)
                yield Workers(client, processes, True, smallest_memory_bytes(client))
        finally:
            with suppress(TimeoutError):  # a worker slow to end is killed; its work is done
                cluster.close()


def _start_quiet_resource_tracker() -> None:
    """The resource tracker of Python removes what killed workers leave; let it do so without a warning.

    Workers always leave something: numcodecs makes a semaphore in each process. The tracker takes its warning
    filters from here when it starts; one that runs already stays as it is.
    """
    before = sys.warnoptions[:]
    sys.warnoptions.append("ignore::UserWarning:multiprocessing.resource_tracker")
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions[:] = before


def _show_no_pages() -> dict[str, list[str]]:
    """Settings: Dask's pages are plain HTTP, where any local user could read logs and the names of items.

    Dask may add to these lists, so each cluster has its own.
    """
    return {
        f"distributed.{part}.http.routes": ["distributed.http.health"] for part in ("scheduler", "worker")
    }


@contextmanager
def _connected(address: str, timeout_s: float, resource: str) -> Iterator[Workers]:
    try:
        client = Client(address, timeout=timeout_s)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        raise ClusterError(
            "the Dask scheduler does not answer",
            where=address,
            got=f"{type(error).__name__}: {error}",
            remedy="check the address, that the scheduler runs, and that both sides use TLS or neither does",
        ) from error
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it logs is raised as well
    with client:
        processes = count_workers(client, address, timeout_s)
        await_resource(client, address, timeout_s, resource)
        share_credentials(client)
        try:
            with _watching(client):
                yield Workers(client, processes, False, smallest_memory_bytes(client, resource))
        finally:
            if client in _SHARED:
                with suppress(Exception):  # the scheduler may be gone
                    client.unregister_worker_plugin(_Credentials.name)
