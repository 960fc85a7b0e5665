"""Stage keys: a short name for everything a result depends on besides its item."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ldp_core.errors import SettingsError
from ldp_core.types import StageSpec

_HEX_DIGITS = 20


def stage_key(spec: StageSpec) -> str:
    """``<method>-<20 hex digits>``: the method, readable, and a sha256 of the whole specification.

    Equal specifications have equal keys on every machine; mappings count as equal whatever the order
    of their names, and sequences whatever their type.

    Raises:
        SettingsError: the settings are not plain JSON (numbers must be finite).
    """
    digest = hashlib.sha256(plain_json(spec_values(spec), where=f"stage '{spec.stage}'").encode())
    return f"{_readable(spec.method)}-{digest.hexdigest()[:_HEX_DIGITS]}"


def spec_values(spec: StageSpec) -> dict[str, Any]:
    """The fields of a specification by name."""
    return {field.name: getattr(spec, field.name) for field in fields(spec)}


def plain_json(value: object, *, where: str) -> str:
    """Canonical JSON: names sorted, no spaces, ASCII only.

    Raises:
        SettingsError: the value is not plain JSON.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_as_dict)
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingsError(
            "these values are not plain JSON",
            where=where,
            expected="text, finite numbers, true, false, null, and lists and mappings of them",
            got=str(error),
        ) from error


def _as_dict(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__}: {value!r}")


def _readable(method: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", method.lower()).strip("-")[:60] or "stage"
