"""The items of an archive as the records of its runs have them: a catalogue without its source.

An item that a finished run came through is the one that the newest such run found, in that version. Any other
item of a record counts where its frames are archived in one version; what these say of their origin is
compared with the record when they are read (`tasks.items.confirm_item`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ldp_core.archive.layout import FRAME_SECTION, list_whole, list_whole_and_changed
from ldp_core.archive.run_files import DIGESTS, list_runs
from ldp_core.catalogue import Selection
from ldp_core.errors import (
    CatalogueError,
    ItemDamagedError,
    ItemMissingError,
    SettingsError,
    count_of,
    suggest,
)
from ldp_core.item_ids import split_item_key
from ldp_core.types import Catalogue, Item, Problem
from tasks.run import Run

_READERS: Final = 16
UNRECORDED: Final = "unrecorded"
"""The kind of a problem: frames that no record knows."""
_RECORDS: Final = ("catalogue.jsonl", "items.jsonl")


@dataclass(frozen=True, slots=True)
class ArchivedItems:
    """Items in the versions that are archived; ``confirmed`` are the ids of those that came through a run.

    ``recorded`` is the newest finished run over them.
    """

    catalogue: Catalogue
    confirmed: frozenset[str]
    recorded: Run | None


def read_archived(
    archive: str, dataset: str | None, frames: Iterable[str], *, before: str = ""
) -> ArchivedItems:
    """The archived items of a dataset, in id order.

    Args:
        dataset: the first part of their ids; None where the archive has one dataset only.
        frames: keys of all archived frames.
        before: id of a run that is not looked at, nor any that began after it; empty: all are.

    Raises:
        ItemMissingError: the archive holds no run, or none that began before.
        SettingsError: it has several datasets and none is named, or not this one.
        ItemDamagedError: the record of a finished run was altered.
        CatalogueError: no frames of the dataset are archived, or no record tells what they are.
    """
    runs = list(_readable(archive, before))
    name = _choose_dataset(archive, dataset, dict.fromkeys(run.header.dataset for run in runs))
    runs = [run for run in runs if run.header.dataset == name]
    versions: dict[str, set[int]] = {}
    for key in frames:
        item_id, version = split_item_key(key)
        if item_id.startswith(f"{name}/"):
            versions.setdefault(item_id, set()).add(version)
    found = _read_finished(runs, frozenset(versions))
    confirmed = frozenset(found)
    found |= _read_others(runs, {i for i, known in versions.items() if i not in found and known == {1}})
    if not found:
        raise CatalogueError(
            "no item of this dataset is archived",
            where=archive,
            expected=f"frames of '{name}', and the record of a run that lists them",
            remedy="restore it from its source",
        )
    header = runs[0].header
    items = tuple(found[item_id] for item_id in sorted(found))
    unknown = _unrecorded(archive, versions.keys() - found.keys())
    catalogue = Catalogue(name, header.layout, header.source, items, unknown)
    return ArchivedItems(catalogue, confirmed, next((run for run in runs if run.is_finished), None))


def read_again(run: Run, selection: Selection) -> Catalogue:
    """The catalogue of a finished run over archived items, from the records that it was made from.

    Args:
        selection: the part of the items that it was over.

    Raises:
        ItemMissingError: these records are gone, or know no more of its items.
        ItemDamagedError: one of them was altered.
    """
    summary = run.summary
    keys: Collection[str] = {*run.completed, *(record.item for record in summary.quarantine)}
    if len(keys) < summary.items.total:  # it was stopped
        keys = list_whole(run.archive, FRAME_SECTION)
    try:
        found = read_archived(run.archive, summary.dataset, keys, before=run.run_id).catalogue
        chosen = choose_archived(found, selection, run.archive)
    except (ItemMissingError, CatalogueError, SettingsError) as error:
        raise _explain_loss(run, 0) from error
    if len(chosen.items) != summary.items.total:
        raise _explain_loss(run, len(chosen.items))
    items = tuple(replace(item, version=1) for item in chosen.items)
    unrecorded = tuple(problem for problem in summary.problems if problem.kind == UNRECORDED)
    return replace(chosen, items=items, problems=unrecorded, source=summary.source, layout=summary.layout)


def _explain_loss(run: Run, left: int) -> ItemMissingError:
    return ItemMissingError(
        "the records of earlier runs do not tell any more what its items are",
        where=run.run_id,
        expected=count_of(run.summary.items.total, "item"),
        got=f"{left} in the records of earlier runs",
        remedy="take its catalogue.jsonl from a copy of the archive",
    )


def choose_archived(catalogue: Catalogue, selection: Selection, archive: str) -> Catalogue:
    """The part of the items that is asked for; they change when their frames are archived.

    Raises:
        CatalogueError: an id is none of them, or a condition holds for none.
        SettingsError: a condition asks for what no item tells.
    """
    if not selection.is_partial:
        return catalogue
    by_id = {item.id: item for item in catalogue.items}
    names = {item_id: item.title for item_id, item in by_id.items()}

    def list_changed(ids: list[str], since: datetime) -> list[str]:
        _, changed = list_whole_and_changed(archive, FRAME_SECTION, since, dataset=catalogue.dataset)
        return [item_id for item_id in ids if by_id[item_id].key in changed]

    named = selection.by_name.choose(names, dataset=catalogue.dataset, changed=list_changed)
    return replace(catalogue, items=tuple(selection.choose_known([by_id[item_id] for item_id in named])))


def _readable(archive: str, before: str) -> Iterator[Run]:
    """The runs of an archive, the newest first; one that was stopped early may have no catalogue."""

    def has_header(run: Run) -> bool:
        try:
            return bool(run.header)
        except (ItemMissingError, ItemDamagedError):
            if run.is_finished:
                raise
            return False

    known = list_runs(archive)
    runs = [Run(archive, run_id) for run_id in known if not before or run_id < before]
    if not runs:
        raise ItemMissingError(
            "the archive holds no run", where=archive, remedy="name the folder that holds runs/ and frames/"
        )
    with ThreadPoolExecutor(_READERS) as readers:
        for run, readable in zip(runs, readers.map(has_header, runs), strict=True):
            if readable:
                yield run


def _choose_dataset(archive: str, asked: str | None, known: Iterable[str]) -> str:
    names = sorted(known)
    if asked is None and len(names) == 1:
        return names[0]
    if asked in names:
        return asked
    raise SettingsError(
        "this archive holds several datasets" if asked is None else "this archive does not hold the dataset",
        where=f"{archive}, --dataset",
        expected=", ".join(names),
        got=asked or "",
        remedy=(suggest(asked, names) if asked else "") or "name one of them with --dataset",
    )


def _read_finished(runs: Iterable[Run], wanted: frozenset[str]) -> dict[str, Item]:
    """Items that came through a run, by id, from the newest one; no more records are read than are needed."""
    found: dict[str, Item] = {}
    for run in runs:
        if wanted <= found.keys():
            break
        if run.is_finished:
            _require_intact(run)
            through = run.found
            found |= {i.id: i for i in run.catalogue.items if i.id in through and i.id not in found}
    return found


def _read_others(runs: Iterable[Run], wanted: set[str]) -> dict[str, Item]:
    """Items that runs listed and did not come through, by id."""
    found: dict[str, Item] = {}
    for run in runs:
        if wanted <= found.keys():
            break
        found |= {i.id: i for i in run.iterate_items() if i.id in wanted and i.id not in found}
    return found


def _require_intact(run: Run) -> None:
    """Records of earlier versions have no digests, and are read as they are."""
    altered = [name for name in _RECORDS if DIGESTS in run.files and not run.is_intact(name)]
    if altered:
        raise ItemDamagedError(
            "the record of a run was altered: it does not tell any more what its items are",
            where=f"{run.url}/{altered[0]}",
            remedy="run `ldp verify --repair`, or delete the folder of this run",
        )


def _unrecorded(archive: str, ids: Iterable[str]) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            f"{archive}/frames/{item_id}",
            UNRECORDED,
            "frames are archived, and no run's record tells what they are",
            "restore this item from its source",
            refuses_item=False,
        )
        for item_id in sorted(ids)
    )
