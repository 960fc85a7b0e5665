"""What a run would do, before anything runs: which items, which products, how much memory, how long.

A worker computes one item at a time while its other threads read and write others. What it needs at most is
its program, the working memory of the stage that takes most for the largest item, and the frames of the
items beside it. The memory models of the default methods cover what a pair of 15 megapixels took
(``infra/benchmarks/large_image.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import torch

from ldp_core.archive import Section
from ldp_core.archive.layout import FRAME_SECTION, list_whole
from ldp_core.cameras.matching import AUTO, assign_cameras
from ldp_core.catalogue import WHOLE_SOURCE, SourceOptions, read_catalogue
from ldp_core.errors import MemoryShortError
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import GENERIC_CAMERA, Catalogue, Item
from tasks.cluster import THREADS_PER_WORKER, Workers, usable_bytes
from tasks.items import COMPUTING_THREADS
from tasks.pipeline import Pipeline, pipeline_for, pipeline_of, pipelines_for
from tasks.sources import Sources, apply_versions, find_sources
from tasks.stage import ItemTraits, PipelineConfig
from tasks.stages import SCORE

_MOST_BATCHES = 100
"""A batch is two Prefect task runs, and bursts of a thousand of them make its server refuse requests."""
_SMALLEST_BATCH = 8
_PROBE_PX = 320
_PROGRAM_BYTES = 700 * 2**20
"""A worker that has imported everything and keeps what its allocator freed."""
_COPIES_OF_FRAMES = 4
"""Of an item that is read, verified and written: encoded, decoded, stacked."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Completed:
    """Keys of the items whose frames are in the archive, and of those whose products are, by section."""

    frames: frozenset[str]
    products: Mapping[Section, frozenset[str]]

    def labels(self, pipeline: Pipeline, item: Item) -> frozenset[str]:
        """Labels of the products of an item that are archived."""
        stages = pipeline.stages
        return frozenset(s.label for s in stages if item.key in self.products.get(s.section, frozenset()))

    def holds_all(self, pipeline: Pipeline, item: Item) -> bool:
        """Whether nothing of an item is left to compute."""
        return item.key in self.frames and len(self.labels(pipeline, item)) == len(pipeline.stages)


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that a worker needs, its program included, while it computes this item."""

    item_id: str
    width: int
    height: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it runs. ``pipelines`` are those of its items, by name.

    Items have the version that their source held when a run last saw it; ``sources`` says which are to be
    looked at again. ``options`` and ``camera`` are what the source was asked with.
    """

    catalogue: Catalogue
    config: PipelineConfig
    pipelines: Mapping[str, Pipeline]
    completed: Completed
    sources: Sources = field(default_factory=Sources)
    options: SourceOptions = WHOLE_SOURCE
    camera: str = GENERIC_CAMERA

    @property
    def to_do(self) -> tuple[Item, ...]:
        """Items with a product left to make, or whose source may have changed."""
        return tuple(item for item in self.catalogue.items if not self.is_done(item))

    def is_done(self, item: Item) -> bool:
        """Whether nothing of an item is left to compute, as far as is known."""
        pipeline = pipeline_for(self.config, item)
        return item.id not in self.sources.suspects and self.completed.holds_all(pipeline, item)

    def count_done(self) -> dict[str, int]:
        """How many items have their frames, and each product of their pipeline."""
        counts = {"ingest": sum(item.key in self.completed.frames for item in self.catalogue.items)}
        for label in dict.fromkeys(label for p in self.pipelines.values() for label in p.labels):
            counts[label] = sum(self._has(item, label) for item in self.catalogue.items)
        return counts

    def _has(self, item: Item, label: str) -> bool:
        """Whether a product is archived; one that the item's pipeline does not have is not missing."""
        pipeline = pipeline_for(self.config, item)
        return label not in pipeline.labels or label in self.completed.labels(pipeline, item)

    @property
    def bytes_in(self) -> int:
        """Encoded bytes of the pictures that are still to be read."""
        there, suspects = self.completed.frames, self.sources.suspects
        return sum(i.size_bytes for i in self.to_do if i.key not in there or i.id in suspects)

    @property
    def bytes_out(self) -> int:
        """An upper bound of what will be written, before compression: every suspect may hold new content."""
        return sum(self._bytes_out(item) for item in self.to_do)

    def _bytes_out(self, item: Item) -> int:
        pipeline = pipeline_for(self.config, item)
        archived = item.key in self.completed.frames and item.id not in self.sources.suspects
        there = self.completed.labels(pipeline, item) if archived else ()
        missing = (stage for stage in pipeline.stages if stage.label not in there)
        frames = 0 if archived else item.pictures * _view_bytes(item)
        return frames + sum(stage.definition.bytes_out(item) for stage in missing)


def make_plan(
    config: PipelineConfig,
    source: str,
    *,
    layout: str,
    dataset: str | None = None,
    verify_sources: bool = False,
    camera: str = GENERIC_CAMERA,
    options: SourceOptions = WHOLE_SOURCE,
) -> Plan:
    """Catalogue a source and compare it with an archive: headers, a few pictures, a listing per stage key,
    and records of earlier runs. ``verify_sources`` has the pixels of every archived item compared in the run.

    ``camera`` is the profile of its items' camera, by name or address, or ``auto``. Of a part of the items
    nothing is said about what has vanished from the source.

    Raises:
        SettingsError: a method or a setting is unknown.
        CatalogueError: the source cannot be read as a dataset.
    """
    # A method or a profile that is unknown is refused before anything is read.
    pipeline_of(config, ItemTraits(camera=GENERIC_CAMERA if camera == AUTO else camera))
    catalogue = read_catalogue(source, layout=layout, dataset=dataset, pixels=config.pixels, options=options)
    catalogue = assign_cameras(catalogue, camera)
    pipelines = pipelines_for(config, catalogue.items)
    completed = list_completed(config.archive, pipelines.values())
    sources = find_sources(config.archive, catalogue, completed.frames, verify=verify_sources)
    sources = replace(sources, previous=None) if options.selection.is_partial else sources
    catalogue = apply_versions(catalogue, sources.versions)
    return Plan(catalogue, config, pipelines, completed, sources, options, camera)


def list_completed(archive: str, pipelines: Iterable[Pipeline]) -> Completed:
    """What is archived of the products of some pipelines: one listing per section."""
    sections = dict.fromkeys(stage.section for pipeline in pipelines for stage in pipeline.stages)
    with ThreadPoolExecutor(1 + len(sections)) as pool:
        frames = pool.submit(list_whole, archive, FRAME_SECTION)
        products = pool.map(lambda section: list_whole(archive, section), sections)
        return Completed(frames.result(), dict(zip(sections, products, strict=True)))


def make_batches(items: Iterable[Item]) -> list[tuple[Item, ...]]:
    """Items in batches: at most a hundred, whatever the size of the dataset."""
    listed = tuple(items)
    size = max(_SMALLEST_BATCH, math.ceil(len(listed) / _MOST_BATCHES))
    return [listed[start : start + size] for start in range(0, len(listed), size)]


def estimate_seconds(plan: Plan, *, processes: int) -> float:
    """Expected seconds of the run's computation: its methods timed on a small simulated pair."""
    seconds = 0.0
    for pipeline in plan.pipelines.values():
        if pixels := sum(map(_pixels, (i for i in plan.to_do if pipeline_for(plan.config, i) is pipeline))):
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
    pixels, stages = _pixels(item), pipeline_for(config, item).stages
    computing = max(stage.definition.memory(stage, item).bytes_for(pixels) for stage in stages)
    results = sum(stage.definition.bytes_per_pixel for stage in stages) * pixels
    return _PROGRAM_BYTES + _handling_bytes(item) + results + computing


def _handling_bytes(item: Item) -> int:
    return _COPIES_OF_FRAMES * item.pictures * _view_bytes(item)


def _view_bytes(item: Item) -> int:
    return _pixels(item) * item.left.channels * item.left.bit_depth // 8


def _pixels(item: Item) -> int:
    return item.left.width * item.left.height


def _suggest(needed: int, workers: Workers) -> str:
    total = workers.processes * usable_bytes(workers.memory_bytes)
    if workers.embedded and total >= needed:
        return f"take fewer workers, each has more memory then: --workers {total // needed}"
    where = "a machine" if workers.embedded else "workers (dask worker --memory-limit)"
    return f"take {where} with more memory, or leave these items out"


def _show(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
