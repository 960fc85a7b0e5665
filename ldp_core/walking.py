"""What lies below a folder, found by walking through it: on local disks, and where a store cannot list it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ldp_core.errors import StorageError, count_of

# A thousand scenes with a link to one folder of calibrations, in which lie some more, are 20 of each: sound.
_MOST_REPEATS, _MOST_REPEATS_OF_EACH = 1000, 100


def walk_remote(fs: Any, root: str) -> dict[str, Mapping[str, Any]]:
    """All objects below a path, folder by folder. fsspec's own walk takes a folder that it cannot list for
    an empty one: one that is not there, a connection that breaks, a server that does not answer."""
    found: dict[str, Mapping[str, Any]] = {}
    pending, seen = [root], {root.rstrip("/")}
    while pending:
        folder = pending.pop()
        try:
            rows = fs.ls(folder, detail=True)
        except (FileNotFoundError, NotADirectoryError) as error:
            if folder == root:
                return {}
            raise StorageError(
                "a folder that a listing names is not there",
                where=folder,
                remedy="give the same command again; if it stays, look at the server",
            ) from error
        for row in rows:
            name = row["name"].rstrip("/")
            if not is_folder(row):
                found[name] = row
            elif name not in seen:
                seen.add(name)
                pending.append(row["name"])
    return found


def walk_local(root: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All objects below a folder of a local disk, by relative path, unsorted; links to folders are followed.

    fsspec's own walk takes a folder that it cannot list for an empty one. A folder or file that is removed
    during the walk is left out.

    Raises:
        StorageError: links lead to the same folders again and again: ten folders with links to each other
            would be listed ten million times.
    """
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    known: set[tuple[int, int]] = set()
    repeats = 0
    while pending:
        folder, above = pending.pop()
        path = Path(root, folder)
        try:
            itself = path.stat()
            with os.scandir(path) as listing:
                entries = list(listing)
        except (FileNotFoundError, NotADirectoryError):
            continue
        identity = (itself.st_dev, itself.st_ino)
        if identity in above:  # a link to a folder it lies in: what is there is listed already
            continue
        repeats += identity in known
        known.add(identity)
        if repeats > max(_MOST_REPEATS, _MOST_REPEATS_OF_EACH * len(known)):
            raise StorageError(
                "symbolic links lead to the same folders again and again",
                where=str(path),
                expected=f"a folder at most {_MOST_REPEATS_OF_EACH} times on average",
                got=f"{count_of(len(known), 'folder')}, listed {repeats + len(known)} times",
                remedy="remove links between folders of the source that lead to each other",
            )
        for entry in entries:
            found = _stat(entry)
            if found and stat.S_ISDIR(found.st_mode):
                pending.append((f"{folder}{entry.name}/", above | {identity}))
            elif found:
                size = None if stat.S_ISLNK(found.st_mode) else found.st_size
                yield f"{folder}{entry.name}", {"size": size, "mtime": found.st_mtime}


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    """What an entry is, or where it is a link leads to; the link itself where nothing is there."""
    try:
        return entry.stat()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            raise
    return entry.stat(follow_symlinks=False) if entry.is_symlink() else None


def is_folder(row: Mapping[str, Any]) -> bool:
    """Whether a row of a listing is a folder, or a link to one."""
    return row["type"] == "directory" or bool(row.get("islink") and Path(row["name"]).is_dir())
