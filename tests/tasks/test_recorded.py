"""Scores of finished items come from the record of a run where nothing can differ, else from the archive."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from run_samples import FIRST, SECOND, make_dataset, run_planned, start_planned

from ldp_core.types import Problem, Score
from tasks.finished import read_all_finished, read_recorded
from tasks.items import read_finished
from tasks.pipeline import make_config
from tasks.plan import Plan, make_plan

ALL = {"set/0", "set/1", "set/2"}


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    run_planned(folder / "archive", make_dataset(folder / "dataset"), FIRST)
    return folder


@pytest.fixture
def folder(_made: Path, tmp_path: Path) -> Path:
    shutil.copytree(_made / "archive", tmp_path / "archive", copy_function=shutil.copy2)
    return tmp_path


@pytest.fixture
def source(_made: Path) -> Path:
    return _made / "dataset"


def plan_run(folder: Path, source: Path, **settings: Any) -> Plan:
    verify = settings.pop("verify_sources", False)
    config = make_config(str(folder / "archive"), estimator=("disparity", {}), deblurrer=("wiener", settings))
    return make_plan(config, str(source), layout="folders", dataset="set", verify_sources=verify)


def by_name(scores: Iterable[Score]) -> list[Score]:
    return sorted(scores, key=lambda score: (score.metric, score.subject, score.protocol.name))


def test_they_are_what_the_entries_say(folder: Path, source: Path) -> None:
    plan = plan_run(folder, source)
    recorded = read_recorded(plan, scored=True)
    assert recorded.keys() == ALL
    for item in plan.catalogue.items:
        entry = read_finished(plan.config, item, True, scored=True)
        assert entry is not None
        assert replace(recorded[item.id], scores=()) == replace(entry, scores=(), seconds={})
        assert by_name(recorded[item.id].scores) == by_name(entry.scores)


def test_a_run_that_archives_needs_no_scores(folder: Path, source: Path) -> None:
    recorded = read_recorded(plan_run(folder, source, noise_signal=0.05), scored=False)
    assert {(item, one.scores) for item, one in recorded.items()} == {(item, ()) for item in ALL}


@pytest.mark.parametrize("entry", ["scores/*/set/1.json", "frames/set/1/zarr.json", "blur/*/set/1/zarr.json"])
def test_an_item_of_which_something_was_written_since_is_read(folder: Path, source: Path, entry: str) -> None:
    path = next(path for path in (folder / "archive").glob(entry) if "truth" not in str(path))
    os.utime(path)
    plan = plan_run(folder, source)
    assert read_recorded(plan, scored=True).keys() == ALL - {"set/1"}
    assert len(read_all_finished(plan, scored=True) or ()) == 3


def test_damage_to_scores_is_met_as_before(folder: Path, source: Path) -> None:
    [path] = (folder / "archive").glob("scores/*/set/1.json")
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    assert read_all_finished(plan_run(folder, source), scored=True) is None


def test_a_doubted_item_is_read(folder: Path, source: Path) -> None:
    plan = plan_run(folder, source)
    doubted = Problem("set/2", "scene_mismatch", "another scene", "look at it", refuses_item=False)
    assert plan.recorded is not None
    plan.recorded.__dict__["summary"] = replace(plan.recorded.summary, problems=(doubted,))
    assert read_recorded(plan, scored=True).keys() == ALL - {"set/2"}


def flip(folder: Path, name: str) -> None:
    path = folder / "archive" / "runs" / FIRST / name
    path.write_bytes(path.read_bytes()[:-9] + b"x" + path.read_bytes()[-8:])


@pytest.mark.parametrize("name", ["scores.parquet", "items.jsonl", "digests.json", "summary.json"])
def test_a_record_that_was_altered_is_not_believed(folder: Path, source: Path, name: str) -> None:
    flip(folder, name)
    assert read_recorded(plan_run(folder, source), scored=True) == {}


def test_other_stages_have_other_scores(folder: Path, source: Path) -> None:
    assert read_recorded(plan_run(folder, source, noise_signal=0.05), scored=True) == {}


def test_sources_that_are_to_be_verified_are_not_taken_from_a_record(folder: Path, source: Path) -> None:
    assert read_recorded(plan_run(folder, source, verify_sources=True), scored=True) == {}


def test_a_run_that_was_killed_is_passed_over(folder: Path, source: Path) -> None:
    plan = plan_run(folder, source)
    start_planned(plan, SECOND)
    again = plan_run(folder, source)
    assert again.recorded is not None
    assert again.recorded.run_id == FIRST
    assert read_recorded(again, scored=True).keys() == ALL
