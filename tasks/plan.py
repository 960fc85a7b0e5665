"""What a run would do, before anything runs: which items, which stages, how much, how long."""

from __future__ import annotations

import math
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

from ldp_core.archive import Archive
from ldp_core.catalogue import read_catalogue
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import Catalogue, Item
from tasks.job import STAGES, Job, Keys, deblurrer_for, estimator_for, keys_of

_MOST_BATCHES = 100
_SMALLEST_BATCH = 8
_PROBE_PX = 320


@dataclass(frozen=True, slots=True)
class Done:
    """Item ids whose frames and results are in the archive already, by stage."""

    ingest: frozenset[str]
    blur: frozenset[str]
    deblur: frozenset[str]
    score: frozenset[str]

    def stages(self, item_id: str) -> frozenset[str]:
        """Which of blur, deblur and score are archived for an item."""
        return frozenset(stage for stage in STAGES if item_id in getattr(self, stage))

    @property
    def items(self) -> frozenset[str]:
        """Items for which nothing is left to compute."""
        return self.ingest & self.blur & self.deblur & self.score


@dataclass(frozen=True, slots=True)
class Plan:
    """A run before it runs. ``bytes_out`` is an upper bound, before compression."""

    catalogue: Catalogue
    job: Job
    keys: Keys
    done: Done
    bytes_in: int
    bytes_out: int

    @property
    def to_do(self) -> tuple[Item, ...]:
        """Items with a stage left to compute."""
        return tuple(item for item in self.catalogue.items if item.id not in self.done.items)

    @property
    def refused(self) -> int:
        """Items the catalogue had to leave out."""
        return sum(problem.refuses_item for problem in self.catalogue.problems)


def make_plan(job: Job, source: str, *, layout: str, dataset: str | None = None) -> Plan:
    """Catalogue a source and compare it with an archive: headers and four listings, no pixels.

    Raises:
        SettingsError: a method or a setting is unknown.
        CatalogueError: the source cannot be read as a dataset.
    """
    keys = keys_of(job)
    catalogue = read_catalogue(source, layout=layout, dataset=dataset)
    done = _list_done(Archive(job.archive), keys)
    missing = [item for item in catalogue.items if item.id not in done.items]
    return Plan(
        catalogue=catalogue,
        job=job,
        keys=keys,
        done=done,
        bytes_in=sum(item.size_bytes for item in missing if item.id not in done.ingest),
        bytes_out=sum(_bytes_out(item, done) for item in missing),
    )


def make_batches(items: Iterable[Item]) -> list[tuple[Item, ...]]:
    """Items in batches: at most a hundred, whatever the size of the dataset."""
    listed = tuple(items)
    size = max(_SMALLEST_BATCH, math.ceil(len(listed) / _MOST_BATCHES))
    return [listed[start : start + size] for start in range(0, len(listed), size)]


def estimate_seconds(plan: Plan, *, processes: int) -> float:
    """Expected seconds of the run's computation: both methods timed on a small simulated pair."""
    pixels = sum(item.left.height * item.left.width for item in plan.to_do)
    return _seconds_per_pixel(plan.job) * pixels / processes if pixels else 0.0


def _seconds_per_pixel(job: Job) -> float:
    pair = simulate_pair(0, SimulationSettings(height=_PROBE_PX, width=_PROBE_PX))
    estimator, deblurrer = estimator_for(job.estimator), deblurrer_for(job.deblurrer)
    begin = perf_counter()
    deblurrer.restore(pair, estimator.estimate(pair))
    return (perf_counter() - begin) / _PROBE_PX**2


def _list_done(archive: Archive, keys: Keys) -> Done:
    wanted = (("frames", ""), ("blur", keys.blur), ("restored", keys.restored), ("scores", keys.scores))
    with ThreadPoolExecutor(len(wanted)) as pool:
        found = pool.map(lambda pair: frozenset(archive.list_items(*pair)), wanted)
    return Done(*found)


def _bytes_out(item: Item, done: Done) -> int:
    pixels = item.left.height * item.left.width
    view = pixels * item.left.channels * item.left.bit_depth // 8
    views = 2 + (item.target is not None) + len(item.peers)
    frames = 0 if item.id in done.ingest else views * view
    blur = 0 if item.id in done.blur else 2 * 4 * pixels
    return frames + blur + (0 if item.id in done.deblur else view)
