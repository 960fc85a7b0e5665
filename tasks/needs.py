"""How much memory a run needs, and how long it takes.

A worker computes one item at a time while its other threads read and write others. What it needs at most is
its program, the working memory of the stage that takes most for the largest item, and the frames of the
items beside it. The memory models of the default methods cover what a pair of 15 megapixels took
(``infra/benchmarks/large_image.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from ldp_core.errors import MemoryShortError
from ldp_core.types import GENERIC_CAMERA, Item
from tasks.cluster import THREADS_PER_WORKER, Workers, usable_bytes
from tasks.items import COMPUTING_THREADS
from tasks.pipeline import Pipeline, pipeline_for, pipeline_of
from tasks.plan import Plan, pixels_of, view_bytes
from tasks.stage import PipelineConfig
from tasks.stages import SCORE

_PROBE_PX = 320
_PROGRAM_BYTES = 700 * 2**20
"""A worker that has imported everything and keeps what its allocator freed."""
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
    """Expected seconds of the run's computation: its methods timed on a small simulated pair."""
    seconds = 0.0
    for pipeline in plan.pipelines.values():
        if pixels := sum(map(pixels_of, (i for i in plan.to_do if pipeline_for(plan.config, i) is pipeline))):
            # The probe has no place in the frame of a camera; with a profile it takes a tenth longer.
            probed = pipeline_of(plan.config, replace(pipeline.traits, camera=GENERIC_CAMERA))
            seconds += _seconds_per_pixel(probed) * pixels / processes
    return seconds


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
            f"{len(too_large)} of the items need more memory than a worker has",
            where=", ".join(named) + (" ..." if too_large[_NAMED:] else ""),
            expected=f"at most {_show(allowed)}, of {_show(workers.memory_bytes)} of a worker",
            got=_show(too_large[0].bytes),
            remedy=_suggest(too_large[0].bytes, workers),
        )


def _seconds_per_pixel(pipeline: Pipeline) -> float:
    """Of its stages but for scoring, whose time depends on what there is to compare with."""
    import torch

    from ldp_core.optics import SimulationSettings, simulate_pair

    pair = simulate_pair(0, SimulationSettings(height=_PROBE_PX, width=_PROBE_PX))
    pair = replace(pair, right=None) if pipeline.traits.views == 1 else pair
    products: dict[str, Any] = {}
    torch.set_num_threads(COMPUTING_THREADS)  # as in workers, or the estimate is too low
    begin = perf_counter()
    for stage in pipeline.stages:
        if stage.label != SCORE:
            inputs = {label: products[label] for label in stage.inputs}
            products[stage.label] = stage.definition.run(stage, pair, inputs)
    return (perf_counter() - begin) / _PROBE_PX**2


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
