"""Problems of a source: what whole folders of it have lost, what stops a run, and all of them by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ldp_core.catalogue.pairing import BLUR_TRUTH, MISSING_FOLDER, RIGHT, TARGET, ItemSpec, ItemSpecs
from ldp_core.errors import IncompleteSourceError
from ldp_core.item_ids import readable
from ldp_core.types import Problem, ProblemGroup, QuarantineRecord

NO_SECOND_VIEWS: Final = "folder_without_second_views"
NO_TRUTHS: Final = "folder_without_truths"
STOPPING: Final = (NO_SECOND_VIEWS, NO_TRUTHS, MISSING_FOLDER)
"""Kinds of problems that stop a run before it computes: a folder was not copied, or cannot be seen."""

CATALOGUE: Final = "catalogue"
"""The stage of records that say what the catalogue refused."""

# One item is one lost picture; two that lose the same are a folder.
_LEAST_ITEMS: Final = 2
# Of a thousand folders of two items each, of which one picture in twenty is missing, 2.5 lack both by chance.
_BY_CHANCE: Final = 0.05
_EXAMPLES: Final = 3
_REMEDY: Final = (
    "find these pictures: was every folder copied, and can this machine see it? "
    "If the dataset is meant to be so, give --allow-single"
)


@dataclass(frozen=True, slots=True)
class _Loss:
    """A folder none of whose items has what most items elsewhere have."""

    folder: str
    items: int
    first: ItemSpec
    elsewhere: str


def find_losses(found: ItemSpecs) -> list[Problem]:
    """What all items of a folder lack while others have it: second views, truths, blur truths.

    Of a layout of pairs, most items elsewhere have a second view. Truths of a small part of a dataset are
    usual (a test split): at least half of all items must have one.

    A folder is what comes before the last ``/`` in the name of an item, at every depth; of one that has lost
    all, those below it are not named. Where no item of a layout of pairs has a second view, that is one too.
    Folders of one item count as a lost picture, and so do folders that are few enough to be chance.
    """
    if not found.named_by_folder:
        return []
    problems = _find_single_views(found.items) if found.of_pairs else []
    expecting = [spec for spec in found.items if spec.truth_expected]
    for role, name in ((TARGET, "truth"), (BLUR_TRUTH, "blur truth")):
        having = [role in spec.pictures for spec in expecting]
        if 2 * sum(having) < len(having):
            continue
        losses = _find_folders(expecting, having)
        problems += [_describe(loss, NO_TRUTHS, what=f"a {name}", more="one") for loss in losses]
    return problems


def require_whole(problems: Iterable[Problem], *, where: str, allow_single: bool = False) -> None:
    """Refuse a source of which whole folders have lost pictures, unless that is allowed.

    Raises:
        IncompleteSourceError: there is a problem of one of the kinds `STOPPING`.
    """
    stopping = [problem for problem in problems if problem.kind in STOPPING]
    if stopping and not allow_single:
        more = f"; and {len(stopping) - 1} more such folders, see `ldp plan`" if stopping[1:] else ""
        raise IncompleteSourceError(
            "pictures of whole folders are missing",
            where=where,
            expected="folders of a source that hold the same kinds of pictures",
            got=f"{stopping[0].where}: {stopping[0].message}{more}",
            remedy=_REMEDY,
        )


def group_problems(problems: Iterable[Problem]) -> tuple[ProblemGroup, ...]:
    """Problems by kind: those that stop a run first, then the most frequent; three examples of each."""
    groups: dict[str, list[Problem]] = {}
    for problem in problems:
        groups.setdefault(problem.kind, []).append(problem)
    ordered = sorted(groups.items(), key=lambda one: (one[0] not in STOPPING, -len(one[1]), one[0]))
    return tuple(
        ProblemGroup(kind, len(some), sum(one.refuses_item for one in some), tuple(some[:_EXAMPLES]))
        for kind, some in ordered
    )


def group_quarantine(records: Iterable[QuarantineRecord]) -> tuple[ProblemGroup, ...]:
    """As `group_problems`, quarantined items but for those that the catalogue has refused."""
    return group_problems(
        Problem(record.item, record.kind, record.message, record.remedy)
        for record in records
        if record.stage != CATALOGUE
    )


def make_readable(problem: Problem) -> Problem:
    """The problem with what is no Unicode written as escapes: JSON of other texts is refused by readers."""
    texts = (readable(text) for text in (problem.where, problem.message, problem.remedy))
    where, message, remedy = texts
    return replace(problem, where=where, message=message, remedy=remedy)


def _find_single_views(items: Sequence[ItemSpec]) -> list[Problem]:
    both = [RIGHT in spec.pictures for spec in items]
    if len(items) >= _LEAST_ITEMS and not any(both):
        message = f"all {len(items)} items have one view only, in a layout of pairs"
        return [_problem(items[0].where, NO_SECOND_VIEWS, message, ", or take the layout 'single'")]
    losses = _find_folders(items, both)
    return [_describe(loss, NO_SECOND_VIEWS, what="a second view", more="two views") for loss in losses]


def _find_folders(items: Sequence[ItemSpec], having: Sequence[bool]) -> Iterator[_Loss]:
    """The topmost folders of two items or more none of which has what most items elsewhere have."""
    total: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    first: dict[str, ItemSpec] = {}
    for spec, has in zip(items, having, strict=True):
        for folder in _folders_of(spec):
            total[folder] += 1
            kept[folder] += has
            first.setdefault(folder, spec)
    lost = {folder for folder, count in total.items() if count >= _LEAST_ITEMS and not kept[folder]}
    elsewhere = [has for spec, has in zip(items, having, strict=True) if lost.isdisjoint(_folders_of(spec))]
    if not lost or 2 * sum(elsewhere) <= len(elsewhere):
        return
    lacking = 1 - sum(elsewhere) / len(elsewhere)
    for folder in sorted(lost):
        by_chance = len(total) * lacking ** total[folder]
        if folder.rpartition("/")[0] not in lost and by_chance < _BY_CHANCE:
            share = f"{sum(elsewhere)} of {len(elsewhere)}"
            yield _Loss(folder, total[folder], first[folder], share)


def _folders_of(spec: ItemSpec) -> list[str]:
    parts = spec.name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _describe(loss: _Loss, kind: str, *, what: str, more: str) -> Problem:
    message = f"none of the {loss.items} items in '{loss.folder}' has {what}"
    return _problem(loss.first.where, kind, f"{message}; {loss.elsewhere} elsewhere have {more}")


def _problem(where: str, kind: str, message: str, more: str = "") -> Problem:
    return Problem(where, kind, message, _REMEDY + more, refuses_item=False)
