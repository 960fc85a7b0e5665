"""Pairs and single views in one run: each through the methods that serve it, under keys of its own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_samples import FIRST, SECOND, contents_of, make_dataset
from single_samples import write_bdir, write_dbd

from flows.gc import collect_garbage
from flows.preview import preview_run
from flows.status import describe_archive, describe_one
from flows.verify import verify
from ldp_core.archive import Archive, ItemKind
from ldp_core.catalogue import read_catalogue
from ldp_core.errors import SettingsError
from ldp_core.metrics import summarise
from ldp_core.types import BASELINE, ImageRef, Item, ItemCounts, RunSummary
from tasks.compare import compare_runs
from tasks.job import STAGES, Job, Method, all_stages, keys_of, make_job, stages_for, stages_of
from tasks.memory import declare_memory
from tasks.plan import make_plan
from tasks.records import read_record, read_single
from tasks.runs import RunItem, environment, read_start, write_end, write_start
from tasks.stages import Drawn, Failed, Outcome, Work, draw_item, ingest_item, recall_item, restore_item

PAIR, SINGLE = "set/0", "set/1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair and a single view, weights, and a run over both with a baseline."""
    folder = tmp_path_factory.mktemp("mixed")
    make_dataset(folder / "dataset", 2)
    for view in ("right", "coc"):
        (folder / "dataset" / view / "1.png").unlink()
    write_run(folder, FIRST, baselines=["bdir"])
    return folder


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The archive of the run, to be changed."""
    return Path(shutil.copytree(folder / "archive", tmp_path / "archive"))


def job_in(folder: Path, *, weights: Path | None = None, **options: Any) -> Job:
    settings = write_dbd(weights or folder), write_bdir(weights or folder)
    methods: dict[str, Any] = {"estimator": ("disparity", {}), "deblurrer": ("wiener", {})}
    archive = str(folder / "archive")
    return make_job(archive, single_settings=settings, torch_threads=1, **(methods | options))


def write_run(folder: Path, run_id: str, **options: Any) -> Job:
    job = job_in(folder, **options)
    catalogue = read_catalogue(str(folder / "dataset"), layout="folders", dataset="set")
    stages, single_stages = stages_for(job, catalogue.items)
    write_start(job, run_id, catalogue, stages=stages, single_stages=single_stages)
    items = []
    for item in catalogue.items:
        assert isinstance(ingest_item(job, item), Outcome)
        done = restore_item(job, Work(item, all_stages(job)))
        assert isinstance(done, Outcome), done
        items.append(RunItem(item.id, "computed" if done.computed else "skipped", done.scores, done.digest))
    summary = RunSummary(
        run_id=run_id,
        created="2026-01-01T00:00:00+00:00",
        dataset=catalogue.dataset,
        layout=catalogue.layout,
        source=catalogue.source,
        report="",
        stages=stages,
        environment=environment(),
        items=ItemCounts(len(items), len(items), 0, 0),
        seconds={"total": 1.0},
        metrics=summarise([score for item in items for score in item.scores]),
        single_stages=single_stages,
    )
    write_end(job, summary, items)
    return job


def item_of(name: str, *, pair: bool = True) -> Item:
    ref = ImageRef("a.png", 1120, 1680, 3, 8, 1000)
    return Item(name, ref, ref if pair else None)


class TestJob:
    def test_pairs_keep_the_methods_and_keys_of_a_run_without_single_views(self) -> None:
        plain, other = Job("a"), Job("a", single_deblurrer=Method.of("bdir", {"tile_px": 256}))
        assert plain.for_item(item_of("a")) == plain
        assert keys_of(plain) == keys_of(other)
        stages = stages_of(plain)
        assert [spec.stage for spec in stages] == list(STAGES)
        assert "baselines" not in stages[2].settings
        assert keys_of(plain) != keys_of(plain, single=True)
        assert stages_for(plain, [item_of("a")]) == (stages, ())

    @pytest.mark.parametrize(
        ("estimator", "deblurrer", "expected"),
        [
            ("disparity", "ldp", ("depth-distilled", "bdir")),
            ("clip", "wiener", ("depth-distilled", "bdir")),
            ("depth-distilled", "ldp", ("depth-distilled", "bdir")),
            ("disparity", "bdir", ("depth-distilled", "bdir")),
        ],
    )
    def test_single_views_take_the_methods_of_the_run_that_work_on_one(
        self, estimator: str, deblurrer: str, expected: tuple[str, str]
    ) -> None:
        own = {"depth-distilled": {"flip": True}, "bdir": {"tile_px": 256}}
        methods = (Method.of(name, own.get(name)) for name in (estimator, deblurrer))
        served = Job("a", *methods).for_item(item_of("b", pair=False))
        assert (served.estimator.name, served.deblurrer.name) == expected
        assert ("flip" in served.estimator.settings) == (estimator == "depth-distilled")
        assert ("tile_px" in served.deblurrer.settings) == (deblurrer == "bdir")

    def test_a_baseline_serves_where_it_can_and_is_not_the_method_itself(self) -> None:
        job = make_job(
            "a", estimator=("disparity", {}), deblurrer=("ldp", {}), baselines=["bdir", "wiener", "bdir"]
        )
        assert [method.name for method in job.baselines] == ["bdir", "wiener"]
        assert list(keys_of(job).baselines) == ["bdir", "wiener"]
        assert list(keys_of(job, single=True).baselines) == []
        same = replace(job, deblurrer=Method("bdir"))
        assert list(keys_of(same).baselines) == ["wiener"]

    def test_a_baseline_of_one_view_depends_on_no_map(self) -> None:
        keys = [
            keys_of(Job("a", Method(estimator), baselines=(Method("bdir"), Method("wiener")))).baselines
            for estimator in ("disparity", "zncc")
        ]
        assert keys[0]["bdir"] == keys[1]["bdir"]
        assert keys[0]["wiener"] != keys[1]["wiener"]

    def test_baselines_change_the_scores_and_nothing_else(self) -> None:
        plain, beside = keys_of(Job("a")), keys_of(Job("a", baselines=(Method("bdir"),)))
        assert (plain.blur, plain.restored) == (beside.blur, beside.restored)
        assert plain.scores != beside.scores

    def test_an_unknown_baseline_is_refused(self) -> None:
        with pytest.raises(SettingsError):
            keys_of(Job("a", baselines=(Method("magic"),)))

    def test_memory_counts_the_methods_that_serve_an_item(self) -> None:
        job = Job("a")
        [pair] = declare_memory([item_of("a")], job)
        [beside] = declare_memory([item_of("a")], replace(job, baselines=(Method("bdir"),)))
        [single] = declare_memory([item_of("a", pair=False)], job)
        assert beside.bytes > pair.bytes
        assert single.bytes != pair.bytes


class TestRun:
    def test_each_item_leaves_results_under_the_keys_that_serve_it(self, folder: Path) -> None:
        job = job_in(folder, baselines=["bdir"])
        archive, pairs, singles = Archive(job.archive), keys_of(job), keys_of(job, single=True)
        assert archive.list_items("blur", pairs.blur) == {PAIR}
        assert archive.list_items("blur", singles.blur) == {SINGLE}
        assert archive.list_items("restored", pairs.restored) == {PAIR}
        assert archive.list_items("restored", pairs.baselines["bdir"]) == {PAIR}
        assert archive.list_items("restored", singles.restored) == {SINGLE}
        subjects = {(s.item, s.subject) for s in archive.read_scores(pairs.scores, PAIR)}
        assert {(PAIR, "bdir"), (PAIR, "restored"), (PAIR, "input")} <= subjects
        subjects = {(s.item, s.subject) for s in archive.read_scores(singles.scores, SINGLE)}
        assert subjects == {(SINGLE, "restored"), (SINGLE, "input")}

    def test_a_plan_sees_what_is_done_of_both(self, folder: Path, tmp_path: Path) -> None:
        source = str(folder / "dataset")
        plan = make_plan(job_in(folder, baselines=["bdir"]), source, layout="folders", dataset="set")
        assert plan.to_do == ()
        assert plan.single_keys is not None
        plan = make_plan(job_in(folder), source, layout="folders", dataset="set")
        assert [item.id for item in plan.to_do] == [PAIR]  # its scores; a baseline more was in them
        other = job_in(folder, baselines=["bdir"], deblurrer=("wiener", {"noise_signal": 0.05}))
        plan = make_plan(other, source, layout="folders", dataset="set")
        assert [item.id for item in plan.to_do] == [PAIR]
        assert plan.done.stages(PAIR) == {"blur", "baseline:bdir"}
        assert plan.done.stages(SINGLE) == all_stages(other)
        fresh = replace(job_in(folder), archive=str(tmp_path))
        plan = make_plan(fresh, source, layout="folders", dataset="set")
        assert plan.to_do == plan.catalogue.items

    def test_a_preview_counts_single_views(self, folder: Path) -> None:
        preview = preview_run(
            str(folder / "dataset"),
            "folders",
            str(folder / "archive"),
            dataset="set",
            estimator=("disparity", {}),
            deblurrer=("wiener", {}),
            processes=1,
            single_settings=(write_dbd(folder), write_bdir(folder)),
            baselines=["bdir"],
        )
        assert (preview["pairs"], preview["single_views"], preview["to_do"]) == (1, 1, 0)
        assert preview["done"] == {"ingest": 2, "blur": 2, "deblur": 2, "score": 2, "bdir": 2}
        assert preview["single_stage_keys"]["restored"].startswith("bdir-")

    def test_what_is_archived_is_recalled(self, folder: Path) -> None:
        job = job_in(folder, baselines=["bdir"])
        for item in read_start(job.archive, FIRST)[1].items:
            outcome = recall_item(job, item)
            assert isinstance(outcome, Outcome)
            assert outcome.computed == ()
            assert outcome.scores

    def test_pictures_of_baselines_are_drawn_beside(self, folder: Path, tmp_path: Path) -> None:
        job = job_in(folder, baselines=["bdir"])
        pair, single = (draw_item(job, str(tmp_path), i) for i in read_start(job.archive, FIRST)[1].items)
        assert isinstance(pair, Drawn)
        assert isinstance(single, Drawn)
        assert {"left.jpg", "right.jpg", "peer-bdir.jpg"} <= pair.pictures.keys()
        assert not {"left.jpg", "right.jpg", "peer-bdir.jpg"} & single.pictures.keys()

    def test_without_weights_a_single_view_is_set_aside_with_a_way_out(
        self, folder: Path, tmp_path: Path
    ) -> None:
        nowhere = {"weights": "no/such.safetensors"}
        methods: dict[str, Any] = {"estimator": ("disparity", {}), "deblurrer": ("wiener", {})}
        job = make_job(str(tmp_path), single_settings=(nowhere, nowhere), **methods)
        [_, item] = read_start(str(folder / "archive"), FIRST)[1].items
        assert isinstance(ingest_item(job, item), Outcome)
        failed = restore_item(job, Work(item))
        assert isinstance(failed, Failed)
        assert (failed.record.stage, failed.record.kind) == ("blur", "weights")
        assert failed.record.remedy


class TestRecord:
    def test_it_names_the_keys_of_both(self, folder: Path) -> None:
        archive = str(folder / "archive")
        record, job = read_record(archive, FIRST), job_in(folder, baselines=["bdir"])
        assert record.job == job == read_start(archive, FIRST)[0]
        assert read_single(archive, FIRST) == {SINGLE}
        assert record.key_of(ItemKind.RESTORED, single=False) == keys_of(job).restored
        assert record.key_of(ItemKind.RESTORED, single=True) == keys_of(job, single=True).restored
        assert (ItemKind.RESTORED, keys_of(job).baselines["bdir"]) in record.sections
        assert [spec.stage for spec in record.stages] == [*STAGES, BASELINE]
        assert [spec.stage for spec in record.single_stages] == list(STAGES)

    def test_status_tells_of_both(self, folder: Path) -> None:
        archive = str(folder / "archive")
        [run] = describe_archive(archive)["runs"]
        assert run["estimator"] == "disparity | depth-distilled"
        assert run["deblurrer"] == "wiener | bdir"
        assert run["baselines"] == "bdir"
        facts, keys = describe_one(archive, FIRST), keys_of(job_in(folder, baselines=["bdir"]))
        assert facts["stage_keys"]["restored"] == keys.restored
        assert facts["single_stage_keys"]["restored"].startswith("bdir-")
        assert facts["baseline_keys"] == {"bdir": keys.baselines["bdir"]}

    def test_a_whole_archive_is_found_whole(self, folder: Path) -> None:
        found = verify(str(folder / "archive"), processes=1)
        assert found["whole"], found["rotten"]
        assert found["orphaned"] == []

    def test_what_is_lost_of_either_is_missed_and_made_again(self, copy: Path) -> None:
        before = contents_of(copy)
        record = read_record(str(copy), FIRST)
        single_key = record.key_of(ItemKind.RESTORED, single=True)
        [baseline] = describe_one(str(copy), FIRST)["baseline_keys"].values()
        shutil.rmtree(copy / "restored" / single_key / SINGLE)
        shutil.rmtree(copy / "restored" / baseline / PAIR)
        (copy / "runs" / FIRST / "scores.parquet").write_bytes(b"rotten")
        damage(next((copy / "blur" / record.key_of(ItemKind.BLUR, single=True) / SINGLE).glob("c.*")))
        damage(next((copy / "frames" / SINGLE).glob("c.*")))
        found = verify(str(copy), repair=True, processes=1)
        outcomes = {row["path"].split("/")[0]: row["outcome"] for row in found["rotten"]}
        assert len(found["rotten"]) == 5
        assert "not_mended" not in outcomes.values(), found["rotten"]
        assert contents_of(copy) == before

    def test_nothing_that_a_run_refers_to_is_garbage(self, copy: Path) -> None:
        assert collect_garbage(str(copy), delete=False, grace_hours=0)["sections"] == []

    def test_two_runs_compare_over_pairs_and_single_views(self, folder: Path, copy: Path) -> None:
        shutil.copytree(folder / "dataset", copy.parent / "dataset")
        other = {"deblurrer": ("wiener", {"noise_signal": 0.05}), "weights": folder}
        job = write_run(copy.parent, SECOND, **other)
        found = compare_runs(str(copy), FIRST, SECOND)
        assert found.paired.common == {PAIR, SINGLE}
        first, second = found.restored
        assert first.of(SINGLE).startswith("bdir-")
        assert second.of(PAIR) == keys_of(job).restored != first.of(PAIR)
        for keys in found.restored:
            for item in (PAIR, SINGLE):
                assert Archive(str(copy)).read_restored(keys.of(item), item).dtype == np.uint8
        changed = {change.stage for change in found.changes}
        assert {"deblur", "baseline bdir"} <= changed
        assert "blur, single view" not in changed


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
