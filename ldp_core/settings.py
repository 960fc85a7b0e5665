"""Settings: checked where text enters, frozen after. Unknown names are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from ldp_core.errors import SettingsError


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
                f"{error.error_count()} of the settings are not valid",
                where=cls.__name__,
                expected=", ".join(cls.model_fields) or "no settings",
                got="; ".join(_describe(fault) for fault in error.errors()),
                remedy="correct or remove the named settings",
            ) from error


def _describe(fault: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in fault["loc"]) or "value"
    return f"{name}={fault.get('input')!r}: {fault['msg']}"
