"""Workers must not return memory at every free: it costs more than the computation (decision 0003)."""

from __future__ import annotations

import os

from tasks.cluster import open_workers


def read_environment() -> dict[str, str]:
    return dict(os.environ)


def test_embedded_workers_keep_freed_memory() -> None:
    with open_workers(processes=1) as workers:
        environment = workers.client.submit(read_environment).result()
    assert int(environment["MALLOC_TRIM_THRESHOLD_"]) == 2**30
    assert int(environment["MALLOC_MMAP_THRESHOLD_"]) == 2**30
    assert environment["OMP_NUM_THREADS"] == "1"
