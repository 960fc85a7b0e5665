"""Folders ``left/``, ``right/`` and, where there are any, ``target/``, ``coc/``, ``methods/NAME/``.

Same stem, same item; extensions may differ between the folders, and folders below them are part of the name.
``coc/`` holds the signed circle of confusion as 16-bit grey pictures (`ldp_core.catalogue.encode_coc_px`),
``methods/NAME/`` what another method has restored.

Other names are read as well (`ldp_core.catalogue.role_words`), wherever names as above pair nothing:

    Left/, L/, gt/, GT/, sharp/                other words for the folders
    train/left/, train/right/, val/left/       the folders below others; `train` is part of the name
    left/IMG_1_L.png, right/IMG_1_R.png        marks in the names of views; the item is IMG_1
    IMG_1_L.png, IMG_1_R.png, IMG_1_gt.png     marks without folders
    IMG_1/left.png, IMG_1/right.png            a folder for each scene

A mark counts only where it brings two views together, and marks without folders only where no other layout
has a place for more of the files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ldp_core.catalogue.fitting import find_fitting_layout
from ldp_core.catalogue.pairing import (
    BLUR_TRUTH,
    LEFT,
    PICTURE_EXTENSIONS,
    RIGHT,
    TARGET,
    ItemSpecs,
    is_of_system,
    list_visible,
    normalise,
    pair_files,
)
from ldp_core.catalogue.role_words import RESERVED, WORDS, role_of, split_mark, strip_method
from ldp_core.item_ids import is_unicode
from ldp_core.storage import absolute_url
from ldp_core.types import BlurTruthKind, Problem

METHODS: Final = "methods"
_USUAL: Final = {"left": LEFT, "right": RIGHT, "target": TARGET, "coc": BLUR_TRUTH}
_VIEWS: Final = {LEFT, RIGHT}
_TRUTHS: Final = {TARGET, BLUR_TRUTH}
_HINT: Final = (
    "put it below left/, right/ or target/, or end names in _L and _R; else pair by a pattern (--pair-by), "
    "choose another layout, or move it away"
)

Place = tuple[str, str]
"""The name of an item, and the role of a picture."""


def read_folders(source: str) -> ItemSpecs:
    """Pair the files below the folders."""
    root = absolute_url(source)
    listing = list_visible(root)
    usable = [path for path in listing if is_unicode(path) and not is_of_system(path) and _is_picture(path)]
    reader = _Reader.of(usable)
    placed, problems = reader.place(usable), list[Problem]()
    if _VIEWS.isdisjoint(role for _, role in placed.values()) and (marked := _pair_by_marks(usable)):
        better = find_fitting_layout(root, list(listing), used=len(marked), than="folders")
        placed, problems = (placed, [better]) if better else (marked, [])
    found = pair_files(
        root,
        lambda path: placed.get(path) or reader.find_place(path),
        blur_truth_kind=BlurTruthKind.SIGNED_COC_PX,
        listing=listing,
    )
    return replace(found, problems=(*problems, *map(_with_hint, found.problems)))


def _is_picture(path: str) -> bool:
    return _split_suffix(path)[1].lower() in PICTURE_EXTENSIONS


def _split_suffix(path: str) -> tuple[str, str]:
    """A relative path without its suffix, and that, as of pathlib, which takes ten times as long."""
    place = path.rfind(".")
    is_suffix = path.rfind("/") + 1 < place < len(path) - 1
    return (path[:place], path[place:]) if is_suffix else (path, "")


def _with_hint(problem: Problem) -> Problem:
    stray = problem.kind == "stray_file" and _is_picture(problem.where)
    return replace(problem, remedy=_HINT) if stray else problem


@dataclass(frozen=True, slots=True)
class _Reader:
    """Which folders of a source hold a role. ``parents`` are the folders that hold left and right ones."""

    folders: Mapping[str, str]
    parents: Collection[str] = field(default=())

    @classmethod
    def of(cls, paths: Iterable[str]) -> _Reader:
        """The usual folders at the top where both views are there; else any that users may have named."""
        words: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for folder in _list_folders(paths):
            parent, _, name = folder.rpartition("/")
            if role := role_of(name):
                words[parent][role].add(name)
        if {"left", "right"} <= {name for names in words[""].values() for name in names}:
            truths = {_choose(names, role): role for role, names in words[""].items() if role in _TRUTHS}
            return cls(_USUAL | truths, ("",))  # a link in place of a usual folder is told, too
        if not any(roles.keys() >= _VIEWS for roles in words.values()):
            return cls(_USUAL)
        parents = [parent for parent, roles in words.items() if not _VIEWS.isdisjoint(roles)]
        chosen = {
            _join(parent, _choose(names, r)): r for parent in parents for r, names in words[parent].items()
        }
        return cls(chosen, parents)

    def place(self, paths: Iterable[str]) -> dict[str, Place]:
        """Item and role of the paths that lie in a folder that holds one."""
        found = ((path, self.find_place(path)) for path in paths)
        return _strip_marks({path: place for path, place in found if place is not None})

    def find_place(self, path: str) -> Place | None:
        """By its folders alone, the outermost that holds a role."""
        if not _is_picture(path):
            return None
        parts = _split_suffix(path)[0].split("/")
        for depth in range(len(parts) - 1):
            above, below = "/".join(parts[:depth]), parts[depth + 1 :]
            if role := self.folders.get(_join(above, parts[depth])):
                return _join(above, "/".join(below)), role
            known = not above or above in self.parents
            if known and parts[depth] == METHODS and len(below) > 1 and below[0] not in RESERVED:
                return _join(above, "/".join(below[1:])), below[0]
        return None


def _list_folders(paths: Iterable[str]) -> Iterator[str]:
    """Every folder that holds a picture, and those above it, once each."""
    seen: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in seen:
            seen.add(folder)
            yield folder
            folder = folder.rpartition("/")[0]


def _choose(names: Iterable[str], role: str) -> str:
    """Of folders of one role beside each other the usual one, else the first in the order of the words."""
    words = WORDS[role]
    return min(names, key=lambda name: (name not in _USUAL, words.index(name.casefold()), name))


def _strip_marks(placed: dict[str, Place]) -> dict[str, Place]:
    """The places, where names without their marks bring together views that have no partner as they are."""
    roles: dict[str, set[str]] = defaultdict(set)
    for name, role in placed.values():
        roles[normalise(name)].add(role)
    lone = {path: place for path, place in placed.items() if not roles[normalise(place[0])] >= _VIEWS}
    views = {path: _scene_of(place) for path, place in lone.items() if place[1] in _VIEWS}
    sides: dict[str, set[str]] = defaultdict(set)
    for path, scene in views.items():
        sides[normalise(scene)].add(placed[path][1])
    if any(found >= _VIEWS for found in sides.values()):
        for path, scene in views.items():
            if placed[path][1] not in roles.get(normalise(scene), set()) or scene == placed[path][0]:
                placed[path] = scene, placed[path][1]
    return placed | _place_beside(placed, lone.keys() - views.keys())


def _scene_of(place: Place) -> str:
    """The name without the mark of its role."""
    name, role = place
    marked = split_mark(name)
    return marked[0] if marked and marked[1] == role else name


def _place_beside(placed: Mapping[str, Place], others: Iterable[str]) -> dict[str, Place]:
    """Truths and results of others, whose names have marks of their own, beside the views of their scene."""
    scenes = {normalise(name): name for name, role in placed.values() if role in _VIEWS}
    taken = {(normalise(name), role) for name, role in placed.values()}
    found: dict[str, Place] = {}
    for path in others:
        name, role = placed[path]
        marked = split_mark(name)
        plain = strip_method(name, role)
        for scene in (name, plain, *([marked[0]] if marked else [])):
            key = normalise(scene)
            if key in scenes and (scene == name or (key, role) not in taken):
                found[path] = scenes[key], role
                break
    return found


def _pair_by_marks(paths: Collection[str]) -> dict[str, Place]:
    """Item and role by marks alone, and by folders of truths and other methods beside the views; nothing
    where marks bring no two views together."""
    marked = {path: split_mark(_split_suffix(path)[0]) for path in paths}
    views = {path: place for path, place in marked.items() if place and place[1] in _VIEWS}
    sides: dict[str, set[str]] = defaultdict(set)
    for scene, role in views.values():
        sides[normalise(scene)].add(role)
    if not any(found >= _VIEWS for found in sides.values()):
        return {}
    beside = _Reader({f: r for f in _list_folders(paths) if (r := role_of(f.rpartition("/")[2])) in _TRUTHS})
    others = {path: place for path in paths if path not in views and (place := beside.find_place(path))}
    truths = {p: place for p, place in marked.items() if place and p not in others and place[1] in _TRUTHS}
    placed = views | others | truths
    return placed | _place_beside(placed, others)


def _join(above: str, below: str) -> str:
    return f"{above}/{below}" if above else below
