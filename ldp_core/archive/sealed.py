"""JSON that notices any change to itself: one field holds the sha256 of the text without that field.

The seal is taken over the bytes as they lie in the store, with the 64 digits of the seal read as
zeros, so any language can check it and no byte is outside it.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from ldp_core.errors import ItemDamagedError, SettingsError

SEAL = "seal_sha256"
BLANK_SEAL = "0" * 64
_FIELD = re.compile(rb'"seal_sha256": "([0-9a-f]{64})"')


def seal_json(document: dict[str, Any], *, where: str) -> bytes:
    """JSON text of a document that holds one ``seal_sha256`` field, with the seal filled in.

    Raises:
        SettingsError: the document uses the name of the seal for something else.
    """
    text = json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"
    fields = list(_FIELD.finditer(text))
    if len(fields) != 1 or fields[0][1] != BLANK_SEAL.encode():
        raise SettingsError(f"the name '{SEAL}' is reserved", where=where, remedy="use another name")
    return _with_seal(text, fields[0], hashlib.sha256(text).hexdigest())


def open_sealed(text: bytes, *, where: str) -> dict[str, Any]:
    """The document in a sealed text.

    Raises:
        ItemDamagedError: not one byte may differ from what was written.
    """
    fields = list(_FIELD.finditer(text))
    if len(fields) != 1:
        raise _broken(where, got=f"{len(fields)} seals")
    digest = hashlib.sha256(_with_seal(text, fields[0], BLANK_SEAL)).hexdigest()
    if digest.encode() != fields[0][1]:
        raise _broken(where, got=digest, expected=fields[0][1].decode())
    document: dict[str, Any] = json.loads(text)
    return document


def find_seal(text: bytes) -> bytes:
    """The seal of a sealed text, 64 hex digits."""
    return next(_FIELD.finditer(text))[1]


def _with_seal(text: bytes, field: re.Match[bytes], seal: str) -> bytes:
    return text[: field.start(1)] + seal.encode() + text[field.end(1) :]


def _broken(where: str, *, got: str, expected: str = "one seal over the whole text") -> ItemDamagedError:
    return ItemDamagedError(
        "the metadata was altered or cut", where=where, expected=expected, got=got, remedy=WRITE_AGAIN
    )


WRITE_AGAIN = "write the item again (a damaged item is replaced), or copy it from an intact archive"
