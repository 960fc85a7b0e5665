"""The files of a source to items: a rule tells which item and role a path belongs to, or that it has none.

Pairing is by name only, never by sorted order; letter case and the form of accents (NFC or NFD) count only
where names would not be unique without them. No picture is opened here.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final, Literal

from ldp_core.errors import count_of
from ldp_core.images.unread import find_unread_extension
from ldp_core.item_ids import is_unicode, readable
from ldp_core.storage import Entry, absolute_url, is_partial, join, list_entries, read_link
from ldp_core.types import GENERIC_CAMERA, BlurTruthKind, DpAxis, Metadatum, Problem, Region

LEFT, RIGHT, TARGET, BLUR_TRUTH = "left", "right", "target", "blur_truth"
MASK: Final = "mask"
SIDECAR: Final = "sidecar"
"""The role of a file that belongs to an item and is not read."""

PICTURE_EXTENSIONS: Final = frozenset(
    {
        *(".png", ".tif", ".tiff", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".ppm", ".pgm"),
        *(".jp2", ".j2k", ".j2c", ".jpf", ".jpx", ".jxl", ".avif", ".mpo"),
        *(".npy", ".exr", ".dng"),
    }
)
"""Of the pictures that are read, in lower case."""

_SYSTEM_FOLDERS: Final = frozenset(
    {"@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "__macosx"}
    | {"$recycle.bin", "system volume information", "lost+found"}
)
"""Folders that storage devices and systems make beside pictures, with thumbnails and deleted files."""
_SYSTEM_FILES: Final = frozenset({"thumbs.db", "desktop.ini"})

Rule = Callable[[str], tuple[str, str] | None]
"""A path, relative to the source, to the item's name and the picture's role; None where it has no place.

An empty name is that of no item: the layout finds its place itself (`ItemSpecs.sizes_bytes` lists all files).
"""

MISSING_FOLDER: Final = "missing_folder"
"""The kind of a problem: a link leads nowhere that stands where others are folders of pictures."""

Views = Literal["both", "one or both", "one"]
"""Which views an item of a layout must have."""

_FULL: Final = Region()
_Group = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class ItemSpec:
    """An item before its pictures are opened: its name in the source, and the URL of each picture by role.

    Roles are ``left``, ``right``, ``target``, ``blur_truth``, ``mask``; any other names an external result.
    ``development`` and ``auxiliary`` are as in `ldp_core.types.Item`, the latter as URLs.
    ``where`` is the file, or the row of a manifest, that a problem of this item points to. ``peak`` is the
    pixel value of full scale where the source names it (65535 to say that the range is full).
    ``truth_expected``: whether an item like this one has a truth where others of the source do.
    ``own_region``: the source names its region, which then must lie inside its pictures. ``camera`` and
    ``metadata`` are as in `ldp_core.types.Item`.
    """

    name: str
    where: str
    pictures: Mapping[str, str]
    score_region: Region = _FULL
    aligned: bool = True
    blur_truth_kind: BlurTruthKind = BlurTruthKind.UNSIGNED
    dp_axis: DpAxis = DpAxis.X
    development: str = ""
    auxiliary: Mapping[str, str] = field(default_factory=dict)
    peak: int | None = None
    truth_expected: bool = True
    own_region: bool = False
    camera: str = GENERIC_CAMERA
    metadata: Mapping[str, Metadatum] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemSpecs:
    """What a layout finds in a source: items, and what it could not pair.

    ``sizes_bytes`` are encoded sizes by URL, as far as a listing told them; ``revisions`` tell contents of
    one address apart (`ldp_core.storage.Entry`); ``modified`` is when they were last changed.
    ``named_by_folder``: names of items begin with the folders that they lie in, and a folder may have lost
    pictures that others have; ``of_pairs``: items are meant to have two views.
    """

    items: tuple[ItemSpec, ...]
    problems: tuple[Problem, ...] = ()
    sizes_bytes: Mapping[str, int] = field(default_factory=dict)
    revisions: Mapping[str, str] = field(default_factory=dict)
    modified: Mapping[str, datetime | None] = field(default_factory=dict)
    named_by_folder: bool = False
    of_pairs: bool = False


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
    sidecars: Collection[str] = (),
    score_region: Region = _FULL,
    aligned: bool = True,
    blur_truth_kind: BlurTruthKind = BlurTruthKind.UNSIGNED,
    views: Views = "one or both",
    listing: Mapping[str, Entry] | None = None,
) -> ItemSpecs:
    """Group the files below a source by the names a rule gives them.

    ``views``: where one of two views is missing, the other one is an item of a single view, and a
    problem says so; ``both`` refuses it, for layouts that make views of both together; ``one`` is for
    layouts of single views, whose only role of a view is ``left``.
    ``sidecars`` are paths known to lie beside the pictures. Hidden files (a leading dot in any part of
    the path) are no part of a dataset; those of storage devices (`@eaDir`, `__MACOSX`) are counted in a
    problem. ``listing`` is what `list_visible` gave for this source, where a layout
    has made it already. Every other file is in an item or named in a problem.

    Raises:
        StorageError: the store refused or could not be reached.
    """
    root = absolute_url(source)
    listing = list_visible(root) if listing is None else listing
    system = [path for path in listing if is_of_system(path)]
    listing = {path: e for path, e in listing.items() if not is_of_system(path)} if system else listing
    groups, problems = _group_files((path for path in listing if path not in sidecars), rule, root=root)
    problems = _explain_links(problems, listing, rule, root=root)
    problems += [_system_files(system, root=root)] if system else []
    items = []
    for name, group in groups.items():
        if fault := _find_fault(name, group, root=root, views=views):
            problems.append(fault)
            continue
        if views != "one" and (note := _take_only_view(name, group, root=root)):
            problems.append(note)
        pictures = {role: join(root, paths[0]) for role, paths in group.items() if role != SIDECAR}
        items.append(ItemSpec(name, pictures[LEFT], pictures, score_region, aligned, blur_truth_kind))
    urls = {join(root, path): entry for path, entry in listing.items() if is_unicode(path)}
    return ItemSpecs(
        tuple(items),
        tuple(problems),
        {url: entry.size_bytes for url, entry in urls.items() if entry.size_known},
        {url: entry.revision for url, entry in urls.items()},
        {url: entry.modified for url, entry in urls.items()},
        named_by_folder=True,
        of_pairs=views == "one or both",
    )


def list_visible(root: str) -> dict[str, Entry]:
    """The files below a URL that are not hidden, by relative path.

    Raises:
        StorageError: the store refused or could not be reached.
    """
    found = list_entries(root)
    return {path: entry for path, entry in found.items() if not (_is_hidden(path) or is_partial(path))}


def _is_hidden(path: str) -> bool:
    return path.startswith(".") or "/." in path


def is_of_system(path: str) -> bool:
    """Whether a relative path is of a storage device or system, not of the dataset."""
    *folders, name = path.lower().split("/")
    return name in _SYSTEM_FILES or not _SYSTEM_FOLDERS.isdisjoint(folders)


def _group_files(paths: Iterable[str], rule: Rule, *, root: str) -> tuple[dict[str, _Group], list[Problem]]:
    groups: dict[str, _Group] = defaultdict(lambda: defaultdict(list))
    problems = []
    for path in paths:
        if not is_unicode(path):
            problems.append(_name_not_unicode(join(root, path)))
        elif (found := rule(path)) is None:
            problems.append(_file_without_place(join(root, path)))
        else:
            name, role = found
            groups[name][role].append(path)
    groups.pop("", None)
    return _merge_alike(groups), problems


def _explain_links(
    problems: Iterable[Problem], listing: Mapping[str, Entry], rule: Rule, *, root: str
) -> list[Problem]:
    """The problems, where those of symbolic links that lead nowhere say so: a link may have been a folder."""
    explained, tails = [], None
    for problem in problems:
        path = problem.where.removeprefix(root).lstrip("/")
        if path in listing and not listing[path].size_known and (target := read_link(problem.where)):
            tails = _list_tails(listing, rule) if tails is None else tails
            role = _find_role_below(path, tails, rule)
            problem = _dangling_link(problem.where, target, role=role)
        explained.append(problem)
    return explained


def _list_tails(paths: Iterable[str], rule: Rule) -> list[str]:
    """Paths below the folders of a source, sorted: one of each role, depth and extension.

    Pictures that are alike in these have one role below another folder too; without this choice every link
    that leads nowhere would be tried with every picture.
    """
    first: dict[tuple[str, int, str], str] = {}
    for known in paths:
        _, role = rule(known) or ("", "")
        for depth in range(1, known.count("/") + 1):
            tail = known.split("/", depth)[depth]
            kind = role, tail.count("/"), PurePosixPath(tail).suffix.lower()
            first[kind] = min(first.get(kind, tail), tail)
    return sorted({*first.values()})


def _find_role_below(path: str, tails: Iterable[str], rule: Rule) -> str:
    """The role of pictures below the path if it were a folder like those of the source; empty if none."""
    roles = (rule(f"{path}/{tail}") for tail in tails)
    return next((role for _, role in filter(None, roles) if role != SIDECAR), "")


def normalise(name: str) -> str:
    """A name without what differs between systems: letter case, and accents as one or two code points."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _merge_alike(groups: Mapping[str, _Group]) -> dict[str, _Group]:
    """Groups whose normalised names are equal become one where no role is there twice; others stay."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in groups:
        alike[normalise(name)].append(name)
    merged: dict[str, _Group] = {}
    for names in alike.values():
        roles = [role for name in names for role in groups[name] if role != SIDECAR]
        if len(names) == 1 or len(set(roles)) < len(roles):
            merged |= {name: groups[name] for name in names}
        else:
            # The id follows the left picture, as for an item whose other pictures are not there.
            named = min(names, key=lambda name: LEFT not in groups[name])
            merged[named] = _unite(groups[name] for name in names)
    return merged


def _unite(groups: Iterable[_Group]) -> _Group:
    united: _Group = defaultdict(list)
    for group in groups:
        for role, paths in group.items():
            united[role] += paths
    return united


def _find_fault(name: str, group: _Group, *, root: str, views: Views) -> Problem | None:
    files = ", ".join(path for paths in group.values() for path in paths)
    where = join(root, next(iter(group.values()))[0])
    if twice := [role for role, paths in group.items() if len(paths) > 1 and role != SIDECAR]:
        return Problem(
            where,
            "duplicate_view",
            f"item '{name}' has more than one {twice[0]} picture: {files}",
            "keep one of them",
        )
    missing = [role for role in ((LEFT,) if views == "one" else (LEFT, RIGHT)) if role not in group]
    if missing and (views != "one or both" or len(missing) == 2):
        return Problem(
            where,
            "missing_partner",
            f"item '{name}' has no {' and no '.join(missing)} picture; it has {files}",
            "add the missing picture under the same name, or remove the rest of this item",
        )
    return None


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
        "add the missing picture under the same name; the pair is then a new version of the item",
        refuses_item=False,
    )


def _name_not_unicode(where: str) -> Problem:
    return Problem(
        readable(where),
        "unusable_name",
        "the name of this file is not Unicode",
        "rename it",
        refuses_item=False,
    )


def _dangling_link(where: str, target: str, *, role: str) -> Problem:
    meant = f": the {role} pictures of a folder may be missing" if role else ""
    return Problem(
        where,
        MISSING_FOLDER if role else "dangling_link",
        f"this symbolic link leads to '{target}', where nothing is{meant}",
        "correct the link, or remove it",
        refuses_item=False,
    )


def _system_files(paths: Collection[str], *, root: str) -> Problem:
    first = readable(next(iter(paths)))
    return Problem(
        join(root, first),
        "system_files",
        f"{count_of(len(paths), 'file')} of a storage device or system, ignored, such as {first}",
        "nothing has to be done",
        refuses_item=False,
    )


def _file_without_place(where: str) -> Problem:
    if unread := find_unread_extension(PurePosixPath(where).suffix):
        return Problem(
            where,
            "format_not_read",
            f"this format is not read: {unread.name}",
            unread.remedy,
            refuses_item=False,
        )
    blank = ": its name ends with a blank" if where.endswith((" ", "\t")) else ""
    return Problem(
        where,
        "stray_file",
        f"the layout has no place for this file{blank}",
        "rename it as the layout asks, move it away, or choose another layout",
        refuses_item=False,
    )
