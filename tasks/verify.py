"""Everything in an archive hashed again, section by section: what is rotten, and what was left behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ldp_core.archive.addresses import Address
from ldp_core.archive.audit import Rot, audit_items
from ldp_core.archive.contents import Section, addresses_of, list_sections, list_strangers, read_section
from ldp_core.archive.run_records import audit_run, list_runs
from tasks.expected import find_missing, find_orphans
from tasks.progress import advance, expect
from tasks.spread import Spread, in_chunks

_AT_ONCE = 16
"""Items of one task: enough to forget the 2 ms that a task costs."""


@dataclass(slots=True)
class Verification:
    """What was hashed, and what is not right; everything by its path below the archive.

    Traces of stopped writers, harmless: ``torn`` are chunks without metadata, ``partial`` temporary
    files, ``orphaned`` companions of items that are not there. ``strange`` are objects no archive
    holds. ``unsealed``: runs whose records could only be parsed.
    """

    items: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    runs: int = 0
    unsealed: list[str] = field(default_factory=list)
    rotten: dict[str, Rot] = field(default_factory=dict)
    torn: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    def blame(self, rots: Iterable[Rot]) -> None:
        """Note what is rotten; each path once."""
        for rot in rots:
            self.rotten.setdefault(rot.path, rot)


def verify_archive(archive: str, spread: Spread) -> Verification:
    """Hash all items and records of an archive again.

    Memory here: the listing of one section at a time, and the ids of all; with a worker, one item
    per thread.

    Raises:
        StorageError: the store refused or could not be reached.
    """
    found = Verification(strange=list(list_strangers(archive)))
    ids = {section: _verify_section(archive, section, spread, found) for section in list_sections(archive)}
    _verify_runs(archive, spread, found)
    found.blame(find_missing(archive, ids))
    found.orphaned = [path for path, owner in find_orphans(ids) if owner not in found.rotten]
    found.torn = [path for path in found.torn if path.rpartition("/")[0] not in found.rotten]
    return found


def _verify_section(archive: str, section: Section, spread: Spread, found: Verification) -> frozenset[str]:
    """Audit the items of a section, note what else its listing shows; returns the ids."""
    holdings = read_section(archive, section)
    found.items[section.path] = len(holdings.items)
    found.size_bytes += holdings.size_bytes
    found.torn += holdings.torn
    found.partial += holdings.partial
    found.strange += holdings.strange
    expect(section.path, len(holdings.items))
    chunks = in_chunks(addresses_of(section, holdings), _AT_ONCE)
    for count, rots in spread(_audit_chunk, ((archive, chunk) for chunk in chunks)):
        found.blame(rots)
        advance(section.path, done=count, bad=len(rots))
    return frozenset(holdings.items)


def _audit_chunk(archive: str, chunk: tuple[Address, ...]) -> tuple[int, tuple[Rot, ...]]:
    return len(chunk), audit_items(archive, chunk)


def _verify_runs(archive: str, spread: Spread, found: Verification) -> None:
    for audit in spread(audit_run, ((archive, run_id) for run_id in list_runs(archive))):
        found.runs += 1
        found.blame(audit.rot)
        if not audit.sealed:
            found.unsealed.append(audit.run_id)
