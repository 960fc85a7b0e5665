"""What earlier runs and the archive say of the sources of a catalogue.

Pictures are told apart without reading them: by address, size and revision (ETag, or time of the last
change). Where these are the ones that a finished run recorded, the item is the version that this run found.
Where they are not, its source is suspect, and its pixels decide (decision 0010).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from toolz import partition_all

from ldp_core.archive.run_files import list_runs
from ldp_core.catalogue.pairing import LEFT, MASK, RIGHT
from ldp_core.credentials import plain_of
from ldp_core.errors import ItemDamagedError, ItemMissingError, SourceShrunkError, count_of
from ldp_core.images.scale import peak_below_full_scale
from ldp_core.item_ids import split_item_key
from ldp_core.types import Catalogue, ImageRef, Item
from tasks.run import Run
from tasks.stored_run import environment

MOST_GONE: Final = 0.05
"""As `--max-bad`: a listing that lacks more is likelier incomplete than right."""
_LEAST_GONE: Final = 2
"""One of three pictures may be taken away on purpose; a listing that fails rarely loses one."""
_MOST_RUNS: Final = 8
"""Runs of a source that are read. Items that none of them finished are few, and decoding these is cheap."""
_READERS: Final = 16
_FOLDERS_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class PreviousSource:
    """The catalogue that an earlier run made of the same source: the run, how many items it has.

    ``vanished`` are the ids of those that are no longer there, in order, ``poorer`` of those that have lost
    their truths, or results of others; ``folders`` where most of the pictures lay, with counts.
    """

    run_id: str
    items: int
    vanished: tuple[str, ...] = ()
    poorer: tuple[str, ...] = ()
    folders: tuple[tuple[str, int], ...] = ()

    @property
    def is_shrunk(self) -> bool:
        """Whether too many items are gone, or poorer, to go on without being asked to."""
        gone = len(self.vanished) + len(self.poorer)
        return gone >= _LEAST_GONE and gone > MOST_GONE * self.items


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known of the sources of a catalogue before any of them is read, by item id.

    ``confirmed`` are just as a finished run recorded them. ``suspects`` may hold another content than any
    version there is: the versions known of, each with the digest that a run recorded, or ''. An archived
    item that is neither is compared with what its frames say of their origin. ``versions`` are those to
    begin with, where they are not 1: of a suspect the one that its source held when a run last saw it.
    """

    confirmed: frozenset[str] = frozenset()
    suspects: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    previous: PreviousSource | None = None

    @property
    def vanished(self) -> tuple[str, ...]:
        """Ids of the items that the run before had and that are no longer there."""
        return () if self.previous is None else self.previous.vanished


def runs_of(archive: str, dataset: str, source: str) -> Iterator[Run]:
    """The newest runs over a dataset and its source, newest first."""

    def is_of_source(run: Run) -> bool:
        try:
            header = run.header
        except (ItemMissingError, ItemDamagedError):
            return False
        return (header.dataset, plain_of(header.source).rstrip("/")) == (dataset, source.rstrip("/"))

    found = 0
    with ThreadPoolExecutor(_READERS) as readers:
        for run_ids in partition_all(_READERS, list_runs(archive)):
            runs = [Run(archive, run_id) for run_id in run_ids]
            for run, fits in zip(runs, readers.map(is_of_source, runs), strict=True):
                if fits and found < _MOST_RUNS:
                    found += 1
                    yield run
            if found == _MOST_RUNS:
                return


def read_known(run: Run | None) -> dict[str, Item]:
    """The items of a run's catalogue by id, if the same installation made it and its digest is met.

    A run from the archive copied what earlier ones, maybe of other installations, had read of the source.
    """
    if run is None:
        return {}
    try:
        if (
            run.asked.get("from_archive")
            or run.environment != environment()
            or not run.is_intact("catalogue.jsonl")
        ):
            return {}
        return {item.id: item for item in run.source_items}
    except (ItemMissingError, ItemDamagedError):
        return {}


def find_sources(
    runs: Iterable[Run], catalogue: Catalogue, frames: Iterable[str], *, verify: bool = False
) -> Sources:
    """Compare a catalogue with what runs of the same dataset and source recorded, the newest first.

    ``runs`` are those of `runs_of`, ``frames`` the keys of the archived frames. ``verify`` makes every
    archived item suspect. A record that cannot be read is passed over.
    """
    search = _Search(catalogue, frames)
    for run in runs:
        search.read(run)
        if search.is_over:
            break
    return search.conclude(verify=verify)


def apply_versions(catalogue: Catalogue, versions: Mapping[str, int]) -> Catalogue:
    """The catalogue with the versions of its items, by id; items that are not named keep theirs."""
    items = (
        replace(item, version=versions[item.id]) if item.id in versions else item for item in catalogue.items
    )
    return replace(catalogue, items=tuple(items)) if versions else catalogue


def without_revisions(item: Item) -> Item:
    """An item as catalogues of earlier versions held it."""

    def plain(ref: ImageRef) -> ImageRef:
        return replace(ref, revision="")

    return replace(
        item,
        left=plain(item.left),
        right=item.right and plain(item.right),
        target=item.target and plain(item.target),
        blur_truth=item.blur_truth and plain(item.blur_truth),
        mask=item.mask and plain(item.mask),
        external={name: plain(ref) for name, ref in item.external.items()},
        auxiliary={name: plain(ref) for name, ref in item.auxiliary.items()},
    )


def is_same_source(recorded: Item, current: Item) -> bool:
    """Whether two entries of catalogues name the same contents, as far as both say.

    Views, truths and how they are read and scored count; the camera chooses stages, not contents.
    """
    if recorded is current or recorded == current:
        return True
    return _reading(recorded) == _reading(current) and _are_same(recorded.refs, current.refs)


def require_no_shrinkage(catalogue: Catalogue, sources: Sources) -> None:
    """Refuse a source where more than 5 %, and more than one, of the items of the run before are gone, or
    have lost their truths.

    Raises:
        SourceShrunkError: it is so.
    """
    if (error := find_shrinkage(catalogue, sources)) is not None:
        raise error


def find_shrinkage(catalogue: Catalogue, sources: Sources) -> SourceShrunkError | None:
    """The error of a source that has lost too many items; None of any other."""
    previous = sources.previous
    if previous is None or not previous.is_shrunk:
        return None
    folders = ", ".join(f"{count} in {folder}" for folder, count in previous.folders)
    return SourceShrunkError(
        "many pictures of the run before are gone from the source",
        where=catalogue.source,
        expected=f"most of what run {previous.run_id} found, {count_of(previous.items, 'item')}, "
        f"of which at most {MOST_GONE:.0%} may be gone",
        got=f"{count_of(len(catalogue.items), 'item')}; gone: {len(previous.vanished)}, "
        f"without their truths now: {len(previous.poorer)}; pictures: {folders}",
        remedy="if a folder or disk is not there, give the command again when it is; "
        "if they were removed on purpose, add --allow-shrink (allow_shrink of a flow)",
    )


class _Search:
    """Records are read into this, the newest first, until every archived item was found in one."""

    def __init__(self, catalogue: Catalogue, frames: Iterable[str]) -> None:
        self._catalogue = catalogue
        self._items = {item.id: item for item in catalogue.items}
        self._archived: dict[str, tuple[int, ...]] = {}
        for key in frames:
            item_id, version = split_item_key(key)
            if item_id in self._items:
                self._archived[item_id] = (*self._archived.get(item_id, ()), version)
        self._awaited = set(self._archived)
        self._recorded: dict[str, tuple[int, str]] = {}
        self._confirmed: set[str] = set()
        self._doubted: set[str] = set()
        self._previous: PreviousSource | None = None

    @property
    def is_over(self) -> bool:
        return not self._awaited and self._previous is not None

    def read(self, run: Run) -> None:
        """Learn from a run: which items there were and, of a finished one, which version each source held."""
        try:
            found = run.found if run.is_finished else {}
            gone, poorer = [], []
            for item in run.iterate_items():
                if not self._compare(item, found):
                    gone.append(item)
                elif _list_lost(item, self._items[item.id]):
                    poorer.append(item)
            of_part = run.asked.get("partial") or run.asked.get("from_archive")
            of_whole = run.header.layout == self._catalogue.layout and not of_part
            if self._previous is None and of_whole:
                self._previous = self._describe(run, gone, poorer)
        except (ItemMissingError, ItemDamagedError):
            return

    def conclude(self, *, verify: bool) -> Sources:
        known = self._archived.keys() | self._recorded.keys()
        confirmed = frozenset() if verify else frozenset(self._confirmed)
        suspects = {
            i: self._list_known(i) for i in known if i not in confirmed and self._is_suspect(i, verify)
        }
        versions = {i: self._begin_with(i) for i in known}
        return Sources(
            confirmed,
            suspects,
            {i: version for i, version in versions.items() if version != 1},
            self._previous,
        )

    def _compare(self, recorded: Item, found: Mapping[str, tuple[int, str]]) -> bool:
        """Take in an item of a record; False where it is no longer in the catalogue."""
        current = self._items.get(recorded.id)
        if current is None or recorded.id in self._recorded:
            return current is not None
        same = is_same_source(recorded, current)
        if recorded.id in found:
            self._recorded[recorded.id] = found[recorded.id]
            self._awaited.discard(recorded.id)
            if same and recorded.id not in self._doubted:
                self._confirmed.add(recorded.id)
        elif not same:
            self._doubted.add(recorded.id)  # a run that was stopped may have archived other content since
        return True

    def _is_suspect(self, item_id: str, verify: bool) -> bool:
        if verify or item_id in self._recorded or item_id in self._doubted:
            return True
        return self._archived[item_id] != (1,)

    def _list_known(self, item_id: str) -> dict[int, str]:
        recorded = self._recorded.get(item_id)
        return dict.fromkeys(self._archived.get(item_id, ()), "") | (
            {} if recorded is None else {recorded[0]: recorded[1]}
        )

    def _begin_with(self, item_id: str) -> int:
        recorded = self._recorded.get(item_id)
        return max(self._archived[item_id]) if recorded is None else recorded[0]

    def _describe(self, run: Run, gone: Iterable[Item], poorer: Sequence[Item]) -> PreviousSource:
        """What is gone since a run. A picture that is there and was refused has not vanished."""
        refused = {problem.where for problem in self._catalogue.problems}
        vanished = [item for item in gone if not any(ref.uri in refused for ref in item.refs.values())]
        lost = [ref for item in vanished for ref in item.refs.values()]
        for item in poorer:
            lost += _list_lost(item, self._items[item.id])
        folders = Counter(_folder_of(ref.uri, source=self._catalogue.source) for ref in lost)
        return PreviousSource(
            run.run_id,
            run.header.items,
            tuple(sorted(item.id for item in vanished)),
            tuple(sorted(item.id for item in poorer)),
            tuple(folders.most_common(_FOLDERS_NAMED)),
        )


def _reading(item: Item) -> tuple[object, ...]:
    """How the pictures of an item are read and scored."""
    scored = item.score_region, item.aligned, item.blur_truth_kind, item.dp_axis
    return *scored, item.development, peak_below_full_scale(item.peak), item.to_srgb


def _are_same(recorded: Mapping[str, ImageRef], current: Mapping[str, ImageRef]) -> bool:
    return recorded.keys() == current.keys() and all(_is_same(recorded[r], current[r]) for r in current)


def _is_same(recorded: ImageRef, current: ImageRef) -> bool:
    """By address and size, and by revision where both have one: earlier records do not."""
    known = bool(recorded.revision and current.revision)
    same = (plain_of(recorded.uri), recorded.size_bytes) == (plain_of(current.uri), current.size_bytes)
    return same and (not known or recorded.revision == current.revision)


def _list_lost(recorded: Item, current: Item) -> list[ImageRef]:
    """Truths and results of others that an item had. A lost second view is a problem of its own, and without
    its mask an item has more to score."""
    kept = {*current.refs, LEFT, RIGHT, MASK}
    return [ref for role, ref in recorded.refs.items() if role not in kept]


def _folder_of(uri: str, *, source: str) -> str:
    """The folder of a picture, relative to its source where it lies below it."""
    folder, root = uri.rpartition("/")[0], source.rstrip("/")
    return folder.removeprefix(root).strip("/") or "." if f"{folder}/".startswith(f"{root}/") else folder
