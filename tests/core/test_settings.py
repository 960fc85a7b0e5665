"""Settings: frozen, every fault named, unknown names refused."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field, ValidationError

from ldp_core.errors import SettingsError
from ldp_core.settings import Settings


class Lens(Settings):
    f_number: float = Field(default=2.0, gt=0)
    name: str = "fifty"
    mount: Literal["screwed", "bayonet"] = "bayonet"


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Lens.parse({"f_number": -1, "colour": "red"})
    assert "f_number=-1" in caught.value.got
    assert "colour='red'" in caught.value.got
    assert caught.value.expected == "f_number, name, mount"


@pytest.mark.parametrize(
    ("values", "meant"),
    [({"f_numbr": 2}, "f_number"), ({"mount": "screw"}, "screwed"), ({"colour": "red", "nam": "a"}, "name")],
)
def test_what_is_misspelt_is_told_what_it_was_meant_to_be(values: dict[str, object], meant: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Lens.parse(values)
    assert caught.value.remedy == f"did you mean '{meant}'?"


def test_what_resembles_nothing_is_to_be_corrected() -> None:
    with pytest.raises(SettingsError, match="correct or remove"):
        Lens.parse({"f_number": -1, "colour": "red"})


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Lens().f_number = 4.0  # type: ignore[misc]
