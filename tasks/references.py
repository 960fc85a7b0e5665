"""What the runs of an archive refer to: it may not go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ldp_core.archive.contents import RUNS, Section
from ldp_core.archive.run_records import is_unbegun, list_runs
from ldp_core.errors import ArchiveError
from ldp_core.storage import join, list_folder
from tasks.records import read_listed, read_record


@dataclass(frozen=True, slots=True)
class References:
    """The runs that were read, every item they list, and their items by section."""

    runs: frozenset[str]
    items: frozenset[str] = frozenset()
    results: Mapping[Section, frozenset[str]] = field(default_factory=dict)

    def hold(self, section: Section, item: str) -> bool:
        """Whether a run refers to an item of a section."""
        return item in (self.results.get(section, frozenset()) if section.is_result else self.items)


_STARTING = timedelta(hours=1)
"""No run takes longer to write down what it sets out to do."""


def read_references(archive: str) -> References:
    """All that runs refer to, finished or not: what they listed, under the stage keys they recorded.

    A run that was killed before it had recorded what it set out to do refers to nothing.

    Raises:
        ItemDamagedError, ItemMissingError: a record cannot be read, so nobody knows what it refers to.
        ArchiveError: there is no run, so that everything would be left over; or one is just starting.
    """
    runs = [run_id for run_id in list_runs(archive) if not _never_began(archive, run_id)]
    if not runs:
        raise ArchiveError(
            "no run has left a record in this archive",
            where=archive,
            expected="at least one runs/<run id>/run.json",
            remedy="without records nothing can be told from what is left over; delete by hand",
        )
    items: set[str] = set()
    results: dict[Section, frozenset[str]] = {}
    for run_id in runs:
        listed = frozenset(read_listed(archive, run_id))
        items |= listed
        for place in read_record(archive, run_id).sections:
            section = Section(*place)
            results[section] = results.get(section, frozenset()) | listed
    return References(frozenset(runs), frozenset(items), results)


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
