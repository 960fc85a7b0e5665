"""The memory of processes while they live, by what they are."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from statistics import median

import psutil

Found = Callable[[], Mapping[str, list[psutil.Process]]]
_EVERY_S = 2.0


@dataclass
class MemoryLog:
    """Resident MiB of processes: for each one, by its role and number, when it had how much."""

    samples: dict[str, dict[int, list[tuple[float, float]]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def take(self, found: Mapping[str, list[psutil.Process]]) -> None:
        for role, processes in found.items():
            for process in processes:
                with suppress(psutil.Error):
                    size = process.memory_info().rss / 2**20
                    self.samples[role][process.pid].append((time.monotonic(), size))

    def growth(self, role: str) -> tuple[float, float]:
        """Of a process that stays, the median of the second quarter of its time and that of the last one;
        of processes that come and go, the median of the peaks in either half."""
        series = list(self.samples[role].values())
        if len(series) == 1:
            sizes = [size for _, size in series[0]]
            quarter = max(1, len(sizes) // 4)
            return median(sizes[quarter : 2 * quarter]), median(sizes[-quarter:])
        peaks = [max(size for _, size in one) for one in series]
        half = len(peaks) // 2
        return median(peaks[:half]), median(peaks[half:])

    def peak(self, role: str) -> float:
        return max(size for one in self.samples[role].values() for _, size in one)


@contextmanager
def logging_memory(find: Found) -> Iterator[MemoryLog]:
    """Look at processes again and again while the block runs."""
    log, over = MemoryLog(), threading.Event()

    def look() -> None:
        while not over.wait(_EVERY_S):
            with suppress(psutil.Error):
                log.take(find())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield log
    finally:
        over.set()
        thread.join()
