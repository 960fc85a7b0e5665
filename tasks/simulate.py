"""Simulated datasets: rendered by workers, written in the `folders` layout."""

from __future__ import annotations

import json
from typing import Any

from distributed import Future, default_client
from prefect import task
from prefect.cache_policies import NO_CACHE

from ldp_core.catalogue import encode_coc_px
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.storage import join, write_bytes
from tasks.cluster import stream
from tasks.progress import advance


def simulate_item(url: str, settings: str, number: int) -> str:
    """Render one pair of the set into ``left/``, ``right/``, ``target/`` and ``coc/``; returns its name."""
    pair = simulate_pair(number, SimulationSettings.parse(json.loads(settings)))
    name = f"sim-{number:06d}.png"
    truth = {} if pair.blur_truth is None else {"coc": encode_coc_px(pair.blur_truth)}
    for view, pixels in (pair.views | truth).items():
        write_bytes(join(url, view, name), encode_image(pixels, format="png"))
    return name


@task(task_run_name="simulate-{first}", cache_policy=NO_CACHE, persist_result=False)
def simulate_batch(url: str, settings: str, first: int, count: int, *, in_flight: int) -> None:
    """Render ``count`` pairs of the set, from number ``first`` on."""
    client: Any = default_client()

    def submit(number: int) -> Future[Any]:
        future: Future[Any] = client.submit(simulate_item, url, settings, number, pure=False)
        return future

    for _, result in stream(submit, range(first, first + count), in_flight=in_flight):
        if isinstance(result, Exception):
            raise result
        advance("simulate")
