"""Other methods' restorations that lie in folders of their own, added to the items that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from ldp_core.catalogue.pairing import (
    LEFT,
    PICTURE_EXTENSIONS,
    ItemSpec,
    ItemSpecs,
    is_of_system,
    list_visible,
    normalise,
)
from ldp_core.catalogue.role_words import RESERVED, split_mark, strip_method
from ldp_core.errors import CatalogueError, SettingsError, count_of
from ldp_core.item_ids import is_unicode
from ldp_core.storage import absolute_url, join
from ldp_core.types import Problem

_WHERE: Final = "--method"
_NAMED: Final = 3


def require_method_name(name: str, *, where: str = _WHERE) -> str:
    """The name itself, where a method can have it.

    Raises:
        SettingsError: it is empty, holds a slash, or means something else.
    """
    if not name or name.strip() != name or "/" in name or not is_unicode(name) or name in RESERVED:
        raise SettingsError(
            "another method cannot have this name",
            where=where,
            expected=f"a name without '/', and none of {', '.join(sorted(RESERVED))}",
            got=repr(name),
        )
    return name


def add_methods(found: ItemSpecs, methods: Mapping[str, str], *, source: str) -> ItemSpecs:
    """The items with the pictures of other methods, by the names of methods and the URLs of their folders.

    A picture belongs to the item that has its name: the item's own name, or that of its left view, with the
    folders or, where that is unique, without them; marks such as ``_L`` and the method's name do not count.

    Raises:
        CatalogueError: no picture of a folder has the name of an item.
        SettingsError: a method cannot have its name.
        StorageError: a folder cannot be listed.
    """
    for name, folder in methods.items():
        found = _add_method(found, require_method_name(name), absolute_url(folder), source=source)
    return found


def _add_method(found: ItemSpecs, method: str, folder: str, *, source: str) -> ItemSpecs:
    listing = list_visible(folder)
    paths = [path for path in listing if is_unicode(path) and not is_of_system(path) and _is_picture(path)]
    names = _Names(found.items, source=absolute_url(source))
    pictures: dict[int, str] = {}
    strays: list[str] = []
    for path in paths:
        place = names.find(str(PurePosixPath(path).with_suffix("")), method)
        if place is None or place in pictures or method in found.items[place].pictures:
            strays.append(path)
        else:
            pictures[place] = path
    if not pictures:
        raise CatalogueError(
            "no picture of this folder has the name of an item",
            where=f"{_WHERE} {method}={folder}",
            expected=", ".join(f"'{item.name}'" for item in found.items[:_NAMED]),
            got=", ".join(f"'{path}'" for path in paths[:_NAMED]) or "no picture at all",
            remedy="name its pictures as the items; or name each in a manifest, column 'method:NAME'",
        )
    items = [
        replace(item, pictures={**item.pictures, method: join(folder, pictures[n])})
        if n in pictures
        else item
        for n, item in enumerate(found.items)
    ]
    urls = {join(folder, path): listing[path] for path in pictures.values()}
    return replace(
        found,
        items=tuple(items),
        problems=(*found.problems, *_tell(method, folder, strays, lacking=len(items) - len(pictures))),
        sizes_bytes={**found.sizes_bytes, **{u: e.size_bytes for u, e in urls.items() if e.size_known}},
        revisions={**found.revisions, **{url: entry.revision for url, entry in urls.items()}},
        modified={**found.modified, **{url: entry.modified for url, entry in urls.items()}},
    )


class _Names:
    """Items by all names that a picture of theirs may have. A name that two items have is no item's."""

    def __init__(self, items: Iterable[ItemSpec], *, source: str) -> None:
        self._whole: dict[str, int | None] = {}
        self._last: dict[str, int | None] = {}
        for n, item in enumerate(items):
            left = item.pictures[LEFT].removeprefix(source).lstrip("/")
            for name in dict.fromkeys((item.name, str(PurePosixPath(left).with_suffix("")))):
                self._note(self._whole, name, n)
                self._note(self._last, name.rpartition("/")[2], n)

    def find(self, name: str, method: str) -> int | None:
        for names, text in ((self._whole, name), (self._last, name.rpartition("/")[2])):
            for candidate in _candidates(text, method):
                if (place := names.get(normalise(candidate))) is not None:
                    return place
        return None

    @staticmethod
    def _note(names: dict[str, int | None], name: str, place: int) -> None:
        marked = split_mark(name)
        for key in {normalise(name), *([normalise(marked[0])] if marked else [])}:
            names[key] = place if names.get(key, place) == place else None


def _candidates(name: str, method: str) -> Iterator[str]:
    plain = strip_method(name, method)
    for text in dict.fromkeys((name, plain)):
        yield text
        if marked := split_mark(text):
            yield marked[0]


def _is_picture(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in PICTURE_EXTENSIONS


def _tell(method: str, folder: str, strays: list[str], *, lacking: int) -> Iterator[Problem]:
    if strays:
        yield Problem(
            join(folder, strays[0]),
            "method_without_item",
            f"no item, or one that has another picture: {count_of(len(strays), 'picture')} of '{method}'",
            "name them as the items, or leave them",
            refuses_item=False,
        )
    if lacking:
        yield Problem(
            folder,
            "method_incomplete",
            f"no picture of '{method}': {count_of(lacking, 'item')}; means over items compare others with it",
            "add the missing pictures",
            refuses_item=False,
        )
