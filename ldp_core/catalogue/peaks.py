"""Which value of a 16-bit picture is full scale, where neither its file nor its user says so.

Sensors give 10, 12 or 14 bit, and many programs store them in 16-bit files as they are. Read as full range
such a picture is nearly black, and scores of it mean nothing. Its values end at 2^k - 1, and where anything
is overexposed, many are equal there. Both together stop a run; low values alone are only reported, as dark
scenes have them too.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ldp_core.catalogue.pairing import LEFT, RIGHT, TARGET
from ldp_core.errors import CatalogueError, ImageError, PeakUnnamedError, StorageError, count_of
from ldp_core.images import PictureTraits, read_picture
from ldp_core.images.scale import FULL_SCALE
from ldp_core.types import Catalogue, ImageRef, Item, Pixels, Problem

UNNAMED: Final = "peak_unnamed"
LOW_VALUES: Final = "low_values"
_BITS: Final = range(8, 16)
_SAMPLE_ITEMS: Final = 8
_SAMPLE_BYTES: Final = 2**28  # encoded, so that eight large pictures on a slow store do not hold up a plan

_HOT_SHARE: Final = 1e-4  # of values that may lie above: hot pixels, dust of a scan
_JUST_UNDER: Final = 1 / 64  # below 2^k - 1: a sensor may saturate a little earlier
_LEAST_PILE: Final = 64  # equal values: fewer are a lamp or noise
_PILE_OVER_NEIGHBOURS: Final = 8.0  # times as many as of the values just below it; smooth tails have 1
_LOW: Final = 2**14 - 1
_BAND_ROWS: Final = 256

Histogram = NDArray[np.int64]
Ceilings = tuple[int | None, ...]
"""What the headers of an item's pictures name as values that none exceeds; None where one names nothing."""


@dataclass(slots=True)
class _Sample:
    """Histograms of pictures of some items by role."""

    histograms: dict[str, Histogram] = field(default_factory=dict)

    def add(self, role: str, pixels: Pixels) -> None:
        found = count_values(pixels)
        self.histograms[role] = self.histograms[role] + found if role in self.histograms else found


def count_values(pixels: Pixels) -> Histogram:
    """How many pixels have each of the 65536 values of uint16."""
    counts = np.zeros(FULL_SCALE + 1, np.int64)
    for start in range(0, len(pixels), _BAND_ROWS):  # bincount takes eight bytes a value
        counts += np.bincount(pixels[start : start + _BAND_ROWS].ravel(), minlength=FULL_SCALE + 1)
    return counts


def find_ceiling(counts: Histogram) -> int | None:
    """2^k - 1, k = 8 .. 15, where the 99.99th percentile lies at or just under it and values pile up there.

    A pile is what clipping leaves: one value far more often than those just below it.
    """
    brightest = _percentile(counts)
    ceiling = _round_up(brightest)
    if ceiling is None or brightest < ceiling * (1 - _JUST_UNDER):
        return None
    width = max(8, ceiling // 64)
    below = counts[max(0, brightest - width) : brightest]
    pile = int(counts[brightest])
    # The tail of a dark frame on a pedestal just below may be far above the mean, never above its mode.
    least = max(_LEAST_PILE, _HOT_SHARE * counts.sum(), _PILE_OVER_NEIGHBOURS * below.mean(), below.max())
    return ceiling if pile > least else None


def find_unnamed_ceiling(views: Iterable[Pixels]) -> int | None:
    """The ceiling that all these 16-bit pictures share; None where they have none, or different ones.

    Cheap where a picture is bright: its histogram is taken only where next to nothing is above half scale.
    """
    shared: int | None = None
    for pixels in views:
        if np.count_nonzero(pixels > FULL_SCALE // 2) > _HOT_SHARE * pixels.size:
            return None
        found = find_ceiling(count_values(pixels))
        if found is None or found != (shared or found):
            return None
        shared = found
    return shared


def settle_peaks(
    catalogue: Catalogue, ceilings: Mapping[str, Ceilings], *, named: Iterable[str] = ()
) -> Catalogue:
    """The catalogue with the peaks that headers and a sample of its pictures tell, and problems.

    ``ceilings`` are those of items, by id, whose headers name any; ``named`` are ids of items whose peak
    their user has named. Up to eight items of each kind are read. A ceiling of a header holds where no
    sampled value exceeds it and values are not spread over full range; else it is that of the standard (PNG:
    scaled already) or the maximum of a picture, and says nothing.
    """
    known = {*named}
    groups: dict[Ceilings, list[Item]] = defaultdict(list)
    for item in catalogue.items:
        if _may_be_asked(item) and item.id not in known:
            groups[ceilings.get(item.id, ())].append(item)
    peaks: dict[str, int] = {}
    problems: list[Problem] = []
    for of_headers, items in groups.items():
        declared = {ceiling for ceiling in of_headers if ceiling is not None}
        if declared and _hold(sample := _read_sample(items, declared=True), declared):
            if len({*of_headers}) == 1:
                peaks |= {item.id: max(declared) for item in items}
            else:
                problems += [_mixed(item, of_headers) for item in items]
        elif not declared:
            sample = _read_sample(items, declared=False)
            problems += _judge(sample, source=catalogue.source, count=min(len(items), _SAMPLE_ITEMS))
    refused = {problem.where for problem in problems if problem.refuses_item}
    return replace(
        catalogue,
        items=tuple(
            replace(item, peak=peaks[item.id]) if item.id in peaks else item
            for item in catalogue.items
            if item.left.uri not in refused
        ),
        problems=(*catalogue.problems, *problems),
    )


def require_named_peak(catalogue: Catalogue) -> None:
    """Stop before anything is computed where the values of a dataset end at 2^k - 1 and nobody named a peak.

    Raises:
        PeakUnnamedError: as above.
    """
    for problem in catalogue.problems:
        if problem.kind == UNNAMED:
            raise PeakUnnamedError(problem.message, where=problem.where, remedy=problem.remedy)


def apply_named_peak(catalogue: Catalogue, peak: int) -> tuple[Catalogue, frozenset[str]]:
    """The catalogue with a peak for all items of 16 bit that are not developed, and their ids.

    Raises:
        CatalogueError: there is none.
    """
    concerned = frozenset(item.id for item in catalogue.items if _is_16_bit(item))
    if not concerned:
        raise CatalogueError(
            "no item of this dataset has a peak to be named",
            where=catalogue.source,
            expected="pictures of 16 bit that are not developed by their layout",
            got=f"{count_of(len(catalogue.items), 'item')} without",
            remedy="leave --peak out",
        )
    items = (replace(item, peak=peak) if item.id in concerned else item for item in catalogue.items)
    return replace(catalogue, items=tuple(items)), concerned


def describe_ceiling(ceiling: int) -> str:
    """What is wrong, in one sentence."""
    bits = (ceiling + 1).bit_length() - 1
    return f"values end at {ceiling} and pile up there, as values of {bits} bit in 16-bit files do"


def ceiling_remedy(ceiling: int) -> str:
    """What to do about it."""
    return f"name full scale: --peak {ceiling}, or --peak full where it is {FULL_SCALE}"


def _is_16_bit(item: Item) -> bool:
    return item.left.bit_depth == 16 and not item.development


def _may_be_asked(item: Item) -> bool:
    return _is_16_bit(item) and item.peak is None


def _read_sample(items: list[Item], *, declared: bool) -> _Sample:
    """Pictures of up to eight items, drawn at random but the same each time; bad ones are left out.

    ``declared``: only pictures whose header names a ceiling; else those whose format leaves the peak open.
    """
    drawn = random.Random(0).sample(items, min(len(items), _SAMPLE_ITEMS))
    sample, size = _Sample(), 0
    for item in drawn:
        for role, ref in _views(item):
            if size > _SAMPLE_BYTES:
                return sample
            size += ref.size_bytes
            try:
                found = read_picture(ref.uri, size_bytes=ref.size_bytes)
            except (ImageError, StorageError):
                continue  # it is quarantined when its turn comes
            if found.pixels.dtype == np.uint16 and _is_wanted(found.traits, declared=declared):
                sample.add(role, found.pixels)
    return sample


def _is_wanted(traits: PictureTraits, *, declared: bool) -> bool:
    return traits.ceiling is not None if declared else traits.peak is None


def _views(item: Item) -> Iterator[tuple[str, ImageRef]]:
    for role, ref in ((LEFT, item.left), (RIGHT, item.right), (TARGET, item.target)):
        if ref is not None:
            yield role, ref


def _judge(sample: _Sample, *, source: str, count: int) -> Iterator[Problem]:
    """At most one problem for a dataset, of the first role that tells one; a ceiling before low values."""
    told = [(role, find_ceiling(counts)) for role, counts in sample.histograms.items()]
    for role, ceiling in told:
        if ceiling is not None:
            message = f"in {count_of(count, 'item')} looked at, {role}: {describe_ceiling(ceiling)}"
            yield Problem(source, UNNAMED, message, ceiling_remedy(ceiling), refuses_item=False)
            return
    brightest = max(map(_percentile, sample.histograms.values()), default=0)
    if 0 < brightest <= _LOW:
        yield Problem(
            source,
            LOW_VALUES,
            f"in {count_of(count, 'item')} looked at, no value is above {brightest} of {FULL_SCALE}: "
            "dark scenes, or fewer than 16 bit",
            f"where {_round_up(brightest)} or another value is full scale, name it: --peak "
            f"{_round_up(brightest)}",
            refuses_item=False,
        )


def _hold(sample: _Sample, ceilings: Iterable[int]) -> bool:
    """Whether the values of a sample keep to the ceiling that their headers name, on a scale of its own."""
    ceiling = max(ceilings)
    counts = sum(sample.histograms.values(), np.zeros(FULL_SCALE + 1, np.int64))
    return bool(counts.any()) and not counts[ceiling + 1 :].any() and not _is_spread(counts, ceiling)


def _is_spread(counts: Histogram, ceiling: int) -> bool:
    """Whether dark values are of full range after all: only every 16th occurs, of 12 bit for example."""
    values = np.flatnonzero(counts)
    values = values[values > 0]
    bits = (ceiling + 1).bit_length() - 1
    top = values >> (16 - bits)
    shifted, repeated = top << (16 - bits), (top << (16 - bits)) | (top >> (2 * bits - 16))
    scaled = np.rint(np.rint(values * (ceiling / FULL_SCALE)) * (FULL_SCALE / ceiling))
    return bool(values.size) and bool(np.all((values == shifted) | (values == repeated) | (values == scaled)))


def _mixed(item: Item, ceilings: Ceilings) -> Problem:
    named = ", ".join("none" if ceiling is None else str(ceiling) for ceiling in ceilings)
    return Problem(
        item.left.uri,
        "peak_mismatch",
        f"the headers of item '{item.id}' name different values of full scale: {named}",
        "store all pictures of an item with one full scale, or name the one that holds with --peak",
    )


def _percentile(counts: Histogram) -> int:
    """The value that a share of 1e-4 of all lies above."""
    return int(np.searchsorted(np.cumsum(counts), (1 - _HOT_SHARE) * counts.sum()))


def _round_up(value: int) -> int | None:
    return next((2**bits - 1 for bits in _BITS if value <= 2**bits - 1), None)
