"""A source to a catalogue: a layout pairs its files, every header is read, what does not fit is named."""

from __future__ import annotations

import gc
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePosixPath
from types import MappingProxyType

from toolz import groupby

from ldp_core.catalogue.external import add_methods
from ldp_core.catalogue.fitting import LAYOUT_FITS_BETTER, find_fitting_layout
from ldp_core.catalogue.known import is_known
from ldp_core.catalogue.layouts import LAYOUTS
from ldp_core.catalogue.options import WHOLE_SOURCE, Selection, SourceOptions
from ldp_core.catalogue.pairing import ItemSpec, ItemSpecs, list_visible
from ldp_core.catalogue.pattern import pair_by_pattern
from ldp_core.catalogue.peaks import Ceilings, apply_named_peak, settle_peaks
from ldp_core.catalogue.probing import Probed, probe_all, require_pictures
from ldp_core.catalogue.problems import find_losses, make_readable, require_whole
from ldp_core.catalogue.since import find_changed
from ldp_core.credentials import hide
from ldp_core.errors import CatalogueError, SettingsError
from ldp_core.item_ids import is_segment, make_segment, slug
from ldp_core.storage import absolute_url
from ldp_core.types import AS_STORED, Catalogue, Item, PixelOptions, Problem


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
    require_pictures(named, found, source=source)
    ceilings: dict[str, Ceilings] = {}
    same = {
        i: known[i] for i, spec in named.items() if i in known and is_known(known[i], spec, found, pixels)
    }
    items += same.values()
    rest = {item_id: spec for item_id, spec in named.items() if item_id not in same} if same else named
    for result in probe_all(rest, found, pixels=pixels):
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
    for segment, alike in groupby(lambda spec: make_segment(spec.name), specs).items():
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
        f"the name '{spec.name}' gives no item id: it is too long",
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
