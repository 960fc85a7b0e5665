"""An item of a source to an item of its catalogue: its headers are read and compared."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from toolz import partition_all

from ldp_core.catalogue.agreement import find_disagreements
from ldp_core.catalogue.pairing import BLUR_TRUTH, LEFT, MASK, RIGHT, TARGET, ItemSpec, ItemSpecs
from ldp_core.catalogue.peaks import Ceilings
from ldp_core.errors import CatalogueError, ImageError, ImageMissingError, StorageError
from ldp_core.images import PictureTraits, probe_picture
from ldp_core.images.colour import name_colours
from ldp_core.types import AS_STORED, ImageRef, Item, PixelOptions, Problem

_ROLES: Final = (LEFT, RIGHT, TARGET, BLUR_TRUTH, MASK)
# Half the connections of the S3 client. At 30 ms a request 500 headers a second; one core reads 1,700.
_THREADS: Final = 16
_BATCH_ITEMS: Final = 1024  # a pool holds a future for each: batches keep that small for a million items

# Rows of which one in a hundred has its pictures pass a sample of 1000 but for 4 times in 100,000. Below ten
# samples all are probed: at 1,100 missing pictures a second that takes 9 s.
_SAMPLE_ITEMS: Final = 1000
_SAMPLED_FROM_ITEMS: Final = 10 * _SAMPLE_ITEMS


@dataclass(frozen=True, slots=True)
class Probed:
    """An item, and what the headers of its left, right and target picture name as a ceiling, if any does."""

    item: Item
    ceilings: Ceilings = ()


ProbeResult = Probed | tuple[Problem, ...]
"""The item, or the problems that keep it out."""


def require_pictures(specs: Mapping[str, ItemSpec], found: ItemSpecs, *, source: str) -> None:
    """Stop early where a long table names pictures that are not there: a random sample of it has no item.

    Pictures that a listing has told are there.
    """
    untold = [item_id for item_id, spec in specs.items() if spec.pictures[LEFT] not in found.sizes_bytes]
    if len(untold) < _SAMPLED_FROM_ITEMS:
        return
    # At random, as rows at equal distances may all be of one kind.
    sample = {item_id: specs[item_id] for item_id in random.Random(0).sample(untold, _SAMPLE_ITEMS)}
    first: Problem | None = None
    for result in probe_all(sample, found, pixels=AS_STORED):
        if isinstance(result, Probed) or any(problem.kind != ImageMissingError.kind for problem in result):
            return
        first = first or result[0]
    if first:
        raise CatalogueError(
            "no item was found",
            where=source,
            expected="pictures at the addresses that the source names",
            got=f"of {len(sample)} items drawn at random from {len(untold)}, none has its pictures",
            remedy=f"first: {first.where}: {first.message}; {first.remedy}",
        )


def probe_all(
    specs: Mapping[str, ItemSpec], found: ItemSpecs, *, pixels: PixelOptions
) -> Iterator[ProbeResult]:
    """The result for each spec, by item id, in the order given."""

    def probe(entry: tuple[str, ItemSpec]) -> ProbeResult:
        return _probe(*entry, found, pixels=pixels)

    with ThreadPoolExecutor(_THREADS) as threads:
        for batch in partition_all(_BATCH_ITEMS, specs.items()):
            yield from threads.map(probe, batch)


def _probe(item_id: str, spec: ItemSpec, found: ItemSpecs, *, pixels: PixelOptions) -> ProbeResult:
    refs: dict[str, ImageRef] = {}
    traits: dict[str, PictureTraits] = {}
    problems: list[Problem] = []
    for role, url in (*spec.pictures.items(), *spec.auxiliary.items()):
        try:
            size_bytes, revision = found.sizes_bytes.get(url), found.revisions.get(url, "")
            refs[role], told = probe_picture(url, size_bytes=size_bytes, revision=revision)
            traits |= {role: told} if role in spec.pictures else {}
        except (ImageError, StorageError) as error:
            message = f"the {role} picture of item '{spec.name}' cannot be read: {error.what}"
            got = f" ({error.got})" if error.got else ""
            problems.append(Problem(url, error.kind, message + got, error.remedy))
    problems = problems or _find_disagreements(spec, refs, traits, pixels) or _find_mismatches(spec, refs)
    problems = problems or _find_empty_region(spec, refs[LEFT])
    if problems:
        return _refusing_once(problems)
    ceilings = tuple(traits[role].ceiling for role in (LEFT, RIGHT, TARGET) if role in traits)
    return Probed(_make_item(item_id, spec, refs, traits, pixels), ceilings if any(ceilings) else ())


def _find_disagreements(
    spec: ItemSpec, refs: Mapping[str, ImageRef], traits: Mapping[str, PictureTraits], pixels: PixelOptions
) -> list[Problem]:
    """Turned pictures have another size as well, so these come first."""
    found = find_disagreements(
        traits,
        channels=refs[LEFT].channels,
        to_srgb=pixels.to_srgb,
        named_peak=spec.development != "" or (pixels.peak or spec.peak) is not None,
    )
    return [
        Problem(refs[one.role].uri, one.error.kind, f"item '{spec.name}': {one.message}", one.remedy)
        for one in found
    ]


def _find_empty_region(spec: ItemSpec, left: ImageRef) -> list[Problem]:
    """A region to score, named by the source, that lies outside the picture."""
    sides = zip(spec.score_region.slices, (left.height, left.width), strict=True)
    if not spec.own_region or all(len(range(side)[span]) for span, side in sides):
        return []
    message = f"the region to score ({spec.score_region.name}) holds no pixel of {_describe(left)}"
    return [Problem(spec.where, "bad_region", message, "correct score_region of this item")]


def _refusing_once(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems of one item, of which only the first counts as refusing it."""
    return tuple(replace(problem, refuses_item=index == 0) for index, problem in enumerate(problems))


def _find_mismatches(spec: ItemSpec, refs: Mapping[str, ImageRef]) -> list[Problem]:
    left = refs[LEFT]
    return [
        Problem(
            ref.uri,
            "size_mismatch",
            f"the {role} picture of item '{spec.name}' is {_describe(ref)}, the left one {_describe(left)}",
            "give the mask the size of the views"
            if role == MASK
            else "give all pictures of an item the same size, channels and bit depth, or remove this one",
        )
        for role, ref in refs.items()
        if not _fits(role, ref, left, spec=spec)
    ]


def _fits(role: str, ref: ImageRef, left: ImageRef, *, spec: ItemSpec) -> bool:
    """A development may cut the views to their truth, so what it makes is compared when it is made."""
    if role in (TARGET, BLUR_TRUTH) and spec.development:
        return True
    if role == MASK:
        return spec.development != "" or (ref.height, ref.width) == (left.height, left.width)
    if role == BLUR_TRUTH:
        return _shape(ref) == (left.height, left.width, 1)
    return _shape(ref) == _shape(left) and ref.bit_depth == left.bit_depth


def _shape(ref: ImageRef) -> tuple[int, int, int]:
    return ref.height, ref.width, ref.channels


def _describe(ref: ImageRef) -> str:
    colour = "grey" if ref.channels == 1 else "RGB"
    return f"{ref.width} x {ref.height} {colour}, {ref.bit_depth} bit"


def _make_item(
    item_id: str,
    spec: ItemSpec,
    refs: Mapping[str, ImageRef],
    traits: Mapping[str, PictureTraits],
    pixels: PixelOptions,
) -> Item:
    left = traits[LEFT]
    profiles = {found.profile for role, found in traits.items() if role not in (BLUR_TRUTH, MASK)}
    coloured = any(name_colours(profile, channels=refs[LEFT].channels) for profile in profiles)
    peak = spec.peak if spec.peak is not None else left.peak
    full = peak == 2 ** refs[LEFT].bit_depth - 1 and spec.peak is None
    return Item(
        id=item_id,
        left=refs[LEFT],
        right=refs.get(RIGHT),
        target=refs.get(TARGET),
        blur_truth=refs.get(BLUR_TRUTH),
        external={r: refs[r] for r in spec.pictures if r not in _ROLES},
        score_region=spec.score_region,
        aligned=spec.aligned,
        blur_truth_kind=spec.blur_truth_kind,
        dp_axis=spec.dp_axis,
        development=spec.development,
        auxiliary={role: refs[role] for role in spec.auxiliary},
        peak=None if full or spec.development else peak,
        colour=name_colours(left.profile, channels=refs[LEFT].channels),
        to_srgb=pixels.to_srgb and coloured,
        camera=spec.camera,
        mask=refs.get(MASK),
        metadata={**left.shot, **spec.metadata},  # what the source says itself goes before EXIF
        name="" if item_id.endswith(f"/{spec.name}") else spec.name,
    )
