"""One function over many calls, here or on the workers of a cluster; results come as they finish."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol, TypeVar

from distributed import Future

from tasks.cluster import THREADS_PER_WORKER, Workers, stream

T = TypeVar("T")


class Spread(Protocol):
    """Runs ``function(*call)`` for every call; the order of the results is not that of the calls."""

    def __call__(self, function: Callable[..., T], calls: Iterable[tuple[Any, ...]], /) -> Iterator[T]: ...


def over(workers: Workers) -> Spread:
    """Spread calls over workers, a bounded number at once. What a call raises is raised here."""

    def spread(function: Callable[..., T], calls: Iterable[tuple[Any, ...]], /) -> Iterator[T]:
        def submit(call: tuple[Any, ...]) -> Future[Any]:
            future: Future[Any] = workers.client.submit(function, *call, pure=False)
            return future

        for _, result in stream(submit, calls, in_flight=THREADS_PER_WORKER * workers.processes + 1):
            if isinstance(result, Exception):
                raise result
            yield result

    return spread


def here(function: Callable[..., T], calls: Iterable[tuple[Any, ...]], /) -> Iterator[T]:
    """Make the calls one by one in this process."""
    return (function(*call) for call in calls)


def in_chunks(values: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Values in tuples of ``size``; the last may be shorter."""
    waiting = iter(values)
    while chunk := tuple(islice(waiting, size)):
        yield chunk
