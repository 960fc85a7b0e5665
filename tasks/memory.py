"""What an item needs of a worker's memory, declared before a run; plans that would not fit are refused.

A worker computes one item at a time while its other threads read and write others. What it needs at
most is its program, the working memory of the stage that takes most for the largest item, and the
frames of the items beside it. The coefficients of the default methods cover what a pair of 15 megapixels
took (``infra/benchmarks/large_image.py``), those of wiener and of scoring are counted from the arrays they
hold; methods of single views are taken to need what `ldp` does, other methods `_UNMEASURED`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ldp_core.errors import MemoryShortError
from ldp_core.types import Item
from tasks.cluster import THREADS_PER_WORKER, Workers, usable_bytes
from tasks.job import Job

_PROGRAM_BYTES = 700 * 2**20
_COPIES_OF_FRAMES = 4
"""Of an item that is read, verified and written: encoded, decoded, stacked."""
_RESULT_BYTES_PER_PIXEL = 8 + 6
"""Blur map, confidence, restored image at 16 bit."""
_BASELINE_BYTES_PER_PIXEL = 6
_SHIFT_SEARCH_BYTES_PER_PIXEL = 240
_NAMED = 3


@dataclass(frozen=True, slots=True)
class _Appetite:
    """Working memory of a method: bytes for each pixel, and for each of a tile's, of which it has no more."""

    per_pixel: int
    per_tile_pixel: int = 0
    tile_pixels: int = 0

    def bytes_for(self, pixels: int) -> int:
        return self.per_pixel * pixels + self.per_tile_pixel * min(pixels, self.tile_pixels)


_SCORE = _Appetite(40, 500, 2_000_000)
_TILED_NETWORK = _Appetite(200, 1500, 640**2)
_ESTIMATORS = {"disparity": _Appetite(110), "depth-distilled": _TILED_NETWORK}
_DEBLURRERS = {"wiener": _Appetite(60, 1500, 640**2), "ldp": _TILED_NETWORK, "bdir": _TILED_NETWORK}
_UNMEASURED = _Appetite(250)


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that a worker needs, its program included, while it computes this item."""

    item_id: str
    width: int
    height: int
    bytes: int


def declare_memory(items: Iterable[Item], job: Job) -> tuple[MemoryNeed, ...]:
    """What each item needs, most first, while others as large as the largest are in the worker with it."""
    listed = tuple(items)
    others = min(THREADS_PER_WORKER, len(listed)) - 1
    beside = others * max(map(_handling_bytes, listed), default=0)
    needs = [
        MemoryNeed(item.id, item.left.width, item.left.height, beside + _bytes_for(item, job))
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
        raise MemoryShortError(
            f"{len(too_large)} of the items need more memory than a worker has",
            where=", ".join(map(_name, too_large[:_NAMED])) + (" ..." if too_large[_NAMED:] else ""),
            expected=f"at most {_show(allowed)}, of {_show(workers.memory_bytes)} of a worker",
            got=_show(too_large[0].bytes),
            remedy=_suggest(too_large[0].bytes, workers),
        )


def _bytes_for(item: Item, job: Job) -> int:
    pixels, job = _pixels(item), job.for_item(item)
    deblurrers = (job.deblurrer, *job.baselines)
    stages = (
        _ESTIMATORS.get(job.estimator.name, _UNMEASURED),
        *(_DEBLURRERS.get(method.name, _UNMEASURED) for method in deblurrers),
        _SCORE if item.aligned else _Appetite(_SCORE.per_pixel + _SHIFT_SEARCH_BYTES_PER_PIXEL),
    )
    computing = max(stage.bytes_for(pixels) for stage in stages)
    results = (_RESULT_BYTES_PER_PIXEL + _BASELINE_BYTES_PER_PIXEL * len(job.baselines)) * pixels
    return _PROGRAM_BYTES + _handling_bytes(item) + results + computing


def _handling_bytes(item: Item) -> int:
    picture_bytes = _pixels(item) * item.left.channels * item.left.bit_depth // 8
    return _COPIES_OF_FRAMES * item.pictures * picture_bytes


def _suggest(needed: int, workers: Workers) -> str:
    total = workers.processes * usable_bytes(workers.memory_bytes)
    if workers.embedded and total >= needed:
        return f"take fewer workers, each has more memory then: --workers {total // needed}"
    where = "a machine" if workers.embedded else "workers (dask worker --memory-limit)"
    return f"take {where} with more memory, or leave these items out"


def _pixels(item: Item) -> int:
    return item.left.width * item.left.height


def _name(need: MemoryNeed) -> str:
    return f"{need.item_id} ({need.width}x{need.height})"


def _show(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
