"""Everything in an archive hashed again, section by section: what is corrupt, missing, or left behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from toolz import partition_all

from ldp_core.archive import Address, Section
from ldp_core.archive.audit import Corruption, Damage, audit_group, audit_item
from ldp_core.archive.layout import (
    FRAME_SECTION,
    RUNS,
    list_sections,
    list_top_groups,
    list_unknown,
    read_listing,
)
from ldp_core.archive.run_files import STARTED, audit_run, list_runs
from ldp_core.errors import ItemDamagedError, ItemMissingError
from ldp_core.item_ids import split_item_key
from ldp_core.storage import join
from tasks.cluster import RunCalls
from tasks.pipeline import ARCHIVE_KINDS
from tasks.progress import advance, expect
from tasks.run import Run

_EXPECTING = (*STARTED, "items.jsonl")
"""Files of a record that say what the archive should hold."""
_AT_ONCE = 16
"""Items of one task: enough to forget the 2 ms that a task costs."""

Keys = Mapping[Section, frozenset[str]]
"""The item keys of an archive's sections."""


@dataclass(slots=True)
class Verification:
    """What was hashed, and what is not right; everything by its path below the archive.

    Harmless traces of stopped writers: ``incomplete`` are chunks without metadata, ``partial`` temporary
    files, ``orphaned`` sidecars of items that are not there. ``unknown`` are objects no archive holds.
    ``unchecked``: runs without digests, whose records could only be parsed.
    """

    items: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    runs: int = 0
    unchecked: list[str] = field(default_factory=list)
    corrupt: dict[str, Corruption] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def note(self, found: Iterable[Corruption]) -> None:
        """Note what is corrupt; each path once."""
        for corruption in found:
            self.corrupt.setdefault(corruption.path, corruption)


def verify_archive(archive: str, run_calls: RunCalls) -> Verification:
    """Hash all items and records of an archive again.

    Memory here: the listing of one section at a time, and the keys of all; with a worker, one item
    per thread.

    Raises:
        StorageError: the store refused or could not be reached.
    """
    found = Verification(unknown=list(list_unknown(archive, ARCHIVE_KINDS)))
    sections = list_sections(archive, ARCHIVE_KINDS)
    for path in list_top_groups(archive, ARCHIVE_KINDS):
        found.note(audit_group(archive, path))
    keys = {section: _verify_section(archive, section, run_calls, found) for section in sections}
    for audit in run_calls(audit_run, ((archive, run_id) for run_id in list_runs(archive))):
        found.runs += 1
        found.note(audit.corrupt)
        if not audit.checked:
            found.unchecked.append(audit.run_id)
    found.note(find_missing(archive, keys, unread=frozenset(found.corrupt)))
    found.orphaned = [path for path, owner in find_orphans(keys) if owner not in found.corrupt]
    found.incomplete = [path for path in found.incomplete if path.rpartition("/")[0] not in found.corrupt]
    return found


def find_missing(archive: str, keys: Keys, *, unread: Collection[str] = ()) -> Iterator[Corruption]:
    """Items that are not there: frames of a result, and whatever a finished run has left.

    A run says nothing where its record of that is corrupt, even where it can be read; ``unread`` has the
    paths of what is known to be corrupt.
    """
    frames = keys.get(FRAME_SECTION, frozenset())
    for section, present in keys.items():
        if section.is_result:
            yield from _miss(FRAME_SECTION, present - frames)
    for run_id in list_runs(archive):
        if any(join(RUNS, run_id, name) in unread for name in _EXPECTING):
            continue
        try:
            yield from list(_miss_results(Run(archive, run_id), keys))
        except (ItemMissingError, ItemDamagedError):
            continue


def find_orphans(keys: Keys) -> Iterator[tuple[str, str]]:
    """Sidecars whose item is not there: their path, and the path of that item."""
    for section, present in keys.items():
        if (owner := section.owner) is not None:
            for item in sorted(present - keys.get(owner, frozenset())):
                yield Address(section, item).path, Address(owner, item).path


def _miss_results(run: Run, keys: Keys) -> Iterator[Corruption]:
    if not run.is_finished:
        return
    completed = frozenset(run.completed)
    yield from _miss(FRAME_SECTION, completed - keys.get(FRAME_SECTION, frozenset()))
    for pipeline, stages in run.stages.items():
        listed = run.listed.get(pipeline, frozenset())
        served = frozenset(key for key in completed if split_item_key(key)[0] in listed)
        for stage in stages:
            yield from _miss(stage.section, served - keys.get(stage.section, frozenset()))


def _miss(section: Section, items: frozenset[str]) -> Iterator[Corruption]:
    for item in sorted(items):
        yield Corruption(Address(section, item).path, Damage.MISSING)


def _verify_section(
    archive: str, section: Section, run_calls: RunCalls, found: Verification
) -> frozenset[str]:
    """Audit the items of a section, note what else its listing shows; returns their keys."""
    listing = read_listing(archive, section)
    found.items[section.path] = len(listing.items)
    found.size_bytes += listing.size_bytes
    found.incomplete += listing.incomplete
    found.partial += listing.partial
    found.unknown += listing.unknown
    for path in listing.groups:
        found.note(audit_group(archive, path))
    expect(section.path, len(listing.items))
    chunks = partition_all(_AT_ONCE, (Address(section, item) for item in listing.items))
    for count, corrupt in run_calls(_audit_chunk, ((archive, chunk) for chunk in chunks)):
        found.note(corrupt)
        advance(section.path, done=count, bad=len(corrupt))
    return frozenset(listing.items)


def _audit_chunk(archive: str, chunk: tuple[Address, ...]) -> tuple[int, tuple[Corruption, ...]]:
    return len(chunk), tuple(one for a in chunk for one in audit_item(archive, a, ARCHIVE_KINDS))
