"""A source to a catalogue."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from ldp_core.catalogue.drafts import Draft
from ldp_core.catalogue.layouts import LAYOUTS
from ldp_core.catalogue.probing import probe_drafts
from ldp_core.errors import CatalogueError
from ldp_core.item_ids import is_segment, slug
from ldp_core.storage import absolute_url
from ldp_core.types import Catalogue, Item, Problem


def read_catalogue(source: str, *, layout: str, dataset: str | None = None) -> Catalogue:
    """The items of a dataset and everything in it that could not become one.

    ``source`` is the URL of a folder, or of a file for the layout ``manifest``; ``layout`` is one of
    `LAYOUTS`. ``dataset`` is the first part of every item id; by default the name of the source.
    Only headers are read. Items come in id order, problems in the order of the place they name.

    Raises:
        CatalogueError: the layout is unknown, the dataset name is not valid, or no item was found.
        StorageError: the store refused or could not be reached.
    """
    if layout not in LAYOUTS:
        raise CatalogueError(
            "no such layout", where=source, expected=", ".join(sorted(LAYOUTS)), got=repr(layout)
        )
    name = _name_dataset(source, layout=layout, dataset=dataset)
    found = LAYOUTS[layout](source)
    named, problems = _name_items(found.drafts, dataset=name)
    items: list[Item] = []
    problems += found.problems
    for outcome in probe_drafts(named, sizes_bytes=found.sizes_bytes):
        if isinstance(outcome, Item):
            items.append(outcome)
        else:
            problems += outcome
    catalogue = Catalogue(
        dataset=name,
        layout=layout,
        source=absolute_url(source),
        items=tuple(sorted(items, key=lambda item: item.id)),
        problems=tuple(sorted(problems, key=lambda problem: (problem.where, problem.kind, problem.message))),
    )
    return _require_items(catalogue)


def _name_dataset(source: str, *, layout: str, dataset: str | None) -> str:
    if dataset is None:
        path = PurePosixPath(absolute_url(source).partition("://")[2] or absolute_url(source))
        return slug(path.stem if layout == "manifest" else path.name) or layout
    if not is_segment(dataset):
        raise CatalogueError(
            "this name cannot stand in item ids",
            where=source,
            expected="lower-case letters, digits, dot, underscore and hyphen, the first a letter or digit",
            got=repr(dataset),
            remedy=f"name the dataset, for example, '{slug(dataset) or layout}'",
        )
    return dataset


def _name_items(drafts: Iterable[Draft], *, dataset: str) -> tuple[dict[str, Draft], list[Problem]]:
    """Drafts by item id. Names that give no id, or the same one as another, are left out."""
    by_slug: dict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        by_slug[slug(draft.name)].append(draft)
    named: dict[str, Draft] = {}
    problems: list[Problem] = []
    for segment, alike in by_slug.items():
        if not is_segment(segment):
            problems += [_unusable_name(draft) for draft in alike]
        elif len(alike) > 1:
            problems += [_same_id(draft, alike, item_id=f"{dataset}/{segment}") for draft in alike]
        else:
            named[f"{dataset}/{segment}"] = alike[0]
    return named, problems


def _unusable_name(draft: Draft) -> Problem:
    return Problem(
        draft.where,
        "unusable_name",
        f"the name '{draft.name}' gives no item id: it holds no letter a-z or digit, or is too long",
        "rename the pictures of this item",
    )


def _same_id(draft: Draft, alike: Iterable[Draft], *, item_id: str) -> Problem:
    others = ", ".join(other.where for other in alike if other is not draft)
    return Problem(
        draft.where,
        "duplicate_id",
        f"the name '{draft.name}' gives the item id '{item_id}', as does {others}",
        "give these items names that differ in more than case and punctuation",
    )


def _require_items(catalogue: Catalogue) -> Catalogue:
    if catalogue.items:
        return catalogue
    kinds = Counter(problem.kind for problem in catalogue.problems)
    first = catalogue.problems[0] if catalogue.problems else None
    raise CatalogueError(
        "no item was found",
        where=catalogue.source,
        expected=f"a dataset of the layout '{catalogue.layout}'",
        got=", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no file at all",
        remedy=f"first: {first.where}: {first.message}" if first else "check the address of the source",
    )
