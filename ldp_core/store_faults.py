"""What a store raises, told as one of our errors: nothing of fsspec, botocore or aiohttp leaves by itself."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from ldp_core.errors import ObjectMissingError, StorageError

_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError"}
_NO_ANSWER = {"ConnectionError", "HTTPClientError", "ClientError", "TimeoutError"}
_BUSY = {errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EIO)}


def explain_fault(error: Exception, *, url: str) -> StorageError:
    """The error to raise for whatever a store raised at an address."""
    if isinstance(error, FileNotFoundError):
        return _explain_absence(error, url=url)
    if isinstance(error, PermissionError):
        return _refuse("the store refused access", error, url=url, remedy=_CHECK_ACCESS)
    if isinstance(error, OSError) and error.errno in _BUSY:
        return _refuse("the store is busy or failing", error, url=url, remedy=_LATER)
    names = set(_class_names(error))
    if names & _NO_CREDENTIALS:
        return _refuse("no credentials were found", error, url=url, remedy=_GIVE_CREDENTIALS)
    if names & _NO_ANSWER:
        return _refuse("the store does not answer", error, url=url, remedy=_CHECK_ENDPOINT)
    return _refuse("the store cannot be used", error, url=url, remedy=_CHECK_ADDRESS)


def _explain_absence(error: FileNotFoundError, *, url: str) -> StorageError:
    if type(error.__cause__).__name__ == "NoSuchBucket":
        return _refuse("there is no such bucket", error, url=url, remedy=_MAKE_BUCKET)
    return ObjectMissingError("there is no such object", where=url, remedy="check the address")


def _refuse(what: str, error: Exception, *, url: str, remedy: str) -> StorageError:
    return StorageError(what, where=url, got=f"{type(error).__name__}: {error}", remedy=remedy)


def _class_names(error: Exception) -> Iterator[str]:
    return (kind.__name__ for kind in type(error).__mro__)


_CHECK_ADDRESS = "check the address, and for a local one the disk"
_CHECK_ACCESS = "check the credentials (for S3 AWS_ACCESS_KEY_ID ...) and what they may do at this address"
_CHECK_ENDPOINT = "check the network and the endpoint (for S3 AWS_ENDPOINT_URL), then give the command again"
_GIVE_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, here and on the workers"
_LATER = "give the same command again later; what is archived is not lost"
_MAKE_BUCKET = "make the bucket, or check its name and the endpoint (AWS_ENDPOINT_URL)"
