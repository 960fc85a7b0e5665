"""What a run would do, before anything runs: which items, which stages, how much, how long."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from time import perf_counter

from ldp_core.archive import Archive
from ldp_core.catalogue import read_catalogue
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import BASELINE, Catalogue, Item
from tasks.job import STAGES, Job, Keys, deblurrer_for, estimator_for, keys_of

_MOST_BATCHES = 100
_SMALLEST_BATCH = 8
_PROBE_PX = 320


@dataclass(frozen=True, slots=True)
class Done:
    """Item ids whose frames and results are in the archive already, by stage; of baselines by name.

    An item counts as done by a baseline that does not serve it: nothing is left to compute.
    """

    ingest: frozenset[str]
    blur: frozenset[str]
    deblur: frozenset[str]
    score: frozenset[str]
    baselines: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def stages(self, item_id: str) -> frozenset[str]:
        """Which of blur, deblur, score and the baselines are archived for an item."""
        named = {stage: getattr(self, stage) for stage in STAGES}
        named |= {f"{BASELINE}:{name}": done for name, done in self.baselines.items()}
        return frozenset(stage for stage, done in named.items() if item_id in done)

    @property
    def items(self) -> frozenset[str]:
        """Items for which nothing is left to compute."""
        done = self.ingest & self.blur & self.deblur & self.score
        return done.intersection(*self.baselines.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it runs. ``bytes_out`` is an upper bound, before compression.

    ``keys`` are those of pairs, ``single_keys`` those of items of a single view; None where there are none.
    """

    catalogue: Catalogue
    job: Job
    keys: Keys | None
    done: Done
    bytes_in: int
    bytes_out: int
    single_keys: Keys | None = None

    @property
    def to_do(self) -> tuple[Item, ...]:
        """Items with a stage left to compute."""
        return tuple(item for item in self.catalogue.items if item.id not in self.done.items)

    @property
    def refused(self) -> int:
        """Items the catalogue had to leave out."""
        return sum(problem.refuses_item for problem in self.catalogue.problems)


def make_plan(job: Job, source: str, *, layout: str, dataset: str | None = None) -> Plan:
    """Catalogue a source and compare it with an archive: headers and a listing per stage key, no pixels.

    Raises:
        SettingsError: a method or a setting is unknown.
        CatalogueError: the source cannot be read as a dataset.
    """
    keys_of(job)  # a method that is unknown is refused before anything is read
    catalogue = read_catalogue(source, layout=layout, dataset=dataset)
    pairs, singles = (
        frozenset(i.id for i in catalogue.items if i.has_both_views is w) for w in (True, False)
    )
    keys = keys_of(job) if pairs else None
    single_keys = keys_of(job, single=True) if singles else None
    done = _list_done(Archive(job.archive), [(keys, pairs), (single_keys, singles)])
    missing = [item for item in catalogue.items if item.id not in done.items]
    return Plan(
        catalogue=catalogue,
        job=job,
        keys=keys,
        done=done,
        bytes_in=sum(item.size_bytes for item in missing if item.id not in done.ingest),
        bytes_out=sum(_bytes_out(item, done) for item in missing),
        single_keys=single_keys,
    )


def make_batches(items: Iterable[Item]) -> list[tuple[Item, ...]]:
    """Items in batches: at most a hundred, whatever the size of the dataset."""
    listed = tuple(items)
    size = max(_SMALLEST_BATCH, math.ceil(len(listed) / _MOST_BATCHES))
    return [listed[start : start + size] for start in range(0, len(listed), size)]


def estimate_seconds(plan: Plan, *, processes: int) -> float:
    """Expected seconds of the run's computation: its methods timed on a small simulated pair."""
    seconds = 0.0
    for single in (False, True):
        sizes = (i.left.height * i.left.width for i in plan.to_do if i.has_both_views is not single)
        if pixels := sum(sizes):
            seconds += _seconds_per_pixel(plan.job, single=single) * pixels / processes
    return seconds


def _seconds_per_pixel(job: Job, *, single: bool) -> float:
    job = job.for_views(single=single)
    pair = simulate_pair(0, SimulationSettings(height=_PROBE_PX, width=_PROBE_PX))
    pair = replace(pair, right=None) if single else pair
    estimator = estimator_for(job.estimator)
    deblurrers = [deblurrer_for(method) for method in (job.deblurrer, *job.baselines)]
    begin = perf_counter()
    blur_map = estimator.estimate(pair)
    for deblurrer in deblurrers:
        deblurrer.restore(pair, blur_map)
    return (perf_counter() - begin) / _PROBE_PX**2


def _list_done(archive: Archive, wanted: Sequence[tuple[Keys | None, frozenset[str]]]) -> Done:
    """What is archived of some items, each under the keys that serve it: one listing per key."""
    served = [(keys, ids) for keys, ids in wanted if keys is not None]
    sections = {("frames", "")} | {section for keys, _ in served for section in _sections(keys).values()}
    with ThreadPoolExecutor(len(sections)) as pool:
        listed = zip(sections, pool.map(lambda section: archive.list_items(*section), sections), strict=True)
    found = dict(listed)

    def done(stage: str) -> frozenset[str]:
        parts = (ids & found[_sections(k)[stage]] if stage in _sections(k) else ids for k, ids in served)
        return frozenset().union(*parts)

    names = dict.fromkeys(name for keys, _ in served for name in keys.baselines)
    baselines = {name: done(f"{BASELINE}:{name}") for name in names}
    frames = frozenset(found["frames", ""])
    return Done(frames, done("blur"), done("deblur"), done("score"), baselines)


def _sections(keys: Keys) -> dict[str, tuple[str, str]]:
    """Kind and stage key by the name of the stage."""
    own = {
        "blur": ("blur", keys.blur),
        "deblur": ("restored", keys.restored),
        "score": ("scores", keys.scores),
    }
    return own | {f"{BASELINE}:{name}": ("restored", key) for name, key in keys.baselines.items()}


def _bytes_out(item: Item, done: Done) -> int:
    pixels = item.left.height * item.left.width
    view = pixels * item.left.channels * item.left.bit_depth // 8
    frames = 0 if item.id in done.ingest else item.pictures * view
    blur = 0 if item.id in done.blur else 2 * 4 * pixels
    restored = sum(item.id not in there for there in (done.deblur, *done.baselines.values()))
    return frames + blur + restored * view
