"""Settings: checked where text enters, frozen after. Unknown names are refused."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ldp_core.errors import SettingsError, suggest


class Settings(BaseModel):
    """Base of every group of settings. Values are plain JSON, so that stage keys can hash them."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Settings from plain values.

        Raises:
            SettingsError: a name is unknown or a value is out of range; every fault is listed.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise SettingsError(
                "a setting is not valid"
                if error.error_count() == 1
                else f"{error.error_count()} settings are not valid",
                where=cls.__name__,
                expected=", ".join(cls.model_fields) or "no settings",
                got="; ".join(_describe(fault) for fault in error.errors()),
                remedy=_find_remedy(error.errors(), cls.model_fields),
            ) from error


def seconds_from_environment(variable: str, default: float) -> float:
    """Seconds as a variable of the environment says.

    Raises:
        SettingsError: it holds no number above 0.
    """
    text = os.environ.get(variable) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise SettingsError("not a number of seconds", where=variable, expected="such as 60", got=text)
    return seconds


def _describe(fault: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in fault["loc"]) or "value"
    unknown = fault["type"] == "extra_forbidden"
    return f"{name}={fault.get('input')!r}: {'there is no such setting' if unknown else fault['msg']}"


def _find_remedy(faults: Iterable[Mapping[str, Any]], names: Iterable[str]) -> str:
    """What misspelt names, and misspelt values of those that are chosen from a few, were meant to be."""
    near = []
    for fault in faults:
        if fault["type"] == "extra_forbidden" and len(fault["loc"]) == 1:
            near.append(suggest(str(fault["loc"][0]), names))
        elif fault["type"] in ("literal_error", "enum"):
            near.append(suggest(str(fault["input"]), re.findall("'([^']+)'", fault["ctx"]["expected"])))
    return "; ".join(filter(None, near)) or "correct or remove the named settings"
