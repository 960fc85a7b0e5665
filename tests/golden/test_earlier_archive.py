"""An archive that an earlier version left must stay as useful as it was: nothing is computed again.

``earlier/`` holds a dataset (three pairs, one of them with a damaged picture, and a single view) and what
``ldp restore dataset --archive archive --dataset set --baseline bdir`` of version 0.1.0 made of it, without
the report.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ldp_core.archive import Archive
from ldp_core.types import BASELINE
from tasks.cluster import in_process
from tasks.items import ItemResult, confirm_item, load_archived
from tasks.pipeline import make_config, pipeline_for
from tasks.plan import Plan, make_plan
from tasks.repair import RepairOutcome, repair_archive
from tasks.run import Run, RunState, new_run_id
from tasks.status import describe_run
from tasks.verify import verify_archive

EARLIER = Path(__file__).parent / "earlier"
RUN_ID = "20261129t024723z-595cd1"


@pytest.fixture(autouse=True)
def earlier_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods name the versions they had then: with a later one results are meant to be computed again."""
    monkeypatch.setattr("ldp_core.blur.disparity.VERSION", "4")
    monkeypatch.setattr("ldp_core.deblur.wiener.VERSION", "3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EARLIER, tmp_path / "earlier"))


def plan_again(folder: Path) -> Plan:
    config = make_config(
        str(folder / "archive"), estimator=("disparity", {}), deblurrer=("ldp", {}), baselines=["bdir"]
    )
    return make_plan(config, str(folder / "dataset"), layout="folders", dataset="set")


def test_nothing_is_left_to_compute(folder: Path) -> None:
    plan = plan_again(folder)
    assert [item.id for item in plan.to_do] == ["set/2"]  # its picture is damaged
    for item in plan.catalogue.items:
        if plan.is_done(item):
            assert isinstance(confirm_item(plan.config, item), ItemResult)
            result = load_archived(plan.config, item)
            assert isinstance(result, ItemResult)
            assert (result.computed, bool(result.scores)) == ((), True)


def test_its_record_is_read_as_it_is(folder: Path) -> None:
    run, plan = Run(str(folder / "archive"), RUN_ID), plan_again(folder)
    assert run.config == plan.config
    assert run.specs == {name: pipeline.specs for name, pipeline in plan.pipelines.items()}
    assert [spec.stage for spec in run.specs["pair"]] == ["blur", "deblur", "score", BASELINE]
    assert run.listed == {"pair": {"set/0", "set/1", "set/2"}, "single": {"set/3"}}
    assert run.completed == ("set/0", "set/1", "set/3")
    assert describe_run(run).state is RunState.FINISHED
    assert [record.item for record in run.summary.quarantine] == ["set/2"]


def test_it_is_whole_and_what_it_loses_is_made_again(folder: Path) -> None:
    archive = str(folder / "archive")
    found = verify_archive(archive, in_process)
    assert not found.corrupt
    assert not any((found.unknown, found.orphaned, found.incomplete, found.unchecked))
    plan = plan_again(folder)
    key = pipeline_for(plan.config, plan.catalogue.items[0]).keys["score"]
    lost = folder / "archive" / "scores" / key / "set" / "0.json"
    opened = Archive(archive)
    before = opened.read_scores(key, "set/0")
    lost.unlink()
    corrupt = verify_archive(archive, in_process).corrupt.values()
    [repair] = repair_archive(archive, corrupt, in_process, when=new_run_id()).values()
    assert repair.outcome is not RepairOutcome.NOT_REPAIRED
    # It was computed with as many threads as that machine had, and float32 sums depend on them.
    after = opened.read_scores(key, "set/0")
    assert [replace(score, value=0) for score in after] == [replace(score, value=0) for score in before]
    assert [score.value for score in after] == pytest.approx([score.value for score in before], rel=1e-6)
