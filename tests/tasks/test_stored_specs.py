"""Specifications that are kept between commands: the same as made ones, and of no other installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from ldp_core.types import StageSpec
from tasks import stored_specs
from tasks.pipeline import make_config, pipeline_of
from tasks.stage import ItemTraits
from tasks.stored_specs import spec_of

PAIR, SINGLE = ItemTraits(), ItemTraits(views=1)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    stored_specs._file.cache_clear()
    return tmp_path / "ldp"


def make_specs(**settings: object) -> list[dict[str, str]]:
    """Stage keys of pairs and single views, from pipelines that were not made before."""
    pipeline_of.cache_clear()
    config = make_config(
        "memory://archive", estimator=("disparity", {}), deblurrer=("wiener", settings), baselines=["bdir"]
    )
    return [pipeline_of(config, traits).keys for traits in (PAIR, SINGLE)]


def test_keys_are_the_same_and_nothing_is_made_twice(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_specs()
    assert not cache.exists()
    with stored_specs.stored_specs():
        assert make_specs() == made
    assert [file.suffix for file in cache.iterdir()] == [".json"]
    monkeypatch.setattr("tasks.stages.estimator_for", None)
    monkeypatch.setattr("tasks.stages.deblurrer_for", None)
    monkeypatch.setattr("ldp_core.metrics.score_spec", None)
    with stored_specs.stored_specs():
        assert make_specs() == made
    with pytest.raises(TypeError):
        make_specs()


def test_settings_have_entries_of_their_own(cache: Path) -> None:
    with stored_specs.stored_specs():
        assert make_specs() != make_specs(noise_signal=0.05)
        assert make_specs(noise_signal=0.05) == make_specs(noise_signal=0.05)


SPEC = StageSpec("blur", "method", "1", {"window": 3})


def test_settings_that_may_name_a_file_are_made_each_time(cache: Path) -> None:
    asked = []

    def make() -> StageSpec:
        asked.append(1)
        return SPEC

    with stored_specs.stored_specs():
        for _ in range(2):
            assert spec_of(("deblurrer", "ldp", '{"weights": "mine.safetensors"}'), make) == SPEC
    assert len(asked) == 2
    assert not cache.exists()


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff"])
def test_a_damaged_file_is_replaced(cache: Path, content: bytes) -> None:
    name = ("estimator", "disparity", "{}")
    with stored_specs.stored_specs():
        assert spec_of(name, lambda: SPEC) == SPEC
        [file] = cache.iterdir()
        file.write_bytes(content)
        assert spec_of(name, lambda: SPEC) == SPEC
        assert file.read_bytes() != content


def test_another_installation_has_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = stored_specs._file()
    stored_specs._file.cache_clear()
    monkeypatch.setattr("ldp_core.__file__", str(tmp_path / "__init__.py"))
    assert stored_specs._file() != before
