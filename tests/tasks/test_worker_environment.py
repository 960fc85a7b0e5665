"""Workers keep freed memory, which is cheaper than asking for it again (decision 0003), and no samples."""

from __future__ import annotations

import os
import time

from distributed import get_worker

from tasks.cluster import open_workers


def read_environment() -> dict[str, str]:
    return dict(os.environ)


def count_samples() -> int:
    """What Dask's profiler of a worker has kept; it samples every 10 ms and closes a profile every second."""
    time.sleep(1.5)
    worker = get_worker()
    return len(worker.profile_history) + len(worker.profile_keys)


def test_embedded_workers_keep_freed_memory() -> None:
    with open_workers(processes=1) as workers:
        environment = workers.client.submit(read_environment).result()
        samples = workers.client.submit(count_samples).result()
    assert int(environment["MALLOC_TRIM_THRESHOLD_"]) == 2**30
    assert int(environment["MALLOC_MMAP_THRESHOLD_"]) == 2**30
    assert environment["OMP_NUM_THREADS"] == "1"
    assert samples == 0
