"""Item ids: ``<dataset>/<name>``, each segment ``[a-z0-9][a-z0-9._-]*``."""

from __future__ import annotations

import re
import unicodedata

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9._-]*")
_OTHER = re.compile(r"[^a-z0-9._-]+")
_MAX_LENGTH = 200


def is_segment(text: str) -> bool:
    """Whether a text can stand as one segment of an item id."""
    return len(text) <= _MAX_LENGTH and _SEGMENT.fullmatch(text) is not None


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8; a file name of raw bytes cannot."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def slug(name: str) -> str:
    """A name as a segment: lower case, accents dropped, anything else that is not allowed a hyphen.

    Empty where nothing of the name can be kept. Different names may have the same slug.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _OTHER.sub("-", plain).lstrip("._-").rstrip("-")
