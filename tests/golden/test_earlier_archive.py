"""An archive that an earlier version left must stay as useful as it was: nothing is computed again but the
scores, whose figures of blurred pictures are taken in tiles since.

``earlier/`` holds a dataset (three pairs, one of them with a damaged picture, and a single view) and what
``ldp restore dataset --archive archive --dataset set --baseline bdir`` of version 0.1.0 made of it, without
the report.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ldp_core.archive import Archive
from ldp_core.types import BASELINE, Score
from ldp_core.weights import SHIPPED
from ldp_core.weights.files import _load_network
from tasks.cluster import in_process
from tasks.heartbeat import RunState
from tasks.items import ItemResult, confirm_item, restore_item
from tasks.pipeline import make_config, pipeline_for
from tasks.plan import Plan, make_plan
from tasks.repair import Repair, RepairOutcome, repair_archive
from tasks.run import Run, new_run_id
from tasks.stage import PAIR
from tasks.stages import SCORE
from tasks.status import describe_run
from tasks.verify import verify_archive

EARLIER = Path(__file__).parent / "earlier"
RUN_ID = "20261129t024723z-595cd1"
EARLIER_LDP = "c7be6b0a7e43f853412b21c79b767f665081282a8ab938a22f40375f410ab5d7"
"""The weights of `ldp` that came with version 0.1.0."""


@pytest.fixture(autouse=True)
def earlier_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods name the versions they had then: with a later one results are meant to be computed again."""
    monkeypatch.setattr("ldp_core.blur.disparity.VERSION", "4")
    monkeypatch.setattr("ldp_core.deblur.wiener.VERSION", "3")
    shipped = {**SHIPPED, "ldp": replace(SHIPPED["ldp"], sha256=EARLIER_LDP)}
    monkeypatch.setattr("ldp_core.weights.files.SHIPPED", shipped)
    _load_network.cache_clear()  # networks that other tests have opened by today's digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EARLIER, tmp_path / "earlier"))


def values(scores: Iterable[Score]) -> dict[Score, float]:
    """By what was scored."""
    return {replace(score, value=0): score.value for score in scores}


def plan_again(folder: Path) -> Plan:
    config = make_config(
        str(folder / "archive"), estimator=("disparity", {}), deblurrer=("ldp", {}), baselines=["bdir"]
    )
    return make_plan(config, str(folder / "dataset"), layout="folders", dataset="set")


def test_only_scores_are_left_to_compute_and_come_out_as_they_were(folder: Path) -> None:
    plan, earlier = plan_again(folder), Run(str(folder / "archive"), RUN_ID)
    for item in plan.catalogue.items[:2] + plan.catalogue.items[3:]:
        pipeline = pipeline_for(plan.config, item)
        there = plan.completed.labels(pipeline, item)
        assert {*pipeline.labels} - there == {SCORE}
        assert isinstance(confirm_item(plan.config, item), ItemResult)
        result = restore_item(plan.config, item, there)
        assert isinstance(result, ItemResult)
        assert result.computed == (SCORE,)
        before = next(one.scores for one in earlier.items if one.id == item.id)
        assert values(result.scores) == pytest.approx(values(before), rel=0, abs=1e-3)


def test_its_record_is_read_as_it_is(folder: Path) -> None:
    run, plan = Run(str(folder / "archive"), RUN_ID), plan_again(folder)
    assert run.config == plan.config
    for name, pipeline in plan.pipelines.items():
        ours, theirs = (
            [one for one in specs if one.stage != SCORE] for specs in (pipeline.specs, run.specs[name])
        )
        assert ours == theirs
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
    key = pipeline_for(plan.config, plan.catalogue.items[0]).keys["baseline:bdir"]
    opened = Archive(archive)
    before = opened.read_restored(key, "set/0")
    (folder / "archive" / "restored" / key / "set" / "0" / "c.0.0.0").unlink()
    keys = {path.name for path in (folder / "archive" / "scores").iterdir()}
    [made] = repair(archive).values()
    assert made.outcome is not RepairOutcome.NOT_REPAIRED
    # It was computed with as many threads as that machine had, and float32 sums depend on them.
    assert np.abs(opened.read_restored(key, "set/0").astype(int) - before).max() <= 1
    assert {path.name for path in (folder / "archive" / "scores").iterdir()} == keys


def test_what_weights_made_that_ship_no_more_is_not_replaced_by_others(folder: Path) -> None:
    [lost] = (folder / "archive" / "restored").glob("ldp-*/set/0/c.0.0.0")
    lost.unlink()
    outcomes = repair(str(folder / "archive")).values()
    assert {one.outcome for one in outcomes} == {RepairOutcome.NOT_REPAIRED}
    assert any("weights" in one.reason for one in outcomes)


def test_scores_that_it_loses_are_not_replaced_by_others(folder: Path) -> None:
    earlier = Run(str(folder / "archive"), RUN_ID)
    key = earlier.key_of(SCORE, PAIR)
    (folder / "archive" / "scores" / key / "set" / "0.json").unlink()
    [lost] = repair(str(folder / "archive")).values()
    assert lost.outcome is RepairOutcome.NOT_REPAIRED
    assert "makes other results than the ldp 0.1.0" in lost.reason


def repair(archive: str) -> dict[str, Repair]:
    corrupt = verify_archive(archive, in_process).corrupt.values()
    return repair_archive(archive, corrupt, in_process, when=new_run_id())
