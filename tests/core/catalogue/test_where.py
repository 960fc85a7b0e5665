"""Conditions on items: what holds, what is refused, and that nothing is ever executed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_samples import FIRST, make_dataset, start_planned

from ldp_core.catalogue import Selection, SourceOptions, read_catalogue
from ldp_core.catalogue.where import Condition
from ldp_core.errors import CatalogueError, LdpError, SettingsError
from tasks.pipeline import make_config
from tasks.plan import make_plan

FACTS = {"camera": "pixel-4", "iso": 800, "aperture": "1.8", "indoor": True, "taken": "2026-05-04T10:11:12"}
FACTS |= {"serial": 10**400}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('camera == "pixel-4" and iso > 400', True),
        ("iso > 800 or iso <= 100", False),
        ("100 < iso < 1600", True),
        ("aperture < 2", True),  # a number that a table has as text
        ('aperture == "1.8"', True),
        ('camera in ["pixel-4", "canon"] and not iso in (100, 200)', True),
        ('"pixel" in camera', True),
        ('camera not in ["pixel-4"]', False),
        ('taken >= "2026-05-01" and taken < "2026-06"', True),
        ("indoor", True),
        ("iso > -5", True),
        ("iso < " + "9" * 300, True),
        ("serial > 5", False),  # as texts: no number is so large
        ("lens == 3", False),  # a comparison with what is not known is false,
        ("lens != 3", False),  # whichever it is
        ("not lens", True),
        ('iso < "text"', True),  # as texts
    ],
)
def test_a_condition_holds_or_not(text: str, holds: bool) -> None:
    assert Condition(text).holds(FACTS) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "iso >",
        "iso = 3",
        "__import__('os').system('true')",
        "camera.upper()",
        "iso + 1 > 3",
        "[x for x in camera]",
        "lambda: 1",
        "f'{iso}'",
        "iso if indoor else 3",
        "camera[0] == 'p'",
        "(iso := 3)",
        "iso is None",
        "iso == [1, 2]",
        "iso ** 9 ** 9 ** 9",
        "-" * 1999 + "1",
        "(" * 300 + "iso" + ")" * 300,
        "not " * 450 + "iso",
        "iso\0",
        "iso > 1 " * 400,
        "iso > " + "9" * 400,  # no number of a computer, and as a text not what was meant
        "iso in [1, -" + "9" * 400 + "]",
        "iso > 1e999",
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(SettingsError, match="--where") as caught:
        Condition(text)
    assert "pixel-4" in caught.value.expected


@given(st.text("aiso<>=!()[]'\"., and or not in12\n-*\\", max_size=40))
def test_no_text_does_more_than_hold_or_be_refused(text: str) -> None:
    with suppress(LdpError):
        assert Condition(text).holds(FACTS) in (True, False)


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    make_dataset(tmp_path / "set", 4)
    rows = [f"{n},set/left/{n}.png,set/right/{n}.png,{100 * 2**n},room {n % 2}" for n in range(4)]
    (tmp_path / "list.csv").write_text("\n".join(["id,left,right,iso,scene type", *rows]))
    return str(tmp_path / "list.csv")


def _plan(manifest: str, **chosen: object) -> list[str]:
    options = SourceOptions(selection=Selection(**chosen))  # type: ignore[arg-type]
    config = make_config(f"{manifest}-archive", estimator=("disparity", {}), deblurrer=("wiener", {}))
    plan = make_plan(config, manifest, layout="manifest", dataset="set", options=options)
    return [item.id for item in plan.catalogue.items]


def test_a_plan_is_over_the_items_of_which_the_condition_holds(manifest: str) -> None:
    assert _plan(manifest, where="iso > 150") == ["set/1", "set/2", "set/3"]
    assert _plan(manifest, where="iso > 150", limit=2) == ["set/1", "set/2"]
    assert _plan(manifest, where='scene_type == "room 1" and width == 72') == ["set/1", "set/3"]
    assert _plan(manifest, where="iso > 150", ids=frozenset({"0", "3"})) == ["set/3"]
    assert len(_plan(manifest, where="iso > 150", sample=1, seed=3)) == 1


def test_a_condition_that_no_item_can_meet_is_explained(manifest: str) -> None:
    with pytest.raises(SettingsError, match="did you mean 'iso'"):
        _plan(manifest, where="isp > 150")
    with pytest.raises(CatalogueError, match="holds for no item"):
        _plan(manifest, where="iso > 9000")
    with pytest.raises(SettingsError, match="quotes"):
        _plan(manifest, where="iso == qqqqqqqq")


def test_the_record_of_a_run_says_its_condition(manifest: str) -> None:
    options = SourceOptions(selection=Selection(where="iso > 150"))
    config = make_config(f"{manifest}-archive", estimator=("disparity", {}), deblurrer=("wiener", {}))
    plan = make_plan(config, manifest, layout="manifest", options=options)
    assert plan.sources.previous is None  # nothing is said of what has vanished
    assert len(read_catalogue(manifest, layout="manifest", options=options).items) == 4
    assert start_planned(plan, FIRST)[0].run_id == FIRST
