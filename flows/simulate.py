"""Make a dataset to try the system on: simulated pairs with their all-in-focus images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect import flow

from ldp_core.optics import SimulationSettings
from ldp_core.storage import shared_url
from tasks.cluster import open_workers
from tasks.progress import expect
from tasks.simulate import simulate_batch

_MOST_BATCHES = 100
_SMALLEST_BATCH = 8


@flow(name="simulate-dataset", persist_result=False)
def simulate_dataset(
    output: str,
    count: int,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    cluster: str | None = None,
    processes: int | None = None,
    insecure_cluster: bool = False,
) -> str:
    """Write ``count`` simulated pairs below ``output``, layout ``folders``; returns its address.

    A smaller set is the beginning of a larger one of the same seed; sets of two seeds share nothing.

    Raises:
        SettingsError: a simulation setting is unknown or out of range.
    """
    url = shared_url(output)
    chosen = SimulationSettings.parse({**(settings or {}), "seed": seed}).model_dump_json()
    size = max(_SMALLEST_BATCH, -(-count // _MOST_BATCHES))
    expect("simulate", count)
    with open_workers(cluster, processes=processes, insecure=insecure_cluster) as workers:
        for first in range(0, count, size):
            share = min(size, count - first)
            simulate_batch(url, chosen, first, share, in_flight=workers.processes + 1)
    return url
