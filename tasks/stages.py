"""What a worker does for one item: small importable functions, chained by futures.

``ingest`` is a visit of its own. ``load -> blur -> deblur -> score`` hand one :class:`Work` from stage to
stage in the worker's memory, with the methods that serve its item (`Job.for_item`); each stage persists
its result before it returns. A fault never leaves a stage as an exception: it becomes a
:class:`Failed`, which the following stages pass on.

One computation at a time runs in a worker process, while its other threads read and write.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial, wraps
from time import perf_counter
from typing import TypeVar

import torch

from ldp_core.archive import Archive
from ldp_core.catalogue import load_pair
from ldp_core.errors import ItemConflictError, ItemDamagedError, ItemMissingError, LdpError
from ldp_core.metrics import score_item
from ldp_core.report import picture_paths, render_pictures
from ldp_core.storage import join, write_bytes
from ldp_core.types import BASELINE, BlurMap, Item, Pair, Pixels, QuarantineRecord, Score, StageSpec
from tasks.job import (
    STAGES,
    Job,
    Keys,
    Method,
    all_stages,
    deblurrer_for,
    estimator_for,
    keys_of,
    measuring_for,
    stages_of,
    works_on_one_view,
)

T = TypeVar("T")

_COMPUTE = threading.Semaphore(1)


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that is set aside, and why."""

    record: QuarantineRecord


@dataclass(frozen=True, slots=True)
class Work:
    """An item on its way through the stages. ``done`` names the stages whose result is archived.

    ``digest`` is that of the archived frames: results are bound to it when written and when read.
    """

    item: Item
    done: frozenset[str] = frozenset()
    digest: str = ""
    pair: Pair | None = None
    blur_map: BlurMap | None = None
    restored: Pixels | None = None
    baselines: Mapping[str, Pixels] = field(default_factory=dict)
    scores: tuple[Score, ...] = ()
    computed: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the coordinator hears of an item: its scores, where its time went, which stages computed.

    ``digest`` is that of its archived frames, where they were read.
    """

    item_id: str
    computed: tuple[str, ...]
    scores: tuple[Score, ...]
    seconds: dict[str, float]
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """Pictures of an item that lie in a report: names, and paths relative to the report."""

    item_id: str
    pictures: dict[str, str]


Step = Callable[[Job, Work], Work]
Stage = Callable[[Job, Work | Failed], Work | Failed]


def ingest_item(job: Job, item: Item) -> Outcome | Failed:
    """Decode an item from its source and archive its frames."""
    seconds: dict[str, float] = {}
    try:
        with _timing(seconds, "ingest"):
            pair = load_pair(item)
            Archive(job.archive).write_pair(pair, provenance=provenance_of(item))
    except Exception as error:
        return _failed(item.id, "ingest", error)
    return Outcome(item.id, ("ingest",), (), seconds)


def confirm_item(job: Job, item: Item) -> Outcome | Failed:
    """Make sure that the archived frames of an item are those of its source, by address and size.

    Frames that have gone since they were listed are archived again.
    """
    seconds: dict[str, float] = {}
    try:
        with _timing(seconds, "ingest"):
            _refuse_changed(job, item)
    except ItemMissingError:
        return ingest_item(job, item)
    except Exception as error:
        return _failed(item.id, "ingest", error)
    return Outcome(item.id, (), (), seconds)


def _stage(name: str) -> Callable[[Step], Stage]:
    def decorate(step: Step) -> Stage:
        @wraps(step)
        def run(job: Job, work: Work | Failed) -> Work | Failed:
            if isinstance(work, Failed):
                return work
            try:
                return step(job.for_item(work.item), work)
            except Exception as error:
                return _failed(work.item.id, name, error)

        return run

    return decorate


@_stage("load")
def load_item(job: Job, work: Work) -> Work:
    """Read the archived frames of an item; damaged ones are mended from their source."""
    archive = Archive(job.archive)
    with _timing(work.seconds, "read"):
        try:
            pair, digest = archive.read_pair_and_digest(work.item.id)
        except ItemDamagedError:
            pair = load_pair(work.item)
            archive.write_pair(pair, provenance=provenance_of(work.item))
            digest = archive.read_digest(work.item.id)
        return replace(work, pair=pair, digest=digest)


@_stage("blur")
def blur_item(job: Job, work: Work) -> Work:
    """Estimate the blur map, or read it where it is archived."""
    archive, key = Archive(job.archive), _keys(job).blur
    if found := _recall(work, "blur", partial(archive.read_blur_map, key)):
        return replace(work, blur_map=found)
    with _computing(job, work.seconds, "blur"):
        blur_map = estimator_for(job.estimator).estimate(_pair(work))
    with _timing(work.seconds, "write"):
        archive.write_blur_map(key, work.item.id, blur_map, spec=_stages(job)[0], input_digest=work.digest)
    return replace(work, blur_map=blur_map, computed=(*work.computed, "blur"))


@_stage("deblur")
def deblur_item(job: Job, work: Work) -> Work:
    """Restore the all-in-focus image, or read it where it is archived."""
    archive, key = Archive(job.archive), _keys(job).restored
    found = _recall(work, "deblur", partial(archive.read_restored, key))
    if found is not None:
        return replace(work, restored=found)
    with _computing(job, work.seconds, "deblur"):
        restored = deblurrer_for(job.deblurrer).restore(_pair(work), work.blur_map)
    with _timing(work.seconds, "write"):
        archive.write_restored(key, work.item.id, restored, spec=_stages(job)[1], input_digest=work.digest)
    return replace(work, restored=restored, computed=(*work.computed, "deblur"))


@_stage(BASELINE)
def restore_baselines(job: Job, work: Work) -> Work:
    """Restore an item by the baselines as well, or read what is archived of that."""
    specs = dict(zip(_keys(job).baselines, _stages(job)[len(STAGES) :], strict=True))
    for method in job.baselines:
        work = _restore_baseline(job, work, method, specs[method.name])
    return work


def _restore_baseline(job: Job, work: Work, method: Method, spec: StageSpec) -> Work:
    archive, key = Archive(job.archive), _keys(job).baselines[method.name]
    stage = f"{BASELINE}:{method.name}"
    restored, computed = _recall(work, stage, partial(archive.read_restored, key)), work.computed
    if restored is None:
        blur_map = None if works_on_one_view(method) else work.blur_map
        with _computing(job, work.seconds, BASELINE):
            restored = deblurrer_for(method).restore(_pair(work), blur_map)
        with _timing(work.seconds, "write"):
            archive.write_restored(key, work.item.id, restored, spec=spec, input_digest=work.digest)
        computed = (*computed, stage)
    return replace(work, baselines={**work.baselines, method.name: restored}, computed=computed)


@_stage("score")
def score_work(job: Job, work: Work) -> Work:
    """Score the restored image and the blur map, or read the scores where they are archived."""
    archive, key = Archive(job.archive), _keys(job).scores
    found = _recall(work, "score", partial(archive.read_scores, key))
    if found is not None:
        return replace(work, scores=tuple(found))
    with _computing(job, work.seconds, "score"):
        pair, measuring = _pair(work), measuring_for(job)
        scores = score_item(
            pair,
            restored=work.restored,
            blur_map=work.blur_map,
            baselines=work.baselines,
            measured=estimator_for(measuring).estimate(pair) if measuring else None,
        )
    with _timing(work.seconds, "write"):
        archive.write_scores(key, work.item.id, scores, spec=_stages(job)[2], input_digest=work.digest)
    return replace(work, scores=tuple(scores), computed=(*work.computed, "score"))


def conclude_item(work: Work | Failed) -> Outcome | Failed:
    """The small record of an item that reaches the coordinator; its arrays stay behind."""
    if isinstance(work, Failed):
        return work
    return Outcome(work.item.id, work.computed, work.scores, work.seconds, work.digest)


def recall_item(job: Job, item: Item) -> Outcome | Failed:
    """The record of an item whose every stage is archived; where its scores are damaged, all is redone."""
    try:
        key = _keys(job.for_item(item)).scores
        digest = Archive(job.archive).read_digest(item.id)
        scores = Archive(job.archive).read_scores(key, item.id, input_digest=digest)
    except (ItemDamagedError, ItemMissingError):
        return restore_item(job, Work(item, all_stages(job)))
    except Exception as error:
        return _failed(item.id, "load", error)
    return Outcome(item.id, (), tuple(scores), {}, digest)


def restore_item(job: Job, work: Work) -> Outcome | Failed:
    """All stages of an item in one go, where they need not be futures of their own."""
    passed: Work | Failed = work
    for stage in chain_of(job):
        passed = stage(job, passed)
    return conclude_item(passed)


def draw_item(job: Job, report_url: str, item: Item) -> Drawn | Failed:
    """Write the pictures of an item into a report; results found damaged are made again first."""
    try:
        try:
            pictures = _render(job, item)
        except (ItemDamagedError, ItemMissingError):
            restore_item(job, Work(item, all_stages(job)))
            pictures = _render(job, item)
        paths = picture_paths(item.id, pictures)
        for name, content in pictures.items():
            write_bytes(join(report_url, paths[name]), content)
    except Exception as error:
        return _failed(item.id, "report", error)
    return Drawn(item.id, paths)


CHAIN: tuple[Stage, ...] = (load_item, blur_item, deblur_item, score_work)
"""The stages of an item, in order, where there are no baselines."""


def chain_of(job: Job) -> tuple[Stage, ...]:
    """The stages that an item goes through; baselines just before the scores."""
    return (*CHAIN[:-1], restore_baselines, CHAIN[-1]) if job.baselines else CHAIN


def _recall(work: Work, stage: str, read: Callable[..., T]) -> T | None:
    """The archived result of a stage; None where there is none or it is damaged, and so to be made."""
    if stage not in work.done:
        return None
    try:
        with _timing(work.seconds, "read"):
            return read(work.item.id, input_digest=work.digest)
    except (ItemDamagedError, ItemMissingError):
        return None


def _render(job: Job, item: Item) -> dict[str, bytes]:
    archive, keys = Archive(job.archive), _keys(job.for_item(item))
    pair = archive.read_pair(item.id)
    baselines = {name: archive.read_restored(key, item.id) for name, key in keys.baselines.items()}
    return render_pictures(
        replace(pair, external={**pair.external, **baselines}),
        blur_map=archive.read_blur_map(keys.blur, item.id),
        restored=archive.read_restored(keys.restored, item.id),
    )


def _pair(work: Work) -> Pair:
    if work.pair is None:
        raise LdpError("a stage ran before its item was loaded", where=work.item.id)
    return work.pair


def provenance_of(item: Item) -> dict[str, object]:
    """What the frames of an item record of their origin."""
    developed = {"development": item.development} if item.development else {}
    return {"source": _sources(item), **developed}


def _sources(item: Item) -> dict[str, dict[str, str | int]]:
    """Address and size of every picture of an item."""
    refs = {"left": item.left, "right": item.right, "target": item.target, "truth": item.blur_truth}
    named = refs | {f"peer:{name}": ref for name, ref in item.external.items()}
    named |= {f"auxiliary:{name}": ref for name, ref in item.auxiliary.items()}
    return {name: {"uri": r.uri, "size_bytes": r.size_bytes} for name, r in named.items() if r is not None}


def _refuse_changed(job: Job, item: Item) -> None:
    recorded = Archive(job.archive).read_attributes("frames", "", item.id)["provenance"].get("source")
    sizes = {name: ref["size_bytes"] for name, ref in _sources(item).items()}
    archived = {name: ref["size_bytes"] for name, ref in (recorded or {}).items()}
    if sizes != archived:
        raise ItemConflictError(
            "the source has changed since this item was archived",
            where=item.id,
            expected=f"pictures of {archived} bytes",
            got=f"{sizes}",
            remedy="archive the changed source under another --dataset name; nothing is overwritten",
        )


@lru_cache(maxsize=8)
def _keys(job: Job) -> Keys:
    return keys_of(job)


@lru_cache(maxsize=8)
def _stages(job: Job) -> tuple[StageSpec, ...]:
    return stages_of(job)


@contextmanager
def _timing(seconds: dict[str, float], name: str) -> Iterator[None]:
    begin = perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + perf_counter() - begin


@contextmanager
def _computing(job: Job, seconds: dict[str, float], name: str) -> Iterator[None]:
    with _COMPUTE:
        if job.torch_threads:
            torch.set_num_threads(job.torch_threads)
        with _timing(seconds, name):
            yield


def _failed(item_id: str, stage: str, error: Exception) -> Failed:
    if isinstance(error, LdpError):
        facts = (("where", error.where), ("expected", error.expected), ("got", error.got))
        message = "; ".join([error.what, *(f"{name} {text}" for name, text in facts if text)])
        return Failed(QuarantineRecord(item_id, stage, error.kind, message, error.remedy))
    message = f"{type(error).__name__}: {error}"
    return Failed(QuarantineRecord(item_id, stage, "unexpected", message, "report this as a defect"))
