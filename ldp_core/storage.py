"""Objects by URL: local paths, ``file://``, ``memory://``, ``s3://`` and whatever else fsspec speaks.

Writes are whole or absent: object stores are atomic by nature; on local disks an object is written
under a temporary name, flushed and renamed. What is special to S3 is in `ldp_core.s3`.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ldp_core.credentials import VARIABLE, hide, plain_of, redact_error, reveal
from ldp_core.errors import LdpError, ObjectMissingError, SettingsError, StorageError
from ldp_core.item_ids import is_unicode
from ldp_core.s3 import is_s3, list_s3, list_s3_folder, list_s3_folders_from, open_s3, read_s3, write_s3
from ldp_core.store_faults import explain_fault
from ldp_core.traffic import count, count_pages
from ldp_core.walking import is_folder, walk_local, walk_remote

_PARTIAL = ".partial"
_MD5 = re.compile("[0-9a-f]{32}")
_TAGS = ("ETag", "etag")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")
"""Where the listings of fsspec's stores say when an object was written."""

_WALKING = {"fsspec.spec", "fsspec.asyn", "fsspec.implementations.http"}
"""Where fsspec lists what is below a folder by walking through it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object in a listing. ``modified`` is UTC, or None where the store does not say.

    ``revision`` tells, with the size, contents of one object apart: its ETag, else the time of its last
    change; empty where the store says neither.
    ``size_known`` is False where the store tells no size: no HTTP server does, and a symbolic link that leads
    nowhere has none. ``size_bytes`` is 0 then.
    """

    size_bytes: int
    modified: datetime | None
    revision: str = ""
    size_known: bool = True


@dataclass(frozen=True, slots=True)
class Folder:
    """What lies directly in a folder: names of folders, sorted, and objects by name."""

    folders: tuple[str, ...]
    objects: Mapping[str, Entry]


def join(url: str, *parts: str) -> str:
    """A URL below another."""
    return "/".join([url.rstrip("/"), *parts])


def absolute_url(url: str) -> str:
    """The URL itself, or the absolute path of a local one, so that it means the same everywhere.

    Passwords, keys and signatures are parted from it and kept in this process (`ldp_core.credentials`).

    Raises:
        SettingsError: it is empty, which would mean the current folder, or not Unicode: archives hold
            addresses as JSON, which other readers would refuse.
    """
    if not url.strip():
        raise SettingsError(
            "an address is empty", expected="a path or a URL", remedy="name the source and the archive"
        )
    url = hide(url)
    with _translated(url):
        fs, path = _open(url)
    absolute = str(path) if isinstance(fs, LocalFileSystem) else url
    if not is_unicode(absolute):
        raise SettingsError(
            "an address is not Unicode",
            where=absolute,
            expected="a path or a URL of UTF-8",
            remedy="rename the folder, or make a symbolic link to it with another name and give that",
        )
    return absolute


def shared_url(url: str) -> str:
    """As `absolute_url`, of a place that other processes see too.

    Raises:
        StorageError: the place is in the memory of this process.
        SettingsError: the address holds a password, a key or a signature: Prefect, whose parameters are such
            addresses, would keep and show it.
    """
    if plain_of(url) != url:
        raise SettingsError(
            "the address holds a password, a key or a signature",
            where=plain_of(url),
            expected="the address alone, which may be recorded and shown",
            remedy="write the whole address into a file that only you can read, name that file in "
            f"{VARIABLE} where the run works, and give the address without it",
        )
    absolute = absolute_url(url)
    if absolute.startswith("memory://"):
        raise StorageError(
            "workers are processes of their own and do not see this place",
            where=url,
            expected="a path, or the URL of an object store",
            remedy="name a folder or a bucket; memory:// serves the stages of one process only",
        )
    return absolute


def read_bytes(url: str, *, start: int | None = None, end: int | None = None) -> bytes:
    """The bytes of an object, or of a range of it.

    Raises:
        ObjectMissingError: there is no such object.
        StorageError: the store refused or could not be reached.
    """
    content = b""
    try:
        with _translated(url):
            content = _read(url, start, end)
    finally:
        count("gets", bytes_in=len(content))
    if start is not None and end is not None and 0 <= start <= end and len(content) > end - start:
        return content[start:end]  # HTTP servers may ignore a range and send the whole object
    return content


def write_bytes(url: str, content: bytes) -> None:
    """Put an object, whole or not at all, replacing what was there.

    Raises:
        StorageError: the store refused or could not be reached.
    """
    count("puts", bytes_out=len(content))
    with _translated(url):
        fs, path = _open(url)
        if isinstance(fs, LocalFileSystem):
            _write_local(Path(path), content)
        elif is_s3(url):
            write_s3(fs, path, content)
        else:
            fs.pipe_file(path, content)


def holds(url: str, content: bytes) -> bool:
    """Whether an object is there and has just this content.

    A store whose ETag is the MD5 of the content is asked for that alone.
    """
    try:
        with _translated(url):
            if is_s3(url):
                fs, path = _open(url)
                count("heads")
                tag = str(fs.info(path).get("ETag", "")).strip('"')
                if _MD5.fullmatch(tag) and tag == hashlib.md5(content, usedforsecurity=False).hexdigest():
                    return True
        return read_bytes(url) == content
    except ObjectMissingError:
        return False


def delete(url: str) -> None:
    """Remove an object; nothing happens when there is none."""
    with _translated(url):
        fs, path = _open(url)
        count("heads")
        if fs.exists(path):
            count("deletes")
            fs.rm_file(path)


def exists(url: str) -> bool:
    """Whether there is an object or a folder at the URL."""
    with _translated(url):
        fs, path = _open(url)
        count("heads")
        return bool(fs.exists(path))


def size_of(url: str) -> int:
    """Size of an object in bytes.

    Raises:
        ObjectMissingError: there is no such object.
    """
    with _translated(url):
        fs, path = _open(url)
        count("heads")
        fs.invalidate_cache(fs._parent(path))
        return int(fs.size(path) or 0)


def entry_of(url: str) -> Entry:
    """What the store says of one object; of a link to a file, of that file.

    Raises:
        ObjectMissingError: there is no such object.
    """
    with _translated(url):
        fs, path = _open(url)
        count("heads")
        if isinstance(fs, LocalFileSystem):
            found = Path(path).stat()
            return _entry({"size": found.st_size, "mtime": found.st_mtime})
        fs.invalidate_cache(fs._parent(path))
        return _entry(fs.info(path))


def list_objects(url: str) -> Iterator[str]:
    """Paths of all objects below a URL, relative to it, sorted; none when there is no such folder.

    Symbolic links to folders are followed, but for those to a folder that they lie in.

    Raises:
        StorageError: a folder below the URL cannot be listed, a page of a listing is missing, or links
            lead to the same folders again and again.
    """
    yield from list_sizes(url)


def list_sizes(url: str) -> dict[str, int]:
    """Sizes in bytes of all objects below a URL, by path as `list_objects` gives it, sorted by path."""
    return {path: int(row["size"] or 0) for path, row in _find(url).items() if not is_partial(path)}


def list_sizes_and_changes(url: str, since: datetime) -> tuple[dict[str, int], set[str]]:
    """As `list_sizes`, and the paths of what was, or may have been, written then or later."""
    found = _find(url)
    moments = ((path, _moment(row)) for path, row in found.items())
    changed = {path for path, moment in moments if moment is None or moment >= since}
    return {path: int(row["size"] or 0) for path, row in found.items()}, changed


def read_link(url: str) -> str:
    """What a symbolic link of a local disk leads to, as it is written; empty where the URL is none."""
    with _translated(url):
        fs, path = _open(url)
        is_link = isinstance(fs, LocalFileSystem) and Path(path).is_symlink()
        return str(Path(path).readlink()) if is_link else ""


def list_entries(url: str) -> dict[str, Entry]:
    """All objects below a URL with size and time, by relative path; those of stopped writers too."""
    return {path: _entry(row) for path, row in _find(url).items()}


def list_folder(url: str) -> Folder:
    """What lies directly below a URL; nothing when there is no such folder."""
    try:
        with _translated(url):
            fs, root = _open(url)
            if is_s3(url):
                names, rows = list_s3_folder(fs, root)
                count_pages(len(names) + len(rows))
                return Folder(tuple(sorted(names)), {name: _entry(rows[name]) for name in sorted(rows)})
            fs.invalidate_cache()
            found = {row["name"].rstrip("/").rpartition("/")[2]: row for row in fs.ls(root, detail=True)}
            folders = sorted(name for name, row in found.items() if is_folder(row))
    except ObjectMissingError:
        count_pages(0)
        return Folder((), {})
    count_pages(len(found))
    objects = {name: _entry(found[name]) for name in sorted(set(found) - set(folders))}
    return Folder(tuple(folders), objects)


def list_folders_from(url: str) -> tuple[str, ...]:
    """Names of the folders beside each other whose URL begins with a text, sorted.

    S3 is asked for just these; elsewhere all names in the folder above are looked at.
    """
    above, _, beginning = url.rpartition("/")
    if not is_s3(url):
        return tuple(name for name in list_folder(above).folders if name.startswith(beginning))
    with _translated(url):
        found = list_s3_folders_from(*_open(above), beginning)
    count_pages(len(found))
    return tuple(sorted(found))


def is_partial(path: str) -> bool:
    """Whether a path is the temporary name of an object whose writer was stopped, or still writes."""
    return path.endswith(_PARTIAL)


def _find(url: str) -> dict[str, Mapping[str, Any]]:
    """What a store says of each object below a URL, by relative path, sorted."""
    with _translated(url):
        fs, root = _open(url)
        fs.invalidate_cache()
        if isinstance(fs, LocalFileSystem):
            local = dict(sorted(walk_local(root)))
            count_pages(len(local))
            return local
        found = _find_remote(fs, root, url=url)
        count_pages(len(found))
    prefix = root.rstrip("/") + "/"
    return {path.removeprefix(prefix): found[path] for path in sorted(found) if path.startswith(prefix)}


def _find_remote(fs: Any, root: str, *, url: str) -> Mapping[str, Mapping[str, Any]]:
    """What a store says of each object below a path, by path."""
    if is_s3(url):
        return list_s3(fs, root)
    listing = type(fs)._find if hasattr(type(fs), "_find") else type(fs).find
    # Stores with a listing of their own give all objects in pages; their clients raise what goes wrong.
    return walk_remote(fs, root) if listing.__module__ in _WALKING else fs.find(root, detail=True)


def _moment(row: Mapping[str, Any]) -> datetime | None:
    """When an object was written, as far as its row of a listing tells."""
    moment: Any = next((row[name] for name in _TIMES if row.get(name) is not None), None)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if isinstance(moment, int | float):
        moment = datetime.fromtimestamp(moment, UTC)
    found: datetime | None = moment
    return found


def _entry(row: Mapping[str, Any]) -> Entry:
    if type(changed := row.get("mtime")) is float:  # a local disk tells no more, and may tell it of millions
        written = datetime.fromtimestamp(changed, UTC)
        return Entry(row["size"] or 0, written, written.isoformat(), row["size"] is not None)
    moment = _moment(row)
    tag = next((str(row[name]).strip('"') for name in _TAGS if row.get(name)), "")
    revision = tag or (moment.isoformat() if moment else "")
    return Entry(int(row["size"] or 0), moment, revision, size_known=row["size"] is not None)


def _read(url: str, start: int | None, end: int | None) -> bytes:
    if url.startswith("/") and "::" not in url:
        return _read_local(url, start or 0, end)
    fs, path = _open(url)
    if is_s3(url):
        return read_s3(fs, path, start=start, end=end)
    return bytes(fs.cat_file(path, start=start, end=end))


def _read_local(path: str, start: int, end: int | None) -> bytes:
    """A range of a file. fsspec, which would open it as well, takes three times as long to find out how."""
    file = os.open(path, os.O_RDONLY)
    try:
        first, stop = start, end
        if stop is None or min(first, stop) < 0:  # counted from the end
            first, stop, _ = slice(start, end).indices(os.fstat(file).st_size)
        return _read_all(file, first, max(stop - first, 0))
    finally:
        os.close(file)


def _read_all(file: int, place: int, count: int) -> bytes:
    """So many bytes, or all that are left: one read may give less of a large file."""
    parts = []
    while count and (part := os.pread(file, count, place)):
        parts.append(part)
        place, count = place + len(part), count - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write_local(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_PARTIAL}")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _open(url: str) -> tuple[Any, str]:
    try:
        whole = reveal(url)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"the file that {VARIABLE} names cannot be read",
            where=os.environ.get(VARIABLE, ""),
            expected="whole addresses, one a line",
            got=f"{type(error).__name__}: {error}",
        ) from error
    return open_s3(whole) if is_s3(whole) else fsspec.url_to_fs(whole)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (LdpError, MemoryError):
        raise
    except Exception as error:
        fault = explain_fault(error, url=url, read_link=read_link)
        if reveal(url) == plain_of(url):
            raise fault from error
        redact_error(error)  # it may hold the address in other ways, so it does not go on
    else:
        return
    raise fault from None
