"""What fsspec, botocore and aiohttp raise at an address, as one typed error that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Callable

import fsspec

from ldp_core.errors import ObjectMissingError, StorageError, suggest

ReadLink = Callable[[str], str]

# By name, so that botocore and aiohttp are imported only where an archive lies on S3.
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"}
_NO_ANSWER = {"ConnectionError", "HTTPClientError", "ClientError", "TimeoutError"}
_GONE = {404, 410}
_BUSY = {errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EIO)}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MAKE_ROOM = "make room, then give the same command again; what is archived is kept"
_CHECK_ADDRESS = "check the address, and for a local one the disk"
_CHECK_ACCESS = (
    "check the credentials (for S3 AWS_ACCESS_KEY_ID ...; else whole addresses in the file that "
    "LDP_CREDENTIALS names) and what they may do at this address"
)
_CHECK_ENDPOINT = "check the network and the endpoint (for S3 AWS_ENDPOINT_URL), then give the command again"
_GIVE_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, here and on the workers"
_LATER = "give the same command again later; what is archived is not lost"
_UNKNOWN_PROTOCOL = "Protocol not known"
_USUAL = ("s3", "gs", "abfs", "http", "sftp")
_MAKE_BUCKET = "make the bucket, or check its name and the endpoint (AWS_ENDPOINT_URL)"


def explain_fault(error: Exception, *, url: str, read_link: ReadLink) -> StorageError:
    """The error to raise for whatever fsspec, botocore or aiohttp raised at an address.

    ``read_link`` tells what a symbolic link at an address leads to; empty where there is none.
    """
    error = _find_reason(error)
    if isinstance(error, FileNotFoundError) or _is_dangling(error, url, read_link):
        return _explain_absence(error, url, read_link)
    if isinstance(error, ImportError) or str(error).startswith(_UNKNOWN_PROTOCOL):
        return _explain_protocol(error, url=url)
    if isinstance(error, PermissionError) or getattr(error, "status", 0) in (401, 403):
        return _refuse("the store refused access", error, url=url, remedy=_CHECK_ACCESS)
    if isinstance(error, OSError) and error.errno in _FULL:
        return _refuse("the disk is full", error, url=url, remedy=_MAKE_ROOM)
    if isinstance(error, OSError) and error.errno in _BUSY:
        return _refuse("the store is busy or failing", error, url=url, remedy=_LATER)
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & _NO_CREDENTIALS:
        return _refuse("no credentials were found", error, url=url, remedy=_GIVE_CREDENTIALS)
    if names & _NO_ANSWER:
        return _refuse("the store does not answer", error, url=url, remedy=_CHECK_ENDPOINT)
    return _refuse("the store cannot be used", error, url=url, remedy=_CHECK_ADDRESS)


def _explain_protocol(error: Exception, *, url: str) -> StorageError:
    """The error of an address of a kind that fsspec does not know, or that it needs another package for."""
    protocol, known = url.partition("://")[0], fsspec.available_protocols()
    if not isinstance(error, ImportError):
        remedy = suggest(protocol, known) or "check the address"
        what, some = "this kind of address is not known", ", ".join(f"{one}://" for one in _USUAL)
        return StorageError(
            what, where=url, expected=f"a path, {some} ...", got=f"{protocol}://", remedy=remedy
        )
    return StorageError(
        f"addresses of {protocol}:// need a package that is not installed",
        where=url,
        got=str(error),
        remedy="install that package with pip, here and where workers run",
    )


def _find_reason(error: Exception) -> Exception:
    """What happened: asking for a size over HTTP, fsspec reports every fault as absence."""
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or not isinstance(cause, Exception):
        return error
    is_http = type(cause).__module__.startswith("aiohttp") or isinstance(cause, TimeoutError)
    return cause if is_http and getattr(cause, "status", 0) not in _GONE else error


def _is_dangling(error: Exception, url: str, read_link: ReadLink) -> bool:
    """Whether the fault is that a symbolic link leads to itself or through a file."""
    return isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.ENOTDIR) and bool(read_link(url))


def _explain_absence(error: Exception, url: str, read_link: ReadLink) -> StorageError:
    if type(error.__cause__).__name__ == "NoSuchBucket":
        return _refuse("there is no such bucket", error, url=url, remedy=_MAKE_BUCKET)
    if target := read_link(url):
        got, remedy = f"a symbolic link to '{target}', where nothing is", "correct the link, or remove it"
        return ObjectMissingError("there is no such object", where=url, got=got, remedy=remedy)
    return ObjectMissingError("there is no such object", where=url, remedy="check the address")


def _refuse(what: str, error: Exception, *, url: str, remedy: str) -> StorageError:
    return StorageError(what, where=url, got=f"{type(error).__name__}: {error}", remedy=remedy)
