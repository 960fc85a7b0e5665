"""Settings: frozen, every fault named, unknown names refused."""

from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from ldp_core.errors import SettingsError
from ldp_core.settings import Settings


class Lens(Settings):
    f_number: float = Field(default=2.0, gt=0)
    name: str = "fifty"


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Lens.parse({"f_number": -1, "colour": "red"})
    assert "f_number=-1" in caught.value.got
    assert "colour='red'" in caught.value.got
    assert caught.value.expected == "f_number, name"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Lens().f_number = 4.0  # type: ignore[misc]
