"""Photographs of a single view, with or without an all-in-focus picture of each.

    input/NAME.png  {ground_truth,target,gt}/NAME.png   in two folders, as LFDOF (Ruan et al., TIP 2021)
    DIR/input/NAME.png  DIR/gt/NAME.png                 two folders side by side, at any depth
    NAME_input.png  NAME_{gt,target}.png                side by side, in any folder
    NAME.png                                            any other picture is a photograph without a truth

Restoration sets name the two folders in many ways (`PHOTOGRAPHS` and `TRUTHS`, in any case). Except for those
of the first line, which hold their roles always, such names are common words: two folders count only where
they hold a picture of one name. Extensions may differ between the pictures of an item. Folders below are part
of the name, and so are those above.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

from ldp_core.catalogue.pairing import (
    LEFT,
    PICTURE_EXTENSIONS,
    TARGET,
    ItemSpecs,
    Rule,
    is_of_system,
    list_visible,
    normalise,
    pair_files,
)
from ldp_core.item_ids import is_unicode
from ldp_core.storage import absolute_url, join
from ldp_core.types import Problem

PHOTOGRAPHS: Final = (
    *("input", "inputs", "source", "inputc", "input_crops", "blur", "blurred", "blurry", "defocus"),
    *("defocused", "lq", "degraded", "noisy", "hazy", "rain", "rainy", "low"),
)
"""Folders of photographs, in lower case; the first of them that fits counts."""
TRUTHS: Final = (
    *("ground_truth", "target", "gt", "targets", "target_crops", "groundtruth", "ground-truth", "sharp"),
    *("hq", "reference", "clean", "clear", "norain", "high"),
)
"""Folders of truths, likewise."""

_ALWAYS: Final = {"input": LEFT, "ground_truth": TARGET, "target": TARGET, "gt": TARGET}
"""Folders at the top of a source that hold a role whatever lies beside them."""
_SUFFIX = re.compile(r"(.+)_(input|gt|target)")
_Roles = Mapping[str, str]


def read_single(source: str) -> ItemSpecs:
    """Find the photographs below a folder; a truth without its photograph is named."""
    root = absolute_url(source)
    listing = list_visible(root)
    roles, notes = _find_roles(filter(_may_be_of_item, listing), root=root)
    found = pair_files(source, _make_rule(roles), views="one", listing=listing)
    alone = [item.pictures[LEFT] for item in found.items if TARGET not in item.pictures]
    expecting = _find_expecting(roles, root=root)
    items = (replace(item, truth_expected=expecting(item.pictures[LEFT])) for item in found.items)
    problems = (*found.problems, *notes, *_find_equal_folders(alone))
    return replace(found, items=tuple(items), problems=problems)


def _may_be_of_item(path: str) -> bool:
    return _is_picture(path) and is_unicode(path) and not is_of_system(path)


def _is_picture(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in PICTURE_EXTENSIONS


def _make_rule(roles: _Roles) -> Rule:
    """The rule, given the folders that hold a role."""

    def classify(path: str) -> tuple[str, str] | None:
        if not _is_picture(path):
            return None
        name = str(PurePosixPath(path).with_suffix(""))
        for above, folder, below in _splits(name):
            if role := roles.get(_join(above, folder)):
                return _join(above, below), role
        marked = _SUFFIX.fullmatch(name)
        return (marked[1], LEFT if marked[2] == "input" else TARGET) if marked else (name, LEFT)

    return classify


def _find_roles(paths: Iterable[str], *, root: str) -> tuple[_Roles, list[Problem]]:
    """Roles of folders by path, and a note for each two whose names fit while their pictures do not."""
    names: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in paths:
        for above, folder, below in _splits(str(PurePosixPath(path).with_suffix(""))):
            if folder.lower() in PHOTOGRAPHS or folder.lower() in TRUTHS:
                names[above][folder].add(below)
    roles, notes = dict(_ALWAYS), []
    for above, folders in names.items():
        pairs = _candidates(folders, at_top=not above)
        fitting = next((pair for pair in pairs if _share_name(folders[pair[0]], folders[pair[1]])), None)
        if fitting:
            roles |= {_join(above, fitting[0]): LEFT, _join(above, fitting[1]): TARGET}
        elif pairs:
            notes.append(_no_name_in_common(*(join(root, _join(above, folder)) for folder in pairs[0])))
    return roles, notes


def _find_expecting(roles: _Roles, *, root: str) -> Callable[[str], bool]:
    """Whether a photograph, by its URL, is marked as one that has a truth.

    It is by its own name, or by a folder named as those beside truths; others have none by intent.
    """
    words = {folder.rpartition("/")[2].lower() for folder, role in roles.items() if role == LEFT}

    def expects(url: str) -> bool:
        path = PurePosixPath(url.removeprefix(root))
        marked = _SUFFIX.fullmatch(path.stem)
        return bool(marked and marked[2] == "input") or not words.isdisjoint(map(str.lower, path.parts[:-1]))

    return expects


def _share_name(some: Iterable[str], others: Iterable[str]) -> bool:
    return not set(map(normalise, some)).isdisjoint(map(normalise, others))


def _candidates(folders: Iterable[str], *, at_top: bool) -> list[tuple[str, str]]:
    """Folders of photographs with folders of truths, in the order of the tables."""
    sides = []
    for words, role in ((PHOTOGRAPHS, LEFT), (TRUTHS, TARGET)):
        side = sorted((f for f in folders if f.lower() in words), key=lambda f: (words.index(f.lower()), f))
        always = [folder for folder in side if at_top and _ALWAYS.get(folder) == role]
        sides.append(always or side)
    return [(photographs, truths) for photographs in sides[0] for truths in sides[1]]


def _splits(name: str) -> Iterator[tuple[str, str, str]]:
    """A path at each of its folders: what is above it, the folder, what is below; from the top."""
    parts = name.split("/")
    for place in range(len(parts) - 1):
        yield "/".join(parts[:place]), parts[place], "/".join(parts[place + 1 :])


def _join(above: str, below: str) -> str:
    return f"{above}/{below}" if above else below


def _no_name_in_common(photographs: str, truths: str) -> Problem:
    return Problem(
        photographs,
        "folders_do_not_pair",
        f"this folder and {truths} are named as photographs and truths, but no picture has one name in both",
        "if they belong together, give both pictures of an item one name",
        refuses_item=False,
    )


def _find_equal_folders(photographs: Iterable[str]) -> list[Problem]:
    """One note where two folders share at least half of their names, among photographs without a truth."""
    folders: dict[str, set[str]] = defaultdict(set)
    for path in map(PurePosixPath, photographs):
        folders[path.stem].add(str(path.parent))
    sizes = Counter(folder for found in folders.values() for folder in found)
    # Neighbours in order only: all pairs of a thousand folders of frames would be half a million.
    shared = Counter(pair for found in folders.values() for pair in pairwise(sorted(found)))
    alike = [pair for pair, count in sorted(shared.items()) if 2 * count >= min(sizes[f] for f in pair)]
    return [_equal_folders(*alike[0], others=len(alike) - 1)] if alike else []


def _equal_folders(first: str, second: str, *, others: int) -> Problem:
    more = f", and {others} more such pairs" if others else ""
    return Problem(
        first,
        "folders_of_equal_names",
        f"this folder and {second} hold pictures of the same names{more}; all are taken as photographs",
        "if one holds the truths, name the two folders 'input' and 'gt'",
        refuses_item=False,
    )
