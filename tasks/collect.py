"""Remove what no run refers to: results of older models and settings, and traces of stopped writers.

Whatever a run's record refers to stays, and whatever is younger than the grace period: a run that
starts meanwhile, or that still writes, loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ldp_core.archive.contents import FRAMES, TRUTHS, Holdings, Section, list_sections, read_section
from ldp_core.archive.run_records import list_runs
from ldp_core.storage import Entry, delete, join
from tasks.references import References, read_references
from tasks.spread import in_chunks

GRACE = timedelta(hours=24)
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Garbage:
    """What may go of one section: objects by item, metadata first, and the bytes of them all.

    ``leftovers`` are chunks without metadata that no run refers to, and temporary files.
    """

    section: Section
    items: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()
    size_bytes: int = 0


def find_garbage(archive: str, *, grace: timedelta = GRACE, now: datetime | None = None) -> list[Garbage]:
    """What may go, section by section; frames last, and only where no result of theirs stays.

    Raises:
        ArchiveError: as for `read_references`.
    """
    held, before = read_references(archive), (now or datetime.now(UTC)) - grace
    found, staying = [], set()
    for section in reversed(list_sections(archive)):
        if section in (FRAMES, TRUTHS):
            continue
        holdings = read_section(archive, section)
        garbage = _sift(section, holdings, held, before)
        staying |= set(holdings.items) - set(garbage.items)
        found.append(garbage)
    of_results = References(held.runs, held.items | staying, held.results)
    found += [_sift(s, read_section(archive, s), of_results, before) for s in (TRUTHS, FRAMES)]
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
        for chunk in in_chunks(some.items.items(), _AT_ONCE):
            held = held if frozenset(list_runs(archive)) == held.runs else read_references(archive)
            for item, paths in chunk:
                if not held.hold(some.section, item):
                    _delete(archive, paths)
                    gone[item] = paths
        _delete(archive, some.leftovers)
        done.append(Garbage(some.section, gone, some.leftovers, some.size_bytes))
    return done


def _sift(section: Section, holdings: Holdings, held: References, before: datetime) -> Garbage:
    loose = {i: o for i, o in holdings.items.items() if not held.hold(section, i) and _is_old(o, before)}
    traces = {**holdings.partial} | {
        p: e for p, e in holdings.torn.items() if not held.hold(section, _item(section, p))
    }
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


def _metadata_first(objects: Iterable[str]) -> Iterator[str]:
    return iter(sorted(objects, key=lambda path: not path.endswith(".json")))


def _delete(archive: str, paths: Iterable[str]) -> None:
    for path in paths:
        delete(join(archive, path))
