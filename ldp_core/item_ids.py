"""Names in an archive: item ids, item keys, stage keys and run ids. One rule for whoever makes or reads them.

An item id is segments ``[a-z0-9][a-z0-9._-]*`` joined by ``/``, the first of them the name of the dataset.
An item key is an item id, or ``<item id>@<version>`` from version 2 on: with a stage key it names a result.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from ldp_core.errors import ItemIdError

# 200 letters: with `.NAME.json.<32 letters>.partial` of a writer a file name stays below the 255 of a disk.
_SEGMENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
_RESERVED = re.compile(r"c(\.0)+|.*\.json")
"""Names of objects that the archive writes: chunks and metadata."""
_LATER_VERSION = re.compile(r"(?P<id>.+)@(?P<version>[2-9]|[1-9][0-9]{1,5})")
_LONGEST_ID = 600
"""With the folders above it and the names of its objects, an id stays below the 1024 bytes of an S3 key."""
_DIGITS = 16
"""Of the hash of a name: of ten million names two have the same one in three of a million cases."""
_NOT_ALLOWED = re.compile(r"[^a-z0-9._-]+")


def is_segment(text: str) -> bool:
    """Whether a text can stand as one segment of an item id, as a stage key or as a run id."""
    return bool(_SEGMENT.fullmatch(text)) and not _RESERVED.fullmatch(text)


def is_item_id(text: str) -> bool:
    """Whether a text may name an item."""
    return len(text) <= _LONGEST_ID and all(map(is_segment, text.split("/")))


def check_item_id(item_id: str) -> str:
    """The id itself, when it is one.

    Raises:
        ItemIdError: it is not, is too long, or has a segment that names an object of the archive.
    """
    if not is_item_id(item_id):
        raise ItemIdError(
            "not a valid item id",
            got=repr(item_id),
            expected="segments of [a-z0-9][a-z0-9._-]* joined by '/', none ending in '.json'",
            remedy="name items in lower case, such as 'canon-dpdd/1p0a0984'",
        )
    return item_id


def make_item_key(item_id: str, version: int = 1) -> str:
    """The key of a version of an item; the first version has the id itself, as archives always had it."""
    return item_id if version == 1 else f"{item_id}@{version}"


def split_item_key(key: str) -> tuple[str, int]:
    """The item id and the version of a key."""
    found = _LATER_VERSION.fullmatch(key)
    return (found["id"], int(found["version"])) if found else (key, 1)


def is_item_key(text: str) -> bool:
    """Whether a text names a version of an item."""
    return is_item_id(split_item_key(text)[0])


def check_item_key(key: str) -> str:
    """The key itself, when it is one.

    Raises:
        ItemIdError: its item id is none.
    """
    check_item_id(split_item_key(key)[0])
    return key


def check_run_id(run_id: str) -> str:
    """The run id itself, when it is one valid segment.

    Raises:
        ItemIdError: it is not.
    """
    if not is_segment(run_id):
        raise ItemIdError("not a valid run id", got=repr(run_id), expected="[a-z0-9][a-z0-9._-]*")
    return run_id


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; a file name of raw bytes cannot."""
    if text.isascii():
        return True
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def readable(text: str) -> str:
    """The text with what cannot be written as UTF-8 as escapes, such as ``\\udcff``."""
    return text if is_unicode(text) else text.encode("utf-8", "backslashreplace").decode()


def make_segment(name: str) -> str:
    """The segment of an item id that a name gives: its slug, or where that is empty, as of a name in Chinese
    letters, ``n-`` and a hash of it. Letter case, and accents as one or two code points, do not matter.

    It may be too long for a segment (`is_segment`). Different names may give the same one.
    """
    if segment := slug(name):
        return segment
    plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return f"n-{hashlib.sha256(readable(plain).encode()).hexdigest()[:_DIGITS]}"


def slug(name: str) -> str:
    """A name as a segment: lower case, accents dropped, anything else that is not allowed a hyphen.

    Empty where nothing of the name can be kept. Different names may have the same slug.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    segment = _NOT_ALLOWED.sub("-", plain).lstrip("._-").rstrip("-")
    return segment.replace(".", "-") if _RESERVED.fullmatch(segment) else segment
