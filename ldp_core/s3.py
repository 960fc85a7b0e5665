"""S3 as objects are read and written here: one bounded layer of retries, nothing cached, typed content.

Endpoint, credentials and region come from the environment and files of the AWS tools, or from fsspec's
configuration (``infra/docs/object-storage.md``). botocore makes a request that fails again, `ATTEMPTS`
times in all; a download that breaks off midway is started again here. s3fs would repeat both once more,
each five times: with a silent server half an hour would pass before an error.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import fsspec

from ldp_core.credentials import split_s3_user
from ldp_core.errors import StorageError

ATTEMPTS: Final = 4
CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 15
"""Longest silence of a server; a slow transfer is no silence. `ATTEMPTS` of them are a minute."""
RESTART_WITHIN_S: Final = 30
"""After this time a download that broke off is not started again: it would take as long each time."""

_CREDENTIAL_FILES: Final = {
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
    "AWS_CONFIG_FILE": "~/.aws/config",
}
_BREAKS: Final = {"ResponseStreamingError", "ReadTimeoutError", "IncompleteReadError", "ClientPayloadError"}
_PAUSE_S: Final = 0.1  # doubled with each attempt: .2, .4, .8 s
_CONNECTIONS: Final = 32  # twice the threads that read headers, which wait for botocore's usual 10


def is_s3(url: str) -> bool:
    """Whether a URL is an S3 address."""
    return url.partition("://")[0] in ("s3", "s3a")


def open_s3(url: str) -> tuple[Any, str]:
    """The file system of an S3 address, and the path in it."""
    configured = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
    plain, keys = split_s3_user(url)
    settings = _client_config() | configured
    _heed_new_credentials()
    fs, path = fsspec.url_to_fs(plain, use_listings_cache=False, config_kwargs=settings, **keys)
    fs.retries = 1
    return fs, path


def _heed_new_credentials(seen: dict[str, tuple[int, ...]] = {}) -> None:  # noqa: B006 - as they were read
    """Let clients be made anew once a file has changed that holds keys and session tokens.

    botocore reads such a file once. What it fetches itself it renews: roles, processes, identity tokens.
    """
    for variable, default in _CREDENTIAL_FILES.items():
        path = Path(os.environ.get(variable) or default).expanduser()
        try:
            found = path.stat()
        except OSError:
            continue
        state = found.st_mtime_ns, found.st_size, found.st_ino
        if seen.get(str(path), state) != state:
            fsspec.get_filesystem_class("s3").clear_instance_cache()
        seen[str(path)] = state


def read_s3(fs: Any, path: str, *, start: int | None, end: int | None) -> bytes:
    """An object or a range of it: one request, and more only where the transfer breaks off."""
    begin = monotonic()
    for attempt in range(1, ATTEMPTS):
        try:
            return _read(fs, path, start, end)
        except Exception as error:
            if not _broke_off(error) or monotonic() - begin > RESTART_WITHIN_S:
                raise
            sleep(_PAUSE_S * 2**attempt)
    return _read(fs, path, start, end)


def write_s3(fs: Any, path: str, content: bytes) -> None:
    """Put an object with the type that a browser needs to show it."""
    kind, _ = mimetypes.guess_type(path)
    fs.pipe_file(path, content, **({"ContentType": kind} if kind else {}))


def list_s3(fs: Any, path: str) -> dict[str, Mapping[str, Any]]:
    """What the store says of every object below a path, by its path with the bucket.

    Objects of no bytes whose names end in ``/``, which consoles make to show a folder, are left out.

    Raises:
        StorageError: a page of the listing is missing.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for page in _list_pages(fs, path):
        for row in page.get("Contents", ()):
            if row["Size"] or not row["Key"].endswith("/"):
                found[f"{_bucket(fs, path)}/{row['Key']}"] = {**row, "size": row["Size"]}
    return found


def list_s3_folder(fs: Any, path: str) -> tuple[list[str], dict[str, Mapping[str, Any]]]:
    """Names of the folders directly below a path, and what the store says of the objects there, by name.

    Raises:
        StorageError: a page of the listing is missing.
    """
    folders: list[str] = []
    objects: dict[str, Mapping[str, Any]] = {}
    for page in _list_pages(fs, path, Delimiter="/"):
        folders += [_last_part(one["Prefix"]) for one in page.get("CommonPrefixes", ())]
        for row in page.get("Contents", ()):
            if not row["Key"].endswith("/"):
                objects[_last_part(row["Key"])] = {**row, "size": row["Size"]}
    return folders, objects


def list_s3_folders_from(fs: Any, path: str, beginning: str) -> list[str]:
    """Names of the folders directly below a path that begin with a text.

    Raises:
        StorageError: a page of the listing is missing.
    """
    prefix = f"{fs.split_path(path)[1].rstrip('/')}/{beginning}".lstrip("/")
    pages = _list_pages(fs, path, Delimiter="/", Prefix=prefix)
    return [_last_part(one["Prefix"]) for page in pages for one in page.get("CommonPrefixes", ())]


def _list_pages(fs: Any, path: str, **options: Any) -> Iterator[Mapping[str, Any]]:
    """The pages of a listing, each proven to be one and followed by the next where it says that there is one.

    botocore and s3fs take an answer without content for an empty listing, and one that is cut short without
    the mark of its continuation for the last page.
    """
    key = fs.split_path(path)[1].rstrip("/")
    request = {"Bucket": _bucket(fs, path), "Prefix": f"{key}/" if key else ""} | options | fs.req_kw
    mark = ""
    while True:
        page = fs.call_s3("list_objects_v2", **request, **({"ContinuationToken": mark} if mark else {}))
        more, before = page.get("IsTruncated"), mark
        mark = page.get("NextContinuationToken", "")
        if more is None or (more and mark in ("", before)):
            raise StorageError(
                "a page of a listing is missing",
                where=f"s3://{path}",
                expected="pages of a listing up to the last one",
                got="an answer that is no listing" if more is None else "no mark of the page that follows",
                remedy="give the same command again; if it stays, look at the endpoint and its proxies",
            )
        yield page
        if not more:
            return


def _bucket(fs: Any, path: str) -> str:
    return str(fs.split_path(path)[0])


def _last_part(key: str) -> str:
    return key.rstrip("/").rpartition("/")[2]


def _read(fs: Any, path: str, start: int | None, end: int | None) -> bytes:
    return bytes(fs.cat_file(path, start=start, end=end, max_concurrency=1))


def _client_config() -> dict[str, Any]:
    retries = {
        "mode": os.environ.get("AWS_RETRY_MODE", "standard"),
        "total_max_attempts": int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS)),
    }
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        "retries": retries,
        "max_pool_connections": _CONNECTIONS,
    }


def _broke_off(error: Exception) -> bool:
    return any(kind.__name__ in _BREAKS for kind in type(error).__mro__)
