"""Methods by name: shipped ones, those of installed packages beside them, suggestions for misspelt ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ldp_core.blur import ESTIMATORS, make_estimator
from ldp_core.deblur import DEBLURRERS, make_deblurrer
from ldp_core.errors import SettingsError
from ldp_core.methods import MethodDef, Registry

PACKAGE = """
from dataclasses import dataclass
from ldp_core.methods import MethodDef
from ldp_core.settings import Settings

class DoubleSettings(Settings):
    factor: int = 2

@dataclass(frozen=True)
class Double:
    settings: DoubleSettings

DOUBLE = MethodDef("doubling", "Double", "DoubleSettings", views=1)
OTHER = "no definition"
"""
POINTS = """[ldp.test]
double = doubling:DOUBLE
shipped = doubling:DOUBLE
other = doubling:OTHER
lost = doubling:LOST
broken = not_installed:DOUBLE
"""
SHIPPED = MethodDef("ldp_core.blur.clip", "ZnccEstimator", "ZnccSettings")


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Any]:
    """A registry beside an installed package with one sound entry point and three that cannot be used."""
    (tmp_path / "doubling.py").write_text(PACKAGE)
    installed = tmp_path / "doubling-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: doubling\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Registry("doubler", "ldp.test", {"shipped": SHIPPED}, lambda method, _: method)


def test_an_installed_method_is_made_by_name_with_its_settings(registry: Registry[Any]) -> None:
    assert registry.make("double").settings.factor == 2
    assert registry.make("double", {"factor": 3}).settings.factor == 3
    assert registry.views_of("double") == 1


def test_names_are_listed_before_any_package_is_loaded(registry: Registry[Any]) -> None:
    assert list(registry) == ["shipped", "broken", "double", "lost", "other"]
    assert len(registry) == 5
    assert "broken" in registry


def test_a_shipped_method_is_never_replaced(registry: Registry[Any]) -> None:
    assert registry["shipped"] is SHIPPED


@pytest.mark.parametrize(
    ("name", "got"), [("other", "str"), ("lost", "AttributeError"), ("broken", "ModuleNotFoundError")]
)
def test_a_package_that_cannot_be_loaded_is_named(registry: Registry[Any], name: str, got: str) -> None:
    with pytest.raises(SettingsError, match=f"doubler '{name}' cannot be loaded") as caught:
        registry.make(name)
    assert "of the package doubling" in caught.value.where
    assert got in caught.value.got


def test_a_misspelt_name_of_an_installed_method_is_told_what_it_was_meant_to_be(
    registry: Registry[Any],
) -> None:
    with pytest.raises(SettingsError, match="no such doubler") as caught:
        registry.make("doubel")
    assert caught.value.remedy == "did you mean 'double'?"


@pytest.mark.parametrize(
    ("make", "name", "meant"),
    [
        (make_estimator, "disparty", "disparity"),
        (make_deblurrer, "weiner", "wiener"),
        (make_deblurrer, "LDP", "ldp"),
    ],
)
def test_misspelt_methods_are_told_what_they_were_meant_to_be(make: Any, name: str, meant: str) -> None:
    with pytest.raises(SettingsError) as caught:
        make(name)
    assert caught.value.remedy == f"did you mean '{meant}'?"


def test_what_resembles_no_method_is_offered_all() -> None:
    with pytest.raises(SettingsError) as caught:
        make_estimator("x")
    assert caught.value.expected == ", ".join(ESTIMATORS)
    assert caught.value.remedy == "choose one of the names"


def test_what_a_method_declares_is_what_it_has() -> None:
    for registry in (ESTIMATORS, DEBLURRERS):
        for name, definition in registry.items():
            assert registry.make(name).spec.method.startswith(name)
            assert definition.views in (1, 2)
