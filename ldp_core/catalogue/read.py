"""A source to a catalogue: a layout pairs its files, every header is read, what does not fit is named."""

from __future__ import annotations

import gc
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from toolz import groupby, partition_all

from ldp_core.catalogue.agreement import find_disagreements
from ldp_core.catalogue.external import add_methods
from ldp_core.catalogue.fitting import LAYOUT_FITS_BETTER, find_fitting_layout
from ldp_core.catalogue.known import is_known
from ldp_core.catalogue.layouts import LAYOUTS
from ldp_core.catalogue.options import WHOLE_SOURCE, Selection, SourceOptions
from ldp_core.catalogue.pairing import (
    BLUR_TRUTH,
    LEFT,
    MASK,
    RIGHT,
    TARGET,
    ItemSpec,
    ItemSpecs,
    list_visible,
)
from ldp_core.catalogue.pattern import pair_by_pattern
from ldp_core.catalogue.peaks import Ceilings, apply_named_peak, settle_peaks
from ldp_core.catalogue.problems import find_losses, make_readable, require_whole
from ldp_core.catalogue.since import find_changed
from ldp_core.credentials import hide
from ldp_core.errors import CatalogueError, ImageError, ImageMissingError, SettingsError, StorageError
from ldp_core.images import PictureTraits, probe_picture
from ldp_core.images.colour import name_colours
from ldp_core.item_ids import is_segment, slug
from ldp_core.storage import absolute_url
from ldp_core.types import AS_STORED, Catalogue, ImageRef, Item, PixelOptions, Problem

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


@contextmanager
def _without_collection() -> Iterator[None]:
    """Millions of objects that stay are made, in no cycles: looking through them takes a third of the time.

    Holds for the whole process, and for as long as one source is read.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


@_without_collection()
def read_catalogue(
    source: str,
    *,
    layout: str,
    dataset: str | None = None,
    pixels: PixelOptions = AS_STORED,
    options: SourceOptions = WHOLE_SOURCE,
    known: Mapping[str, Item] = MappingProxyType({}),
) -> Catalogue:
    """The items of a dataset and everything in it that could not become one.

    ``source`` is the URL of a folder, or of a file for the layout ``manifest``; ``layout`` is one of
    `LAYOUTS`. ``dataset`` is the first part of every item id; by default the name of the source. ``options``:
    a pattern for names, folders of other methods' results, a choice of items.
    Only headers are read, and the pixels of a few 16-bit pictures, to tell their full scale (`settle_peaks`).
    ``known`` are items of an earlier catalogue by id: those that the listing shows unchanged are not probed.
    Items come in id order, problems in the order of the place they name. What a choice says of the items
    besides their names is left to `Selection.choose_known`, since cameras are assigned later.

    Raises:
        CatalogueError: the layout is unknown, the dataset name is not valid, no item was found, or a choice
            names items that are not there.
        SettingsError: the pattern or the choice cannot be used.
        StorageError: the store refused or could not be reached.
    """
    source = hide(source)
    name = name_dataset(source, layout=layout, dataset=dataset)
    found = _read_specs(source, layout, options)
    named, problems = _name_items(found.items, dataset=name)
    items: list[Item] = []
    problems += [*found.problems, *find_losses(found), *_suggest_for_strays(found, source, layout)]
    if options.selection.is_partial:
        named = _choose(named, found, options.selection.by_name, dataset=name)
        problems = [replace(problem, refuses_item=False) for problem in problems]
    _require_pictures(named, found, source=source)
    ceilings: dict[str, Ceilings] = {}
    same = {
        i: known[i] for i, spec in named.items() if i in known and is_known(known[i], spec, found, pixels)
    }
    items += same.values()
    rest = {item_id: spec for item_id, spec in named.items() if item_id not in same} if same else named
    for result in _probe_all(rest, found, pixels=pixels):
        if isinstance(result, Probed):
            items.append(result.item)
            ceilings |= {result.item.id: result.ceilings} if any(result.ceilings) else {}
        else:
            problems += result
    catalogue = Catalogue(
        dataset=name,
        layout=layout,
        source=absolute_url(source),
        items=tuple(sorted(items, key=lambda item: item.id)),
        problems=_sort(problems),
    )
    catalogue = _require_items(catalogue)
    rows = {item_id for item_id, spec in named.items() if spec.peak is not None}
    if pixels.peak is not None:
        catalogue, concerned = apply_named_peak(catalogue, pixels.peak)
        rows |= concerned
    settled = settle_peaks(catalogue, ceilings, named=rows)
    return replace(settled, problems=_sort(settled.problems))


def check_source(
    source: str,
    *,
    layout: str,
    dataset: str | None = None,
    allow_single: bool = False,
    options: SourceOptions = WHOLE_SOURCE,
) -> None:
    """Refuse, by its listing alone, a source that every run over it would refuse; no picture is opened.

    Raises:
        CatalogueError, SettingsError: as `read_catalogue`.
        IncompleteSourceError: whole folders have lost pictures, and ``allow_single`` is not given.
        StorageError: the store refused or could not be reached.
    """
    name = name_dataset(source, layout=layout, dataset=dataset)
    found = _read_specs(source, layout, options)
    named, problems = _name_items(found.items, dataset=name)
    problems += found.problems
    if not named:
        _require_items(Catalogue(name, layout, absolute_url(source), (), _sort(problems)))
    if options.selection.is_partial:
        _choose(named, found, options.selection.by_name, dataset=name)
    require_whole([*problems, *find_losses(found)], where=source, allow_single=allow_single)


def _read_specs(source: str, layout: str, options: SourceOptions) -> ItemSpecs:
    """What a layout or a pattern finds, with the results of other methods."""
    read_layout = LAYOUTS[layout]
    if options.pair_by and layout != "folders":
        raise SettingsError(
            "a layout knows names by itself",
            where="--pair-by",
            expected="the layout 'folders', which is the default",
            got=layout,
            remedy="leave out --layout or --pair-by",
        )
    found = pair_by_pattern(source, options.pair_by) if options.pair_by else read_layout(source)
    return add_methods(found, options.methods, source=source) if options.methods and found.items else found


def _choose(
    named: Mapping[str, ItemSpec], found: ItemSpecs, selection: Selection, *, dataset: str
) -> dict[str, ItemSpec]:
    names = {item_id: spec.name for item_id, spec in named.items()}
    chosen = selection.choose(
        names,
        dataset=dataset,
        addresses=lambda item_id: (named[item_id].where, *named[item_id].pictures.values()),
        changed=lambda ids, since: find_changed({i: named[i] for i in ids}, found.modified, since),
    )
    return {item_id: named[item_id] for item_id in chosen}


def _suggest_for_strays(found: ItemSpecs, source: str, layout: str) -> list[Problem]:
    """Another layout, where this one has no place for most of the files."""
    strays = sum(problem.kind == "stray_file" for problem in found.problems)
    if not found.items or 2 * strays <= len(found.revisions):
        return []
    root = absolute_url(source)
    used = len(found.revisions) - strays
    better = find_fitting_layout(root, list(found.revisions), used=used, than=layout)
    return [better] if better else []


def _sort(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    written = map(make_readable, problems)
    return tuple(sorted(written, key=lambda problem: (problem.where, problem.kind, problem.message)))


def name_dataset(source: str, *, layout: str, dataset: str | None) -> str:
    """The first part of the ids of a source's items.

    Raises:
        CatalogueError: it is not valid.
    """
    path = PurePosixPath(absolute_url(source).partition("://")[2] or absolute_url(source))
    of_source = slug(path.stem if layout == "manifest" else path.name) or layout
    name = of_source if dataset is None else dataset
    if not is_segment(name):
        usable = slug(name) if is_segment(slug(name)) else layout
        raise CatalogueError(
            "this name cannot be part of item ids",
            where=source,
            expected="lower-case letters, digits, dot, underscore and hyphen, the first a letter or digit; "
            "at most 200 of them, and no ending '.json'",
            got=repr(name),
            remedy=f"name the dataset, for example, '{usable}'",
        )
    return name


def _name_items(specs: Iterable[ItemSpec], *, dataset: str) -> tuple[dict[str, ItemSpec], list[Problem]]:
    """Items by id. Names that give no id, or the same one as another, are left out."""
    named: dict[str, ItemSpec] = {}
    problems: list[Problem] = []
    for segment, alike in groupby(lambda spec: slug(spec.name), specs).items():
        if not is_segment(segment):
            problems += map(_unusable_name, alike)
        elif len(alike) > 1:
            problems += [_same_id(spec, alike, item_id=f"{dataset}/{segment}") for spec in alike]
        else:
            named[f"{dataset}/{segment}"] = alike[0]
    return named, problems


def _unusable_name(spec: ItemSpec) -> Problem:
    return Problem(
        spec.where,
        "unusable_name",
        f"the name '{spec.name}' gives no item id: it holds no letter a-z or digit, or is too long",
        "rename the pictures of this item",
    )


def _same_id(spec: ItemSpec, alike: Iterable[ItemSpec], *, item_id: str) -> Problem:
    others = ", ".join(other.where for other in alike if other is not spec)
    return Problem(
        spec.where,
        "duplicate_id",
        f"the name '{spec.name}' gives the item id '{item_id}', as does {others}",
        "give these items names that differ in more than case and punctuation",
    )


def _require_items(catalogue: Catalogue) -> Catalogue:
    if catalogue.items:
        return catalogue
    kinds = Counter(problem.kind for problem in catalogue.problems)
    first = _choose_remedy(catalogue)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    raise CatalogueError(
        "no item was found",
        where=catalogue.source,
        expected=f"a dataset of the layout '{catalogue.layout}'",
        got=f"{listed}; first: {first.where}: {first.message}" if first else "no file at all",
        remedy=first.remedy if first else _explain_empty(catalogue.source),
    )


def _choose_remedy(catalogue: Catalogue) -> Problem | None:
    """The problem to tell of a source without items: a layout that fits, what refused an item, any other."""
    fitting = [problem for problem in catalogue.problems if problem.kind == LAYOUT_FITS_BETTER]
    refusing = [problem for problem in catalogue.problems if problem.refuses_item]
    if not (fitting or refusing) and catalogue.layout != "manifest" and catalogue.problems:
        better = find_fitting_layout(
            catalogue.source, list_visible(catalogue.source), used=0, than=catalogue.layout
        )
        fitting = [better] if better else []
    return next(iter((*fitting, *refusing, *catalogue.problems)), None)


def _explain_empty(source: str) -> str:
    """What to do about a source in which nothing was found."""
    if source.lower().endswith((".csv", ".jsonl", ".parquet")):
        return "is this a table of pictures? Give --layout manifest"
    if "\\" in source or re.search(r"(^|/)[A-Za-z]:(/|$)", source):
        return "is this a Windows path? Write it with '/', as this machine sees it"
    if source != source.strip():
        return "check the address of the source: it begins or ends with a blank"
    return "check the address of the source"


def _require_pictures(specs: Mapping[str, ItemSpec], found: ItemSpecs, *, source: str) -> None:
    """Stop early where a long table names pictures that are not there: a random sample of it has no item.

    Pictures that a listing has told are there.
    """
    untold = [item_id for item_id, spec in specs.items() if spec.pictures[LEFT] not in found.sizes_bytes]
    if len(untold) < _SAMPLED_FROM_ITEMS:
        return
    # At random, as rows at equal distances may all be of one kind.
    sample = {item_id: specs[item_id] for item_id in random.Random(0).sample(untold, _SAMPLE_ITEMS)}
    first: Problem | None = None
    for result in _probe_all(sample, found, pixels=AS_STORED):
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


def _probe_all(
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
