"""What an archive ought to hold, by its runs' records and by what its items say of each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ldp_core.archive import ItemKind
from ldp_core.archive.addresses import Address
from ldp_core.archive.audit import Damage, Rot
from ldp_core.archive.contents import FRAMES, TRUTHS, Section
from ldp_core.archive.run_records import list_runs
from ldp_core.errors import ItemDamagedError, ItemMissingError
from tasks.records import is_finished, read_done, read_record, read_single

Ids = Mapping[Section, frozenset[str]]


def find_missing(archive: str, ids: Ids) -> Iterator[Rot]:
    """Items that are not there: frames of a result, and whatever a finished run has left.

    A run whose record is rotten says nothing; that is named in its own place.
    """
    for section, present in ids.items():
        if section.is_result:
            yield from _miss(FRAMES, present - ids.get(FRAMES, frozenset()))
    for run_id in list_runs(archive):
        yield from _miss_results(archive, run_id, ids)


def find_orphans(ids: Ids) -> Iterator[tuple[str, str]]:
    """Companions whose item is not there: their path, and the path of that item."""
    for section, present in ids.items():
        owner = _owner_of(section)
        if owner is None:
            continue
        for item in sorted(present - ids.get(owner, frozenset())):
            yield _path(section, item), _path(owner, item)


def _owner_of(section: Section) -> Section | None:
    if section.kind is ItemKind.CONFIDENCE:
        return Section(ItemKind.BLUR, section.stage_key)
    return FRAMES if section == TRUTHS else None


def _miss_results(archive: str, run_id: str, ids: Ids) -> Iterator[Rot]:
    try:
        if not is_finished(archive, run_id):
            return
        done, record = frozenset(read_done(archive, run_id)), read_record(archive, run_id)
        singles = read_single(archive, run_id) if record.single_stages else frozenset()
    except (ItemMissingError, ItemDamagedError):
        return
    yield from _miss(FRAMES, done - ids.get(FRAMES, frozenset()))
    for single, items in ((False, done - singles), (True, done & singles)):
        for place in record.sections_of(single):
            section = Section(*place)
            if section.kind is not ItemKind.CONFIDENCE:
                yield from _miss(section, items - ids.get(section, frozenset()))


def _miss(section: Section, items: frozenset[str]) -> Iterator[Rot]:
    for item in sorted(items):
        yield Rot(_path(section, item), Damage.MISSING)


def _path(section: Section, item: str) -> str:
    return Address(section.kind, section.stage_key, item).path
