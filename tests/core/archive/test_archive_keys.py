"""Stage keys: equal for equal work, different for anything a result depends on."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from ldp_core.archive import check_item_id, stage_key
from ldp_core.errors import SettingsError
from ldp_core.types import StageSpec

SPEC = StageSpec("deblur", "Wiener (layered)", "2", {"noise": 0.01, "layers": 9}, "ab" * 32, "disparity-00")

CHANGES: dict[str, Any] = {
    "stage": "blur",
    "method": "wiener",
    "version": "3",
    "settings": {"noise": 0.01, "layers": 10},
    "weights_sha256": "",
    "upstream": "disparity-01",
}


def test_every_field_of_a_specification_is_among_the_changes() -> None:
    assert {field.name for field in fields(StageSpec)} == set(CHANGES)


@pytest.mark.parametrize("name", CHANGES)
def test_any_change_of_the_specification_changes_the_key(name: str) -> None:
    assert stage_key(replace(SPEC, **{name: CHANGES[name]})) != stage_key(SPEC)


def test_a_key_names_its_method_and_is_a_valid_segment() -> None:
    assert re.fullmatch(r"wiener-layered-[0-9a-f]{20}", stage_key(SPEC))
    assert re.fullmatch(r"stage-[0-9a-f]{20}", stage_key(replace(SPEC, method="深度")))
    assert check_item_id(stage_key(replace(SPEC, method="x" * 500)))


def test_order_of_names_and_type_of_containers_do_not_matter() -> None:
    turned = MappingProxyType({"layers": 9, "noise": 0.01})
    assert stage_key(replace(SPEC, settings=turned)) == stage_key(SPEC)
    lists, tuples = ({"sizes": sequence} for sequence in ([1, 2], (1, 2)))
    assert stage_key(replace(SPEC, settings=lists)) == stage_key(replace(SPEC, settings=tuples))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Path("x"), np.float32(1), {1, 2}, b"x"])
def test_settings_that_are_not_plain_json_are_refused(value: object) -> None:
    with pytest.raises(SettingsError, match="plain JSON"):
        stage_key(replace(SPEC, settings={"deep": [{"x": value}]}))
