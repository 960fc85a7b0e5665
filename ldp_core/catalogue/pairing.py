"""Pairing files by name: a rule says which item and role a path belongs to, or that it has none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal

from ldp_core.catalogue.drafts import COMPANION, LEFT, RIGHT, Draft, Drafts
from ldp_core.item_ids import is_unicode
from ldp_core.storage import absolute_url, join, list_sizes
from ldp_core.types import BlurTruthKind, Problem, Region

Rule = Callable[[str], tuple[str, str] | None]
"""A path, relative to the source, to the item's name and the picture's role; None for a stray file.

An empty name is that of no item: the layout finds its place itself (`Drafts.sizes_bytes` lists all files).
"""

Views = Literal["both", "one missing is noted", "one"]
"""Which views an item of a layout must have."""

_FULL = Region()
_Group = dict[str, list[str]]


def suffix_rule(roles: Mapping[str, str], *, extension: str = "png") -> Rule:
    """The rule for ``<name>_<suffix>.<extension>`` at the top of a source, from suffix to role."""
    pattern = re.compile(rf"([^/]+)_({'|'.join(map(re.escape, roles))})\.{extension}")

    def classify(path: str) -> tuple[str, str] | None:
        match = pattern.fullmatch(path)
        return (match[1], roles[match[2]]) if match else None

    return classify


def pair_files(
    source: str,
    rule: Rule,
    *,
    companions: Collection[str] = (),
    score_region: Region = _FULL,
    aligned: bool = True,
    blur_truth_kind: BlurTruthKind = BlurTruthKind.UNSIGNED,
    views: Views = "one missing is noted",
) -> Drafts:
    """Group the files below a source by the names a rule gives them.

    ``views``: where one of two views is missing, the other one is an item of a single view, and a
    problem says so; ``both`` refuses it, for layouts that make views of both together; ``one`` is for
    layouts of single views, whose only role of a view is ``left``.
    ``companions`` are paths known to lie beside the pictures. Hidden files (a leading dot in any part of
    the path) are no part of a dataset. Every other file is in a draft or named in a problem.
    """
    root = absolute_url(source)
    sizes = {path: size for path, size in list_sizes(root).items() if not _is_hidden(path)}
    groups, problems = _group_files((path for path in sizes if path not in companions), rule, root=root)
    drafts = []
    for name, group in groups.items():
        if fault := _find_fault(name, group, root=root, views=views):
            problems.append(fault)
            continue
        if views != "one" and (note := _take_only_view(name, group, root=root)):
            problems.append(note)
        pictures = {role: join(root, paths[0]) for role, paths in group.items() if role != COMPANION}
        drafts.append(Draft(name, pictures[LEFT], pictures, score_region, aligned, blur_truth_kind))
    return Drafts(tuple(drafts), tuple(problems), {join(root, path): size for path, size in sizes.items()})


def _is_hidden(path: str) -> bool:
    return path.startswith(".") or "/." in path


def _group_files(paths: Iterable[str], rule: Rule, *, root: str) -> tuple[dict[str, _Group], list[Problem]]:
    groups: dict[str, _Group] = defaultdict(lambda: defaultdict(list))
    problems = []
    for path in paths:
        if not is_unicode(path):
            problems.append(_unusable_name(join(root, path)))
        elif (found := rule(path)) is None:
            problems.append(_stray(join(root, path)))
        else:
            name, role = found
            groups[name][role].append(path)
    groups.pop("", None)
    return groups, problems


def _find_fault(name: str, group: _Group, *, root: str, views: Views) -> Problem | None:
    files = ", ".join(path for paths in group.values() for path in paths)
    where = join(root, next(iter(group.values()))[0])
    if twice := [role for role, paths in group.items() if len(paths) > 1 and role != COMPANION]:
        return Problem(
            where,
            "duplicate_view",
            f"item '{name}' has more than one {twice[0]} picture: {files}",
            "keep one of them",
        )
    missing = [role for role in _roles_of(views) if role not in group]
    if missing and (views != "one missing is noted" or len(missing) == 2):
        return Problem(
            where,
            "missing_partner",
            f"item '{name}' has no {' and no '.join(missing)} picture; it has {files}",
            "add the missing picture under the same name, or remove the rest of this item",
        )
    return None


def _roles_of(views: Views) -> tuple[str, ...]:
    return (LEFT,) if views == "one" else (LEFT, RIGHT)


def _take_only_view(name: str, group: _Group, *, root: str) -> Problem | None:
    """Make the only view of an item its left one, and say so; None where both are there."""
    if LEFT in group and RIGHT in group:
        return None
    there, missing = (LEFT, RIGHT) if LEFT in group else (RIGHT, LEFT)
    group[LEFT] = group.pop(there)
    return Problem(
        join(root, group[LEFT][0]),
        "second_view_missing",
        f"item '{name}' has no {missing} picture; its {there} one is restored as a single view",
        "add the missing picture under the same name, under another dataset name where the single view "
        "is archived already",
        refuses_item=False,
    )


def _unusable_name(where: str) -> Problem:
    return Problem(
        where.encode("utf-8", "backslashreplace").decode(),
        "unusable_name",
        "the name of this file is not Unicode",
        "rename it",
        refuses_item=False,
    )


def _stray(where: str) -> Problem:
    return Problem(
        where,
        "stray_file",
        "the layout has no place for this file",
        "rename it as the layout asks, move it away, or choose another layout",
        refuses_item=False,
    )
