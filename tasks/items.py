"""What a worker does for one item: archive its frames, make or read its products, draw its pictures.

Each product is archived before the next one is made. A fault never leaves these functions as an exception:
it becomes a `Failed`. One computation at a time runs in a worker process, while its other threads read and
write.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from time import perf_counter
from types import MappingProxyType
from typing import Any, Final

import torch

from ldp_core.archive import Archive, pair_digest
from ldp_core.catalogue import load_pair
from ldp_core.credentials import plain_of, redact
from ldp_core.errors import ItemConflictError, ItemDamagedError, ItemMissingError, LdpError
from ldp_core.images.scale import peak_below_full_scale
from ldp_core.report import picture_paths, render_pictures
from ldp_core.storage import join, write_bytes
from ldp_core.traffic import NO_TRAFFIC, Traffic
from ldp_core.types import Item, Pair, Problem, QuarantineRecord, Score
from tasks.pipeline import Pipeline, pipeline_for
from tasks.stage import COMPUTING_THREADS, PipelineConfig, Stage
from tasks.stages import BLUR, DEBLUR, SCORE, is_baseline

_COMPUTE = threading.Semaphore(1)
NONE_ARCHIVED: Final[Mapping[int, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that is quarantined, and why."""

    record: QuarantineRecord
    traffic: Traffic = NO_TRAFFIC


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What the coordinator hears of an item: its scores, where its time went, which stages computed.

    ``digest`` is that of its archived frames, where they were read; ``version`` that which its source holds;
    ``problems`` are doubts about it; ``traffic`` is what a worker asked stores for.
    """

    item_id: str
    computed: tuple[str, ...]
    scores: tuple[Score, ...]
    seconds: dict[str, float]
    digest: str = ""
    version: int = 1
    problems: tuple[Problem, ...] = ()
    traffic: Traffic = NO_TRAFFIC


@dataclass(frozen=True, slots=True)
class DrawnItem:
    """Pictures of an item that lie in a report: names, and paths relative to the report."""

    item_id: str
    pictures: dict[str, str]
    traffic: Traffic = NO_TRAFFIC


@dataclass(slots=True)
class ItemState:
    """An item on its way through its pipeline: its pair, its products by label, what was computed.

    ``digest`` is that of the archived frames: results are bound to it when written and when read.
    """

    item: Item
    pair: Pair | None = None
    digest: str = ""
    products: dict[str, Any] = field(default_factory=dict)
    computed: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def ingest_item(
    config: PipelineConfig, item: Item, archived: Mapping[int, str] = NONE_ARCHIVED
) -> ItemResult | Failed:
    """Decode an item from its source and archive its frames, as the version whose content they are.

    ``archived`` are the versions known of (`ldp_core.archive.Archive.write_version`); a content that none of
    them has becomes the next one.
    """
    seconds: dict[str, float] = {}
    try:
        with _timing(seconds, "ingest"):
            pair = _decode(config, item)
            provenance = provenance_of(item, pair.doubts)
            stored = Archive(config.archive).write_version(pair, archived, provenance=provenance)
    except Exception as error:
        return quarantined(item.id, "ingest", error)
    made = ("ingest",) if stored.written else ()
    return ItemResult(item.id, made, (), seconds, stored.digest, stored.version, pair.doubts)


def confirm_item(config: PipelineConfig, item: Item, confirmed: bool = False) -> ItemResult | Failed:
    """Make sure that the frames of an item's version are archived and, unless a run has ``confirmed`` it,
    that they say the same of their origin as the catalogue: address, size, reading.

    Where they do not, the pixels decide. Frames that have gone since they were listed are archived again.
    """
    seconds: dict[str, float] = {}
    try:
        with _timing(seconds, "ingest"):
            record = Archive(config.archive).read_attributes("frames", "", item.key)
            unchanged = confirmed or _is_of_origin(record, item)
    except ItemMissingError:
        return _archive_again(config, item)
    except Exception as error:
        return quarantined(item.id, "ingest", error)
    if not unchanged:
        return ingest_item(config, item, {item.version: ""})
    doubts = doubts_of(record["provenance"])
    return ItemResult(item.id, (), (), seconds, str(record["digest"]), item.version, doubts)


def restore_item(
    config: PipelineConfig,
    item: Item,
    archived: Collection[str] = (),
    *,
    wanted: Collection[str] | None = None,
) -> ItemResult | Failed:
    """Make the products of an item; those whose labels are ``archived`` are read, and made where damaged.

    ``wanted`` are the labels of all products that are to be made or read, if not all of its pipeline.
    """
    state, stage_name = ItemState(item), "load"
    try:
        _load_frames(config, state)
        for stage in pipeline_for(config, item).stages:
            if wanted is None or stage.label in wanted:
                stage_name = stage.definition.name
                _read_or_make(config, stage, state, read=stage.label in archived)
    except Exception as error:
        return quarantined(item.id, stage_name, error)
    return to_result(state)


def load_archived(config: PipelineConfig, item: Item) -> ItemResult | Failed:
    """The result of an item whose every product is archived; where its scores are damaged, all is redone."""
    archive = Archive(config.archive)
    try:
        pipeline = pipeline_for(config, item)
        score = pipeline[SCORE]
        digest = archive.read_digest(item.key)
        scores = score.definition.read(archive, score, item.key, input_digest=digest)
    except (ItemDamagedError, ItemMissingError):
        return restore_item(config, item, pipeline.labels)
    except Exception as error:
        return quarantined(item.id, "load", error)
    return ItemResult(item.id, (), tuple(scores), {}, digest, item.version)


def read_finished(config: PipelineConfig, item: Item, confirmed: bool, *, scored: bool) -> ItemResult | None:
    """What `confirm_item` and, where it is ``scored``, `load_archived` say of an item together, in one visit.

    None where anything of it has to be looked at closer, or made.
    """
    archive, seconds, scores = Archive(config.archive), dict[str, float](), list[Score]()
    try:
        with _timing(seconds, "ingest"):
            record = archive.read_attributes("frames", "", item.key)
            if not (confirmed or _is_of_origin(record, item)):
                return None
        if scored:
            score = pipeline_for(config, item)[SCORE]
            scores = score.definition.read(archive, score, item.key, input_digest=record["digest"])
    except LdpError:  # the stages meet it again, and say what it is
        return None
    doubts = doubts_of(record["provenance"])
    return ItemResult(item.id, (), tuple(scores), seconds, str(record["digest"]), item.version, doubts)


def draw_item(config: PipelineConfig, report_url: str, item: Item) -> DrawnItem | Failed:
    """Write the pictures of an item into a report; results found damaged are made again first."""
    try:
        pipeline = pipeline_for(config, item)
        try:
            pictures = _render(config, pipeline, item)
        except (ItemDamagedError, ItemMissingError):
            restore_item(config, item, pipeline.labels)
            pictures = _render(config, pipeline, item)
        paths = picture_paths(item.id, pictures)
        for name, content in pictures.items():
            write_bytes(join(report_url, paths[name]), content)
    except Exception as error:
        return quarantined(item.id, "report", error)
    return DrawnItem(item.id, paths)


def to_result(state: ItemState) -> ItemResult:
    """The small record of an item that reaches the coordinator; its arrays stay behind."""
    scores, item = tuple(state.products.get(SCORE, ())), state.item
    return ItemResult(item.id, tuple(state.computed), scores, state.seconds, state.digest, item.version)


def quarantined(item_id: str, stage: str, error: Exception) -> Failed:
    """Why an item is quarantined, in the words of its error."""
    if isinstance(error, LdpError):
        facts = (("where", error.where), ("expected", error.expected), ("got", error.got))
        message = "; ".join([error.what, *(f"{name} {text}" for name, text in facts if text)])
        return Failed(QuarantineRecord(item_id, stage, error.kind, message, error.remedy))
    message = redact(f"{type(error).__name__}: {error}")
    return Failed(QuarantineRecord(item_id, stage, "unexpected", message, "report this as a defect"))


def provenance_of(item: Item, doubts: Sequence[Problem] = ()) -> dict[str, object]:
    """What the frames of an item record of their origin, and of doubts about it, if there are any."""
    developed = {"development": item.development} if item.development else {}
    converted = {"converted_to_srgb_from": item.colour or "several profiles"} if item.to_srgb else {}
    doubted = {"doubts": [asdict(doubt) for doubt in doubts]} if doubts else {}
    return {"source": _sources(item), **developed, **converted, **doubted}


def doubts_of(provenance: Mapping[str, Any]) -> tuple[Problem, ...]:
    """The doubts that frames record of their origin."""
    return tuple(Problem(**doubt) for doubt in provenance.get("doubts", ()))


def _decode(config: PipelineConfig, item: Item) -> Pair:
    """The pixels of an item from its source.

    Raises:
        ItemMissingError: the run works from the archive, which does not hold the item as it is recorded.
        ImageError, StorageError: as `load_pair`.
    """
    if config.from_archive:
        raise ItemMissingError(
            "the archived frames are gone, damaged or of another origin, and the source is not read",
            where=item.key,
            remedy="restore this item from its source, or run `ldp verify --repair`",
        )
    return load_pair(item)


def _load_frames(config: PipelineConfig, state: ItemState) -> None:
    """Read the archived frames of an item; damaged ones are made again from their source."""
    archive, item = Archive(config.archive), state.item
    with _timing(state.seconds, "read"):
        try:
            state.pair, state.digest = archive.read_pair_and_digest(item.key)
        except ItemDamagedError:
            state.pair = _decode(config, item)
            archive.write_pair(state.pair, provenance=provenance_of(item, state.pair.doubts))
            state.digest = archive.read_digest(item.key)


def _read_or_make(config: PipelineConfig, stage: Stage, state: ItemState, *, read: bool) -> None:
    archive, definition, item = Archive(config.archive), stage.definition, state.item.key
    if read:
        try:
            with _timing(state.seconds, "read"):
                found = definition.read(archive, stage, item, input_digest=state.digest)
            state.products[stage.label] = found
            return
        except (ItemDamagedError, ItemMissingError):
            pass
    if state.pair is None:
        raise LdpError("a stage ran before its item was loaded", where=item)
    inputs = {label: state.products[label] for label in stage.inputs}
    with _computing(state.seconds, definition.name):
        product = definition.run(stage, state.pair, inputs)
    with _timing(state.seconds, "write"):
        definition.write(archive, stage, item, product, input_digest=state.digest)
    state.products[stage.label] = product
    state.computed.append(stage.label)


def _render(config: PipelineConfig, pipeline: Pipeline, item: Item) -> dict[str, bytes]:
    archive = Archive(config.archive)
    pair = archive.read_pair(item.key)
    shown = [stage for stage in pipeline.stages if stage.label != SCORE]
    products = {stage.label: stage.definition.read(archive, stage, item.key) for stage in shown}
    beside = {label.partition(":")[2]: found for label, found in products.items() if is_baseline(label)}
    pictures = {stage.definition.picture: products[stage.label] for stage in shown}
    return render_pictures(
        replace(pair, external={**pair.external, **beside}),
        blur_map=products[BLUR],
        restored=products[DEBLUR],
        products={spec: values for spec, values in pictures.items() if spec is not None},
    )


def _sources(item: Item) -> dict[str, dict[str, str | int]]:
    """Address and size of every picture of an item."""
    return {name: {"uri": plain_of(ref.uri), "size_bytes": ref.size_bytes} for name, ref in item.refs.items()}


def _archive_again(config: PipelineConfig, item: Item) -> ItemResult | Failed:
    """Archive the frames of a version that has lost them: its source is as it was."""
    seconds: dict[str, float] = {}
    try:
        with _timing(seconds, "ingest"):
            pair = _decode(config, item)
            Archive(config.archive).write_pair(pair, provenance=provenance_of(item, pair.doubts))
    except ItemConflictError:  # others have archived other content there since
        return ingest_item(config, item, {item.version: ""})
    except Exception as error:
        return quarantined(item.id, "ingest", error)
    return ItemResult(item.id, ("ingest",), (), seconds, pair_digest(pair), item.version, pair.doubts)


def _is_of_origin(record: Mapping[str, Any], item: Item) -> bool:
    """Whether archived frames say the same of their origin as the catalogue."""
    return record["provenance"].get("source") == _sources(item) and _is_read_alike(record, item)


def _is_read_alike(attributes: Mapping[str, Any], item: Item) -> bool:
    """Whether archived pixels were read with the peak, and converted to sRGB or not, as an item is now."""
    archived = attributes.get("peak"), "converted_to_srgb_from" in attributes["provenance"]
    return archived == (peak_below_full_scale(item.peak), item.to_srgb)


@contextmanager
def _timing(seconds: dict[str, float], name: str) -> Iterator[None]:
    begin = perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + perf_counter() - begin


@contextmanager
def _computing(seconds: dict[str, float], name: str) -> Iterator[None]:
    with _COMPUTE:
        torch.set_num_threads(COMPUTING_THREADS)
        with _timing(seconds, name):
            yield
