"""What a run asks of its stores and what that costs: requests, objects and bytes, as planned and as counted.

The rules follow what is asked of a store for each item (``infra/docs/object-storage.md``); a test compares
them with the requests that an S3 server gets. Bytes are an upper bound, before compression.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import nlargest
from pathlib import Path
from typing import Final

from pydantic import Field

from ldp_core.archive import ArchiveKind, Section
from ldp_core.archive.layout import FRAME_SECTION, TRUTHS
from ldp_core.errors import SettingsError
from ldp_core.settings import Settings
from ldp_core.storage import read_bytes
from ldp_core.traffic import NO_TRAFFIC, PAGE_KEYS, Traffic
from ldp_core.types import Item
from tasks.heartbeat import HEARTBEAT_S
from tasks.pipeline import Pipeline, pipeline_for
from tasks.plan import Plan, view_bytes
from tasks.stage import Stage
from tasks.stages import SCORE, is_baseline

_HEADER_BYTES: Final = 4096
"""Of a picture whose header is read: the block in which most lie (`ldp_core.images.files`)."""
_ARRAY: Final = Traffic(puts=2, heads=1)
"""Chunk and metadata, and a look whether another writer came between."""
_DOCUMENT: Final = Traffic(puts=1, gets=1)
_RECORD: Final = Traffic(puts=10, gets=4)
"""run.json, catalogue, sign of life; scores, items, quarantine, digests, summary; the page and its data."""
_PAGE: Final = Traffic(puts=2, gets=3)
"""Of an item with pictures: colours of its map brought to the scale of all, and what its map holds."""
_THUMBNAILS, _FILES_OF_MAP = 2, 3
"""Of input and restoration; a picture, a thumbnail and a digest."""


class Prices(Settings):
    """What requests, bytes and computing cost, in ``currency``; each is an assumption (``prices.toml``)."""

    currency: str = Field(min_length=1, max_length=8)
    put_per_million: float = Field(ge=0)
    list_per_million: float = Field(ge=0)
    get_per_million: float = Field(ge=0)
    in_per_gb: float = Field(ge=0)
    out_per_gb: float = Field(ge=0)
    storage_per_tb_month: float = Field(ge=0)
    core_hour: float = Field(ge=0)


@dataclass(frozen=True, slots=True)
class Cost:
    """What something costs once, and what keeping its bytes costs a month, in ``currency``."""

    currency: str
    requests: float
    transfer: float
    computing: float
    storage_a_month: float

    @property
    def once(self) -> float:
        """Requests, transfer and computing together."""
        return self.requests + self.transfer + self.computing


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is expected to ask for; ``objects`` are those that are new afterwards."""

    traffic: Traffic
    objects: int


@cache
def _shipped() -> dict[str, object]:
    return tomllib.loads(Path(__file__).with_name("prices.toml").read_text())


def read_prices(address: str | None = None) -> Prices:
    """The prices that come with the package, or those of a file where it has others.

    Raises:
        SettingsError: the file is no TOML, or a price is unknown or no number.
        ObjectMissingError: there is no such file.
    """
    if address is None:
        return Prices.parse(_shipped())
    try:
        own = tomllib.loads(read_bytes(address).decode("utf-8-sig"))
    except ValueError as error:
        raise SettingsError("this is no TOML", where=address, got=str(error)) from error
    return Prices.parse({**_shipped(), **own})


def price(traffic: Traffic, prices: Prices, *, core_seconds: float = 0.0) -> Cost:
    """What requests, bytes and computing cost."""
    puts, lists = traffic.puts * prices.put_per_million, traffic.lists * prices.list_per_million
    others = (traffic.gets + traffic.heads) * prices.get_per_million
    transfer = traffic.bytes_in * prices.in_per_gb + traffic.bytes_out * prices.out_per_gb
    return Cost(
        prices.currency,
        requests=(puts + lists + others) / 1e6,
        transfer=transfer / 1e9,
        computing=core_seconds / 3600 * prices.core_hour,
        storage_a_month=traffic.bytes_out * prices.storage_per_tb_month / 1e12,
    )


def estimate_traffic(plan: Plan, *, report_items: int = 200, seconds: float = 0.0) -> Estimate:
    """What a run asks for from its plan to its end, of which ``seconds`` are the wall clock of the run."""
    items, to_do = plan.catalogue.items, plan.to_do
    drawn = nlargest(report_items, items, key=view_bytes)
    asked = _plan_traffic(plan) + sum((_item_traffic(plan, item) for item in to_do), NO_TRAFFIC)
    done = len(items) - len(to_do)
    asked += Traffic(gets=2 * done if plan.recorded is None else 0)
    asked += sum((_drawing(plan, item) for item in drawn), NO_TRAFFIC)
    groups, beats = _count_groups(plan), int(seconds / HEARTBEAT_S)
    made = groups if not plan.completed.frames else 0
    asked += _RECORD + Traffic(gets=groups, puts=made + beats)
    return Estimate(asked, objects=asked.puts - beats - len(drawn) * _PAGE.puts)


def _plan_traffic(plan: Plan) -> Traffic:
    """The catalogue and the plan: listings, and headers of pictures that no record knows."""
    archived = (plan.completed.frames, *plan.completed.products.values())
    pictures = sum(len(item.refs) for item in plan.catalogue.items)
    listed = 0 if plan.config.from_archive else 1 + pictures // PAGE_KEYS
    lists = listed + 1 + sum(1 + 2 * len(keys) // PAGE_KEYS for keys in archived)
    sizes = [ref.size_bytes for item in _probed(plan) for ref in item.refs.values()]
    return Traffic(gets=len(sizes), lists=lists, bytes_in=sum(min(size, _HEADER_BYTES) for size in sizes))


def _probed(plan: Plan) -> Iterable[Item]:
    """Items whose headers are read: none of those that the last run recorded, and that are unchanged."""
    if plan.config.from_archive:
        return ()
    if plan.recorded is None:
        return plan.catalogue.items
    known = plan.recorded.found.keys() - plan.sources.suspects.keys()
    return (item for item in plan.catalogue.items if item.id not in known)


def _item_traffic(plan: Plan, item: Item) -> Traffic:
    """Frames, and every product that is missing; what is there is read."""
    pipeline = pipeline_for(plan.config, item)
    archived = item.key in plan.completed.frames and item.id not in plan.sources.suspects
    labels = plan.completed.labels(pipeline, item) if archived else frozenset()
    asked = Traffic(gets=1) if archived else _ingest(item)
    asked += _read_frames(item)
    for stage in pipeline.stages:
        kinds = stage.definition.kinds
        if stage.label in labels:
            asked += sum(map(_reading, kinds), NO_TRAFFIC)
        else:
            asked += Traffic(gets=1, bytes_out=stage.definition.bytes_out(item))
            asked += sum(((_DOCUMENT if kind.is_document else _ARRAY) for kind in kinds), NO_TRAFFIC)
    return asked


def _ingest(item: Item) -> Traffic:
    """Every picture once; frames and a measured map, after a look whether they are there."""
    arrays = 1 + (item.blur_truth is not None)
    asked = Traffic(gets=len(item.refs) + arrays, bytes_in=item.size_bytes, bytes_out=_frame_bytes(item))
    return asked + sum([_ARRAY] * arrays, NO_TRAFFIC)


def _read_frames(item: Item) -> Traffic:
    arrays = 1 + (item.blur_truth is not None)
    return Traffic(gets=2 * arrays, bytes_in=_frame_bytes(item))


def _drawing(plan: Plan, item: Item) -> Traffic:
    """The pictures of an item in the report, from the archive."""
    stages = [stage for stage in pipeline_for(plan.config, item).stages if stage.label != SCORE]
    read = sum((_reading(kind) for stage in stages for kind in stage.definition.kinds), NO_TRAFFIC)
    bytes_in = sum(stage.definition.bytes_out(item) for stage in stages)
    pictures = _count_pictures(item, stages)
    drawn = Traffic(puts=pictures, bytes_in=bytes_in, bytes_out=pictures * 3 * view_bytes(item))
    return _PAGE + _read_frames(item) + read + drawn


def _count_pictures(item: Item, stages: Sequence[Stage]) -> int:
    labels = [stage.label for stage in stages]
    baselines = sum(map(is_baseline, labels))
    photographs = (2 if item.has_both_views else 0) + 2 + (item.target is not None) + len(item.external)
    maps = sum(stage.definition.picture is not None for stage in stages) + 1
    truth = int(item.blur_truth is not None)
    return photographs + baselines + _THUMBNAILS + _FILES_OF_MAP * maps + truth


def _reading(kind: ArchiveKind) -> Traffic:
    return Traffic(gets=1 if kind.is_document else 2)


def _frame_bytes(item: Item) -> int:
    measured = 4 * item.left.width * item.left.height if item.blur_truth is not None else 0
    return item.pictures * view_bytes(item) + measured


def _count_groups(plan: Plan) -> int:
    """Zarr groups above the entries of a run: the archive, kinds, stage keys, and folders of ids in each."""
    items = plan.catalogue.items
    sections: set[Section] = {FRAME_SECTION}
    sections |= {TRUTHS} if any(item.blur_truth for item in items) else set()
    sections |= {one for p in plan.pipelines.values() for one in _sections_of(p) if not one.kind.is_document}
    folders = {item.id.rpartition("/")[0] for item in items}
    parents = {folder[:at] for folder in folders for at in _ends(folder)}
    kinds, keyed = {section.kind for section in sections}, sum(bool(s.stage_key) for s in sections)
    return 1 + len(kinds) + keyed + len(sections) * len(parents)


def _sections_of(pipeline: Pipeline) -> Iterable[Section]:
    return (section for stage in pipeline.stages for section in stage.sections)


def _ends(folder: str) -> Iterable[int]:
    return (at for at in range(1, len(folder) + 1) if at == len(folder) or folder[at] == "/")
