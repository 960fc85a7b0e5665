"""Remove what no run refers to: results of older models and settings, earlier versions of items, and traces
of stopped writers; before that runs of long ago, where this is asked for.

Whatever a run's record refers to stays, and whatever is younger than the grace period: a run that
starts meanwhile, or that still writes, loses nothing. Of an item that came through a finished run, that is
the version it found; of any other item that a run lists, all versions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from toolz import partition_all

from ldp_core.archive import Section
from ldp_core.archive.layout import FRAME_SECTION, RUNS, TRUTHS, Listing, list_sections, read_listing
from ldp_core.archive.run_files import DIGESTS, SUMMARY, is_unbegun, list_runs
from ldp_core.errors import ArchiveError
from ldp_core.item_ids import make_item_key, split_item_key
from ldp_core.storage import Entry, delete, join, list_entries, list_folder
from tasks.pipeline import ARCHIVE_KINDS
from tasks.run import Run

GRACE = timedelta(hours=24)
_AT_ONCE = 200
"""Items deleted between two looks at which runs there are."""
_STARTING = timedelta(hours=1)
"""No run takes longer to write down what it sets out to do."""


@dataclass(frozen=True, slots=True)
class ItemSet:
    """Items by key, and items by id of which every version counts."""

    keys: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()

    def __contains__(self, key: str) -> bool:
        return key in self.keys or split_item_key(key)[0] in self.ids

    def __or__(self, other: ItemSet) -> ItemSet:
        return ItemSet(self.keys | other.keys, self.ids | other.ids)


@dataclass(slots=True)
class _Growing:
    """An `ItemSet` while runs are read: a union for each of them would copy all items again and again."""

    keys: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)

    def add(self, some: ItemSet) -> None:
        self.keys |= some.keys
        self.ids |= some.ids

    def settle(self) -> ItemSet:
        return ItemSet(frozenset(self.keys), frozenset(self.ids))


@dataclass(frozen=True, slots=True)
class References:
    """The runs that were read, every item they refer to, and their items by section."""

    runs: frozenset[str]
    items: ItemSet = ItemSet()
    results: Mapping[Section, ItemSet] = field(default_factory=dict)

    def hold(self, section: Section, item: str) -> bool:
        """Whether a run refers to an item of a section, by its key."""
        return item in (self.results.get(section, ItemSet()) if section.is_result else self.items)


@dataclass(frozen=True, slots=True)
class Garbage:
    """What may go of one section: objects by item, metadata first, and the bytes of them all.

    ``leftovers`` are chunks without metadata that no run refers to, temporary files, and empty groups.
    """

    section: Section
    items: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ExpiredRun:
    """A run of long ago, and the objects of its record in the order in which they go.

    Whatever stops that, a record that can be read is left, or one of a run that never began.
    """

    run_id: str
    paths: tuple[str, ...]
    size_bytes: int


def find_expired(archive: str, *, age: timedelta, now: datetime | None = None) -> list[ExpiredRun]:
    """Runs of whose record nothing was written since, oldest first.

    Of every dataset and source the last finished run stays, and the last finished one that restored: what the
    next run is compared with.

    Raises:
        ItemDamagedError, ItemMissingError: a record cannot be read.
    """
    before, seen, found = (now or datetime.now(UTC)) - age, set[tuple[str, str, bool]](), []
    for run in _begun_runs(archive):
        kind = run.header.dataset, run.header.source, bool(run.specs)
        is_last = run.is_finished and kind not in seen
        seen |= {kind} if is_last else set()
        entries = list_entries(run.url)
        if not is_last and _is_old(entries, before):
            paths = (join(RUNS, run.run_id, path) for path in sorted(entries, key=_record_last))
            found.append(ExpiredRun(run.run_id, tuple(paths), sum(e.size_bytes for e in entries.values())))
    return found[::-1]


def forget_runs(archive: str, runs: Iterable[ExpiredRun]) -> None:
    """Delete the records of runs; what they alone refer to is garbage then."""
    for run in runs:
        _delete(archive, run.paths)


def _record_last(path: str) -> tuple[int, str]:
    """The report goes first, then what makes a run finished, then the rest, then what makes it a run."""
    order = {SUMMARY: 1, DIGESTS: 2, "run.json": 4, "catalogue.jsonl": 5}
    return order.get(path, 0 if "/" in path else 3), path


def _begun_runs(archive: str) -> list[Run]:
    """Newest first, without those that were killed before they had recorded what they set out to do."""
    return [Run(archive, run_id) for run_id in list_runs(archive) if not _never_began(archive, run_id)]


def read_references(archive: str, *, without: Collection[str] = ()) -> References:
    """All that runs refer to, finished or not: what they listed, under the stage keys they recorded.

    Args:
        without: ids of runs that are taken to be gone.

    Raises:
        ItemDamagedError, ItemMissingError: a record cannot be read, so nobody knows what it refers to.
        ArchiveError: there is no run, so that everything would be left over; or one is just starting.
    """
    run_ids = [run.run_id for run in _begun_runs(archive) if run.run_id not in without]
    if not run_ids:
        raise ArchiveError(
            "no run has left a record in this archive",
            where=archive,
            expected="at least one runs/<run id>/run.json",
            remedy="without records nothing can be told from what is left over; delete by hand",
        )
    items = _Growing()
    results: dict[Section, _Growing] = {}
    for run_id in run_ids:
        run = Run(archive, run_id)  # what it has read goes with it: of a thousand runs it would not fit
        referred = _refer(run)
        items.add(referred)
        for section in run.sections:
            results.setdefault(section, _Growing()).add(referred)
    settled = {section: some.settle() for section, some in results.items()}
    return References(frozenset(run_ids), items.settle(), settled)


def _refer(run: Run) -> ItemSet:
    """What a run refers to: with an item that did not come through, nobody knows which version it met."""
    listed, found = run.listed_items, run.found if run.is_finished else {}
    keys = (make_item_key(item_id, version) for item_id, (version, _) in found.items() if item_id in listed)
    return ItemSet(frozenset(keys), listed - found.keys())


def find_garbage(
    archive: str,
    *,
    grace: timedelta = GRACE,
    now: datetime | None = None,
    without: Collection[str] = (),
) -> list[Garbage]:
    """What may go, section by section; frames last, and only where no result of theirs stays.

    Runs whose ids are in ``without`` are taken to be gone.

    Raises:
        ArchiveError: as for `read_references`.
    """
    held, before = read_references(archive, without=without), (now or datetime.now(UTC)) - grace
    found, staying = [], set()
    for section in reversed(list_sections(archive, ARCHIVE_KINDS)):
        if section in (FRAME_SECTION, TRUTHS):
            continue
        listing = read_listing(archive, section)
        garbage = _sift(section, listing, held, before)
        staying |= set(listing.items) - set(garbage.items)
        found.append(garbage)
    of_results = References(held.runs, held.items | ItemSet(frozenset(staying)), held.results)
    found += [_sift(s, read_listing(archive, s), of_results, before) for s in (TRUTHS, FRAME_SECTION)]
    return [garbage for garbage in found if garbage.size_bytes or garbage.leftovers]


def collect(archive: str, garbage: Iterable[Garbage]) -> list[Garbage]:
    """Delete garbage, and say what was deleted. Runs that have started since are looked at first.

    Raises:
        StorageError: the store refused or could not be reached.
    """
    held = read_references(archive)
    done = []
    for some in garbage:
        gone: dict[str, tuple[str, ...]] = {}
        for chunk in partition_all(_AT_ONCE, some.items.items()):
            held = held if frozenset(list_runs(archive)) == held.runs else read_references(archive)
            for item, paths in chunk:
                if not held.hold(some.section, item):
                    _delete(archive, paths)
                    gone[item] = paths
        _delete(archive, some.leftovers)
        done.append(Garbage(some.section, gone, some.leftovers, some.size_bytes))
    return done


def _never_began(archive: str, run_id: str) -> bool:
    """Whether a run was stopped before its record was whole, and long ago."""
    objects = list_folder(join(archive, RUNS, run_id)).objects
    if not is_unbegun(objects):
        return False
    since = datetime.now(UTC) - _STARTING
    if any(entry.modified is None or entry.modified > since for entry in objects.values()):
        raise ArchiveError(
            "a run is just starting; what it refers to is not known yet",
            where=join(archive, RUNS, run_id),
            remedy="give the same command again in a minute",
        )
    return True


def _sift(section: Section, listing: Listing, held: References, before: datetime) -> Garbage:
    loose = {i: o for i, o in listing.items.items() if not held.hold(section, i) and _is_old(o, before)}
    traces = dict(listing.partial)
    traces |= {p: e for p, e in listing.incomplete.items() if not held.hold(section, _item(section, p))}
    if len(loose) == len(listing.items) and section.is_result and section not in held.results:
        traces |= listing.groups
    left = {path: entry for path, entry in traces.items() if _is_old({path: entry}, before)}
    entries = [*left.values(), *(entry for objects in loose.values() for entry in objects.values())]
    return Garbage(
        section,
        {item: tuple(_metadata_first(objects)) for item, objects in loose.items()},
        tuple(left),
        sum(entry.size_bytes for entry in entries),
    )


def _item(section: Section, path: str) -> str:
    return path.removeprefix(f"{section.path}/").rpartition("/")[0]


def _is_old(objects: Mapping[str, Entry], before: datetime) -> bool:
    """Whether all were written before a moment; where the store does not say when, they are not."""
    return all(entry.modified is not None and entry.modified < before for entry in objects.values())


def _metadata_first(objects: Iterable[str]) -> list[str]:
    return sorted(objects, key=lambda path: not path.endswith(".json"))


def _delete(archive: str, paths: Iterable[str]) -> None:
    for path in paths:
        delete(join(archive, path))
