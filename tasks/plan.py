"""What a run would do, before anything runs: which items, which products."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from ldp_core.archive import Section
from ldp_core.archive.layout import FRAME_SECTION, list_whole, list_whole_and_changed
from ldp_core.catalogue import (
    WHOLE_SOURCE,
    SourceOptions,
    name_dataset,
    read_catalogue,
    require_named_peak,
    require_whole,
)
from ldp_core.errors import SettingsError
from ldp_core.protocols import PROTOCOLS, ScoringOptions
from ldp_core.storage import absolute_url
from ldp_core.traffic import NO_TRAFFIC, Traffic, process_traffic
from ldp_core.types import GENERIC_CAMERA, Catalogue, Item
from tasks.archived import choose_archived, read_archived
from tasks.pipeline import Pipeline, pipeline_for, pipeline_of, pipelines_for
from tasks.run import Run
from tasks.sources import Sources, apply_versions, find_sources, read_known, require_no_shrinkage, runs_of
from tasks.stage import ItemTraits, PipelineConfig

_AUTO: Final = "auto"
"""`ldp_core.cameras.matching.AUTO`, which would import torch."""
NEVER: Final = datetime.max.replace(tzinfo=UTC)
"""After all moments there are."""


@dataclass(frozen=True, slots=True)
class Completed:
    """Keys of the items whose frames are in the archive, and of those whose products are, by section."""

    frames: frozenset[str]
    products: Mapping[Section, frozenset[str]]
    changed: frozenset[str] = frozenset()
    """Keys of items of which something was, or may have been, written since the last finished run."""

    def labels(self, pipeline: Pipeline, item: Item) -> frozenset[str]:
        """Labels of the products of an item that are archived."""
        stages = pipeline.stages
        return frozenset(s.label for s in stages if item.key in self.products.get(s.section, frozenset()))

    def holds_all(self, pipeline: Pipeline, item: Item) -> bool:
        """Whether nothing of an item is left to compute."""
        return item.key in self.frames and len(self.labels(pipeline, item)) == len(pipeline.stages)


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it runs. ``pipelines`` are those of its items, by name.

    Items have the version that their source held when a run last saw it; ``sources`` says which are to be
    looked at again. ``recorded`` is the newest finished run over the same source. ``options`` and ``camera``
    are what the source was asked with. ``begun`` is what this process had asked of stores before.
    """

    catalogue: Catalogue
    config: PipelineConfig
    pipelines: Mapping[str, Pipeline]
    completed: Completed
    sources: Sources = field(default_factory=Sources)
    recorded: Run | None = None
    options: SourceOptions = WHOLE_SOURCE
    camera: str = GENERIC_CAMERA
    begun: Traffic = NO_TRAFFIC

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
        frames = 0 if archived else item.pictures * view_bytes(item)
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
    and records of earlier runs. Items whose listing the newest finished run recorded are not probed again, as
    far as `ldp_core.catalogue.known` tells. ``verify_sources`` has the pixels of every archived item compared
    in the run.

    ``camera`` is the profile of its items' camera, by name or address, or ``auto``. Of a part of the items
    nothing is said about what has vanished from the source. Where the configuration says ``from_archive``,
    the items are the archived ones, with the cameras they were archived with; no source is looked at.

    Raises:
        SettingsError: a method or a setting is unknown, or the archive is the source.
        CatalogueError: the source cannot be read as a dataset.
        ItemMissingError, ItemDamagedError: as `read_archived`.
    """
    begun = process_traffic()
    if config.from_archive:
        return replace(_plan_archived(config, dataset, options), begun=begun)
    # A method or a profile that is unknown is refused before anything is read.
    pipeline_of(config, ItemTraits(camera=GENERIC_CAMERA if camera == _AUTO else camera))
    if absolute_url(source) == absolute_url(config.archive):
        raise SettingsError(
            "the archive is the source itself", where=source, remedy="name another folder with --archive"
        )
    name = name_dataset(source, layout=layout, dataset=dataset)
    runs = tuple(runs_of(config.archive, name, absolute_url(source)))
    recorded = next((run for run in runs if run.finished_at is not None), None)
    known = {} if verify_sources else read_known(recorded)
    catalogue = read_catalogue(
        source, layout=layout, dataset=dataset, pixels=config.pixels, options=options, known=known
    )
    catalogue = _assign_cameras(catalogue, camera)
    if options.selection.where:
        catalogue = replace(catalogue, items=tuple(options.selection.choose_known(catalogue.items)))
    pipelines = pipelines_for(config, catalogue.items)
    completed = list_completed(
        config.archive, pipelines.values(), name, since=(recorded and recorded.finished_at) or NEVER
    )
    sources = find_sources(runs, catalogue, completed.frames, verify=verify_sources)
    sources = replace(sources, previous=None) if options.selection.is_partial else sources
    catalogue = apply_versions(catalogue, sources.versions)
    return Plan(catalogue, config, pipelines, completed, sources, recorded, options, camera, begun)


def _plan_archived(config: PipelineConfig, dataset: str | None, options: SourceOptions) -> Plan:
    """The plan of a run over archived items, which are just as a run has found them."""
    pipeline_of(config, ItemTraits())
    found = read_archived(config.archive, dataset, list_whole(config.archive, FRAME_SECTION))
    catalogue = choose_archived(found.catalogue, options.selection, config.archive)
    pipelines = pipelines_for(config, catalogue.items)
    since = (found.recorded and found.recorded.finished_at) or NEVER
    completed = list_completed(config.archive, pipelines.values(), found.catalogue.dataset, since=since)
    sources = Sources(found.confirmed, {}, {i.id: i.version for i in catalogue.items if i.version != 1})
    return Plan(catalogue, config, pipelines, completed, sources, found.recorded, options)


def _assign_cameras(catalogue: Catalogue, camera: str) -> Catalogue:
    if camera == GENERIC_CAMERA:
        return catalogue
    from ldp_core.cameras.matching import assign_cameras  # it imports torch

    return assign_cameras(catalogue, camera)


def make_checked_plan(
    config: PipelineConfig,
    source: str,
    layout: str,
    dataset: str | None,
    *,
    allow_single: bool = False,
    verify_sources: bool = False,
    camera: str = GENERIC_CAMERA,
    allow_shrink: bool = False,
    options: SourceOptions = WHOLE_SOURCE,
) -> Plan:
    """The plan of a run; a source that a run must not be made of is refused.

    Raises:
        IncompleteSourceError: whole folders have lost pictures, and ``allow_single`` is not given.
        SourceShrunkError: many pictures of the run before are gone, and ``allow_shrink`` is not given.
        PeakUnnamedError: the values of its pictures end below full scale, and their peak is not named.
        WeightsError: weights are not where they are said to be, or are others.
    """
    plan = make_plan(
        config,
        source,
        layout=layout,
        dataset=dataset,
        verify_sources=verify_sources,
        camera=camera,
        options=options,
    )
    require_scorable(plan.catalogue.items, config.scoring)
    if config.from_archive:  # what it was archived from was looked at then
        if plan.to_do:
            require_weights(config)
        return plan
    require_whole(plan.catalogue.problems, where=plan.catalogue.source, allow_single=allow_single)
    if not allow_shrink:
        require_no_shrinkage(plan.catalogue, plan.sources)
    require_named_peak(plan.catalogue)
    if plan.to_do:
        require_weights(config)
    return plan


def require_scorable(items: Iterable[Item], scoring: ScoringOptions) -> None:
    """Refuse a protocol by which no item can be scored: it would leave no trace.

    Raises:
        SettingsError: no item has a target, or the depth that it asks for.
    """
    listed = tuple(items)
    for name in scoring.protocols:
        protocol = PROTOCOLS[name]
        able = [item for item in listed if item.left.bit_depth >= (protocol.bit_depth or 0)]
        if listed and not [item for item in able if item.target or not protocol.needs_target]:
            depth = f"pictures of {protocol.bit_depth} bit" if protocol.bit_depth else "pictures"
            raise SettingsError(
                "no item can be scored by this protocol",
                where=f"--protocol {name}",
                expected=f"{depth}{' that have a target' if protocol.needs_target else ''}",
                got=f"{len(listed)} items, {len(able)} of this depth",
                remedy="leave it out, or choose a protocol for what the items have",
            )


def require_weights(config: PipelineConfig) -> None:
    """Refuse a run whose weights are named by an address where they are not: every item would fail alike.

    Raises:
        WeightsError: nothing lies at an address, or something else than what its sha256 says.
    """
    routes = (config.pair, config.single)
    methods = [*(m for route in routes for m in (route.estimator, route.deblurrer)), *config.baselines]
    asked = {str(m.values.get("weights", "")): str(m.values.get("sha256", "")) for m in methods}
    files = {address: sha256 for address, sha256 in asked.items() if address.endswith(".safetensors")}
    if files:
        from ldp_core.weights import read_weights  # it imports torch

        for address, sha256 in files.items():
            read_weights(address, sha256=sha256)


def list_completed(
    archive: str, pipelines: Iterable[Pipeline], dataset: str, *, since: datetime = NEVER
) -> Completed:
    """What is archived of a dataset's products of some pipelines, and what of it was written ``since`` some
    moment.

    One listing per section.
    """
    products = dict.fromkeys(stage.section for pipeline in pipelines for stage in pipeline.stages)
    sections = (FRAME_SECTION, *products)
    with ThreadPoolExecutor(len(sections)) as pool:
        listed = pool.map(
            lambda section: list_whole_and_changed(archive, section, since, dataset=dataset), sections
        )
        whole, changed = zip(*listed, strict=True)
    return Completed(whole[0], dict(zip(products, whole[1:], strict=True)), frozenset().union(*changed))


def view_bytes(item: Item) -> int:
    """Bytes of the pixels of one view."""
    return pixels_of(item) * item.left.channels * item.left.bit_depth // 8


def pixels_of(item: Item) -> int:
    """Pixels of one view."""
    return item.left.width * item.left.height
