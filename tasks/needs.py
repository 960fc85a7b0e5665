"""How much memory a run needs, and how long it takes.

A worker computes one item at a time while its other threads read and write others. What it needs at most is
its program, the working memory of the stage that takes most for the largest item, and the frames of the
items beside it. The memory models of the default methods cover what a pair of 15 megapixels took
(``infra/benchmarks/large_image.py``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import thread_time
from typing import TYPE_CHECKING, Any

import numpy as np

from ldp_core.errors import MemoryShortError, count_of
from ldp_core.types import GENERIC_CAMERA, Item
from tasks.capacity import THREADS_PER_WORKER, cores, usable_bytes
from tasks.pipeline import Pipeline, pipeline_for, pipeline_of
from tasks.plan import Plan, pixels_of, view_bytes
from tasks.stage import COMPUTING_THREADS, PipelineConfig
from tasks.stages import SCORE

if TYPE_CHECKING:
    from tasks.cluster import Workers

_PROBE_PX = 320
_REFERENCE_S = 0.0027
"""`time_machine` of the machine on which methods were timed: one core of a shared Xeon."""
_ITEM_S = 0.15
"""Reading, writing and handing on an item of any size."""
_START_S = 10.0
"""Until the server answers and workers have imported everything, and from the last item to the report. A
machine with free cores takes less; others more, for server and workers start beside each other."""
_PROGRAM_BYTES = 450 * 2**20
"""A worker that has imported everything, 390 MiB measured, and keeps what its allocator freed."""
_COPIES_OF_FRAMES = 4
"""Of an item that is read, verified and written: encoded, decoded, stacked."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that a worker needs, its program included, while it computes this item."""

    item_id: str
    width: int
    height: int
    bytes: int


def estimate_seconds(plan: Plan, *, processes: int) -> float:
    """Expected seconds of a run on this machine, its start, reading, writing and scoring included, while
    others are at work on it as they are now.

    Stages whose methods declare what they take count so, others as timed on a small simulated pair.
    """
    if not plan.to_do:
        return 0.0
    seconds, slowness = 0.0, time_machine() / _REFERENCE_S
    for pipeline in plan.pipelines.values():
        items = [item for item in plan.to_do if pipeline_for(plan.config, item) is pipeline]
        if items:
            per_item, per_pixel = slowness * _ITEM_S, _seconds_per_pixel(plan.config, pipeline, slowness)
            seconds += per_item * len(items) + per_pixel * sum(map(pixels_of, items))
    return crowding(processes) * (slowness * _START_S + seconds / processes)


def crowding(processes: int) -> float:
    """How much longer a program takes because others want the same cores: those of the last minute, and the
    ``processes`` of a run. On a machine without other work, and with a core for each process, 1."""
    try:
        others = os.getloadavg()[0]
    except OSError:
        others = 0.0
    return max(1.0, (others + processes) / cores())


def time_machine() -> float:
    """CPU seconds that this machine takes for a transform of 512x512 samples; the best of eight.

    The clock of the wall would count whoever else is at work in these few milliseconds, not in a run.
    """
    samples = np.random.default_rng(0).normal(size=(512, 512))
    taken = []
    for _ in range(8):
        begin = thread_time()
        np.fft.rfft2(samples)
        taken.append(thread_time() - begin)
    return min(taken)


def declare_memory(items: Iterable[Item], config: PipelineConfig) -> tuple[MemoryNeed, ...]:
    """What each item needs, most first, while others as large as the largest are in the worker with it."""
    listed = tuple(items)
    others = min(THREADS_PER_WORKER, len(listed)) - 1
    beside = others * max(map(_handling_bytes, listed), default=0)
    needs = [
        MemoryNeed(item.id, item.left.width, item.left.height, beside + _bytes_for(item, config))
        for item in listed
    ]
    return tuple(sorted(needs, key=lambda need: (-need.bytes, need.item_id)))


def require_memory(needs: Iterable[MemoryNeed], workers: Workers) -> None:
    """Refuse items that a worker has not the memory for.

    Raises:
        MemoryShortError: some need more than Dask lets a worker take before it stops giving it work.
    """
    allowed = usable_bytes(workers.memory_bytes)
    too_large = [need for need in needs if allowed and need.bytes > allowed]
    if too_large:
        named = [f"{need.item_id} ({need.width}x{need.height})" for need in too_large[:_NAMED]]
        raise MemoryShortError(
            f"too large for the memory of a worker: {count_of(len(too_large), 'item')}",
            where=", ".join(named) + (" ..." if too_large[_NAMED:] else ""),
            expected=f"at most {_show(allowed)}, of {_show(workers.memory_bytes)} of a worker",
            got=_show(too_large[0].bytes),
            remedy=_suggest(too_large[0].bytes, workers),
        )


def _seconds_per_pixel(config: PipelineConfig, pipeline: Pipeline, slowness: float) -> float:
    declared = [stage.definition.seconds(stage) for stage in pipeline.stages]
    known = sum(seconds for seconds in declared if seconds is not None) * slowness / 1e6
    if None not in declared:
        return known
    # The probe has no place in the frame of a camera; with a profile it takes a tenth longer.
    probed = pipeline_of(config, replace(pipeline.traits, camera=GENERIC_CAMERA))
    return known + _time_stages(probed)


def _time_stages(pipeline: Pipeline) -> float:
    """Seconds a pixel of the stages of which it is not known, on a small simulated pair."""
    import torch

    from ldp_core.optics import SimulationSettings, simulate_pair

    pair = simulate_pair(0, SimulationSettings(height=_PROBE_PX, width=_PROBE_PX))
    pair = replace(pair, right=None) if pipeline.traits.views == 1 else pair
    products: dict[str, Any] = {}
    seconds = 0.0
    torch.set_num_threads(COMPUTING_THREADS)  # as in workers, or the estimate is too low
    for stage in pipeline.stages:
        if stage.label != SCORE:
            inputs = {label: products[label] for label in stage.inputs}
            begin = thread_time()
            products[stage.label] = stage.definition.run(stage, pair, inputs)
            seconds += thread_time() - begin if stage.definition.seconds(stage) is None else 0
    return seconds / _PROBE_PX**2


def _bytes_for(item: Item, config: PipelineConfig) -> int:
    pixels, stages = pixels_of(item), pipeline_for(config, item).stages
    computing = max(stage.definition.memory(stage, item).bytes_for(pixels) for stage in stages)
    results = sum(stage.definition.bytes_per_pixel for stage in stages) * pixels
    return _PROGRAM_BYTES + _handling_bytes(item) + results + computing


def _handling_bytes(item: Item) -> int:
    return _COPIES_OF_FRAMES * item.pictures * view_bytes(item)


def _suggest(needed: int, workers: Workers) -> str:
    total = workers.processes * usable_bytes(workers.memory_bytes)
    if workers.embedded and total >= needed:
        return f"take fewer workers, each has more memory then: --workers {total // needed}"
    where = "a machine" if workers.embedded else "workers (dask worker --memory-limit)"
    return f"take {where} with more memory, or leave these items out"


def _show(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
