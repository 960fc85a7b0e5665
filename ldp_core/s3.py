"""S3 as objects are read and written here: one bounded layer of retries, nothing cached, typed content.

Endpoint, credentials and region come from the environment and files of the AWS tools, or from fsspec's
configuration (``infra/docs/object-storage.md``). botocore makes a request that fails again, `ATTEMPTS`
times in all; a download that breaks off midway is started again here. s3fs would repeat both once more,
each five times: with a silent server half an hour would pass before an error.
"""

from __future__ import annotations

import mimetypes
import os
from time import monotonic, sleep
from typing import Any, Final

import fsspec

ATTEMPTS: Final = 4
CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 15
"""Longest silence of a server; a slow transfer is no silence. `ATTEMPTS` of them are a minute."""
RESTART_WITHIN_S: Final = 30
"""After this time a download that broke off is not started again: it would take as long each time."""

_BREAKS: Final = {"ResponseStreamingError", "ReadTimeoutError", "IncompleteReadError", "ClientPayloadError"}
_PAUSE_S: Final = 0.1  # doubled with each attempt: .2, .4, .8 s
_CONNECTIONS: Final = 32  # twice the threads that read headers, which wait for botocore's usual 10


def is_s3(url: str) -> bool:
    """Whether a URL is an S3 address."""
    return url.partition("://")[0] in ("s3", "s3a")


def open_s3(url: str) -> tuple[Any, str]:
    """The file system of an S3 address, and the path in it."""
    configured = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
    fs, path = fsspec.url_to_fs(url, use_listings_cache=False, config_kwargs=_client_config() | configured)
    fs.retries = 1
    return fs, path


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
