"""Pairs and single views in one run: each through the pipeline that serves it, under keys of its own."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_samples import FIRST, SECOND, begin_run, complete_run, contents_of, make_dataset
from single_samples import write_bdir, write_dbd

from flows.archives import collect_garbage, describe_archive, describe_one_run, verify
from flows.preview import preview_run
from ldp_core.archive import Archive, Section
from ldp_core.archive.layout import RESTORED
from ldp_core.errors import SettingsError
from ldp_core.types import BASELINE, ImageRef, Item
from tasks.items import DrawnItem, Failed, ItemResult, draw_item, ingest_item, load_archived, restore_item
from tasks.needs import declare_memory
from tasks.pipeline import make_config, pipeline_for, pipeline_of, pipelines_for
from tasks.plan import make_plan
from tasks.run import Run
from tasks.stage import ItemTraits, MethodConfig, PipelineConfig, Route
from tasks.status import compare_runs

PAIR, SINGLE = "set/0", "set/1"
PAIRS, SINGLES = ItemTraits(), ItemTraits(views=1)
LABELS = ("blur", "deblur", "score")


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


def config_in(folder: Path, *, weights: Path | None = None, **options: Any) -> PipelineConfig:
    settings = write_dbd(weights or folder), write_bdir(weights or folder)
    methods: dict[str, Any] = {"estimator": ("disparity", {}), "deblurrer": ("wiener", {})}
    archive = str(folder / "archive")
    return make_config(archive, single_settings=settings, **(methods | options))


def write_run(folder: Path, run_id: str, **options: Any) -> PipelineConfig:
    config = config_in(folder, **options)
    complete_run(begin_run(config, folder / "dataset", run_id))
    return config


def keys_of(config: PipelineConfig, traits: ItemTraits = PAIRS) -> dict[str, str]:
    return pipeline_of(config, traits).keys


def with_baselines(*names: str, **route: str) -> PipelineConfig:
    methods = {"estimator": "disparity", "deblurrer": "ldp"} | route
    pair = Route(MethodConfig(methods["estimator"]), MethodConfig(methods["deblurrer"]))
    return PipelineConfig("a", pair, baselines=tuple(map(MethodConfig, names)))


def item_of(name: str, *, pair: bool = True) -> Item:
    ref = ImageRef("a.png", 1120, 1680, 3, 8, 1000)
    return Item(name, ref, ref if pair else None)


class TestPipeline:
    def test_pairs_keep_their_keys_whatever_serves_single_views(self) -> None:
        plain = PipelineConfig("a")
        single = Route(plain.single.estimator, MethodConfig.of("bdir", {"tile_px": 256}))
        assert keys_of(plain) == keys_of(replace(plain, single=single))
        pipeline = pipeline_for(plain, item_of("a"))
        assert pipeline.labels == LABELS
        assert "baselines" not in pipeline["score"].spec.settings
        assert keys_of(plain) != keys_of(plain, SINGLES)
        assert pipelines_for(plain, [item_of("a")]) == {"pair": pipeline}
        assert list(pipelines_for(plain, [item_of("b", pair=False), item_of("a")])) == ["pair", "single"]

    @pytest.mark.parametrize(
        ("estimator", "deblurrer"),
        [("disparity", "ldp"), ("clip", "wiener"), ("depth-distilled", "ldp"), ("disparity", "bdir")],
    )
    def test_single_views_take_the_methods_of_the_run_that_work_on_one(
        self, estimator: str, deblurrer: str
    ) -> None:
        own = {"depth-distilled": {"flip": True}, "bdir": {"tile_px": 256}}
        methods = [MethodConfig.of(name, own.get(name)) for name in (estimator, deblurrer)]
        config = PipelineConfig("a", Route(*methods))
        blur, deblur, _ = pipeline_for(config, item_of("b", pair=False)).stages
        assert blur.method is not None
        assert deblur.method is not None
        assert (blur.method.name, deblur.method.name) == ("depth-distilled", "bdir")
        assert ("flip" in blur.method.values) == (estimator == "depth-distilled")
        assert ("tile_px" in deblur.method.values) == (deblurrer == "bdir")

    def test_a_baseline_serves_where_it_can_and_is_not_the_method_itself(self) -> None:
        config = make_config(
            "a", estimator=("disparity", {}), deblurrer=("ldp", {}), baselines=["bdir", "wiener", "bdir"]
        )
        assert [method.name for method in config.baselines] == ["bdir", "wiener"]
        beside = ("blur", "deblur", "baseline:bdir", "baseline:wiener", "score")
        assert pipeline_of(config, PAIRS).labels == beside
        assert pipeline_of(config, SINGLES).labels == LABELS
        same = with_baselines("bdir", "wiener", deblurrer="bdir")
        assert pipeline_of(same, PAIRS).labels == ("blur", "deblur", "baseline:wiener", "score")

    def test_a_baseline_of_one_view_depends_on_no_map(self) -> None:
        first, second = (
            keys_of(with_baselines("bdir", "wiener", estimator=name)) for name in ("disparity", "zncc")
        )
        assert first["baseline:bdir"] == second["baseline:bdir"]
        assert first["baseline:wiener"] != second["baseline:wiener"]

    def test_baselines_change_the_scores_and_nothing_else(self) -> None:
        plain, beside = keys_of(PipelineConfig("a")), keys_of(with_baselines("bdir"))
        assert (plain["blur"], plain["deblur"]) == (beside["blur"], beside["deblur"])
        assert plain["score"] != beside["score"]

    @pytest.mark.parametrize("wrong", [{"estimator": "magic"}, {"deblurrer": "magic"}])
    def test_an_unknown_method_is_refused(self, wrong: dict[str, str]) -> None:
        with pytest.raises(SettingsError):
            keys_of(with_baselines(**wrong))
        with pytest.raises(SettingsError):
            keys_of(with_baselines("magic"))

    def test_another_camera_is_another_pipeline_of_the_same_methods(self) -> None:
        config, item = PipelineConfig("a"), item_of("a")
        other = replace(item, camera="pixel-4")
        named = pipelines_for(config, [item, other])
        assert list(named) == ["pair", "pair, pixel-4"]
        assert pipeline_for(config, other) is named["pair, pixel-4"]

    def test_another_peak_is_no_other_pipeline_as_frames_are_full_range(self) -> None:
        config, item = PipelineConfig("a"), item_of("a")
        assert pipeline_for(config, replace(item, peak=1023)) is pipeline_for(config, item)

    def test_memory_counts_the_methods_that_serve_an_item(self) -> None:
        [pair] = declare_memory([item_of("a")], PipelineConfig("a"))
        [beside] = declare_memory([item_of("a")], with_baselines("bdir"))
        [single] = declare_memory([item_of("a", pair=False)], PipelineConfig("a"))
        assert beside.bytes > pair.bytes
        assert single.bytes != pair.bytes


class TestItems:
    def test_each_item_leaves_results_under_the_keys_that_serve_it(self, folder: Path) -> None:
        config = config_in(folder, baselines=["bdir"])
        archive, pairs, singles = Archive(config.archive), keys_of(config), keys_of(config, SINGLES)
        assert archive.list_items("blur", pairs["blur"]) == {PAIR}
        assert archive.list_items("blur", singles["blur"]) == {SINGLE}
        assert archive.list_items("restored", pairs["deblur"]) == {PAIR}
        assert archive.list_items("restored", pairs["baseline:bdir"]) == {PAIR}
        assert archive.list_items("restored", singles["deblur"]) == {SINGLE}
        subjects = {(s.item, s.subject) for s in archive.read_scores(pairs["score"], PAIR)}
        assert {(PAIR, "bdir"), (PAIR, "restored"), (PAIR, "input")} <= subjects
        subjects = {(s.item, s.subject) for s in archive.read_scores(singles["score"], SINGLE)}
        assert subjects == {(SINGLE, "restored"), (SINGLE, "input")}

    def test_a_plan_sees_what_is_done_of_both(self, folder: Path, tmp_path: Path) -> None:
        source = str(folder / "dataset")
        plan = make_plan(config_in(folder, baselines=["bdir"]), source, layout="folders", dataset="set")
        assert plan.to_do == ()
        assert list(plan.pipelines) == ["pair", "single"]
        plan = make_plan(config_in(folder), source, layout="folders", dataset="set")
        assert [item.id for item in plan.to_do] == [PAIR]  # its scores; a baseline more was in them
        other = config_in(folder, baselines=["bdir"], deblurrer=("wiener", {"noise_signal": 0.05}))
        plan = make_plan(other, source, layout="folders", dataset="set")
        assert [item.id for item in plan.to_do] == [PAIR]
        pair, single = plan.catalogue.items
        assert plan.completed.labels(plan.pipelines["pair"], pair) == {"blur", "baseline:bdir"}
        assert plan.completed.labels(plan.pipelines["single"], single) == set(LABELS)
        fresh = replace(config_in(folder), archive=str(tmp_path))
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
        done = {"ingest": 2, "blur": 2, "deblur": 2, "baseline:bdir": 2, "score": 2}
        assert preview["done"] == done
        assert preview["stage_keys"]["single"]["deblur"].startswith("bdir-")

    def test_what_is_archived_is_loaded(self, folder: Path) -> None:
        config = config_in(folder, baselines=["bdir"])
        for item in Run(config.archive, FIRST).catalogue.items:
            result = load_archived(config, item)
            assert isinstance(result, ItemResult)
            assert result.computed == ()
            assert result.scores

    def test_pictures_of_baselines_are_drawn_beside(self, folder: Path, tmp_path: Path) -> None:
        config = config_in(folder, baselines=["bdir"])
        items = Run(config.archive, FIRST).catalogue.items
        pair, single = (draw_item(config, str(tmp_path), item) for item in items)
        assert isinstance(pair, DrawnItem)
        assert isinstance(single, DrawnItem)
        assert {"left.jpg", "right.jpg", "peer-bdir.jpg"} <= pair.pictures.keys()
        assert not {"left.jpg", "right.jpg", "peer-bdir.jpg"} & single.pictures.keys()

    def test_without_weights_a_single_view_is_quarantined_with_a_way_out(
        self, folder: Path, tmp_path: Path
    ) -> None:
        nowhere = {"weights": "no/such.safetensors"}
        methods: dict[str, Any] = {"estimator": ("disparity", {}), "deblurrer": ("wiener", {})}
        config = make_config(str(tmp_path), single_settings=(nowhere, nowhere), **methods)
        [_, item] = Run(str(folder / "archive"), FIRST).catalogue.items
        assert isinstance(ingest_item(config, item), ItemResult)
        failed = restore_item(config, item)
        assert isinstance(failed, Failed)
        assert failed.record.kind == "weights"
        assert failed.record.remedy


class TestRecord:
    def test_it_names_the_keys_of_both(self, folder: Path) -> None:
        archive, config = str(folder / "archive"), config_in(folder, baselines=["bdir"])
        run = Run(archive, FIRST)
        assert run.config == config
        assert run.listed == {"pair": {PAIR}, "single": {SINGLE}}
        assert run.key_of("deblur", "pair") == keys_of(config)["deblur"]
        assert run.key_of("deblur", "single") == keys_of(config, SINGLES)["deblur"]
        assert Section(RESTORED, keys_of(config)["baseline:bdir"]) in run.sections
        assert [spec.stage for spec in run.specs["pair"]] == [*LABELS, BASELINE]
        assert [spec.stage for spec in run.specs["single"]] == list(LABELS)

    def test_status_tells_of_both(self, folder: Path) -> None:
        archive = str(folder / "archive")
        [run] = describe_archive(archive)["runs"]
        assert run["estimator"] == "disparity | depth-distilled"
        assert run["deblurrer"] == "wiener | bdir"
        assert run["baselines"] == "bdir"
        config, keys = config_in(folder, baselines=["bdir"]), describe_one_run(archive, FIRST)["stage_keys"]
        assert keys == {"pair": keys_of(config), "single": keys_of(config, SINGLES)}

    def test_a_whole_archive_is_found_whole(self, folder: Path) -> None:
        found = verify(str(folder / "archive"), processes=1)
        assert found["whole"], found["corrupt"]
        assert found["orphaned"] == []

    def test_what_is_lost_of_either_is_missed_and_made_again(self, copy: Path) -> None:
        before, run = contents_of(copy), Run(str(copy), FIRST)
        shutil.rmtree(copy / "restored" / run.key_of("deblur", "single") / SINGLE)
        shutil.rmtree(copy / "restored" / run.key_of("baseline:bdir", "pair") / PAIR)
        (copy / "runs" / FIRST / "scores.parquet").write_bytes(b"corrupt")
        damage(next((copy / "blur" / run.key_of("blur", "single") / SINGLE).glob("c.*")))
        damage(next((copy / "frames" / SINGLE).glob("c.*")))
        found = verify(str(copy), repair=True, processes=1)
        outcomes = {row["path"].split("/")[0]: row["outcome"] for row in found["corrupt"]}
        assert len(found["corrupt"]) == 5
        assert "not_repaired" not in outcomes.values(), found["corrupt"]
        assert contents_of(copy) == before

    def test_nothing_that_a_run_refers_to_is_garbage(self, copy: Path) -> None:
        assert collect_garbage(str(copy), delete=False, grace_hours=0)["sections"] == []

    def test_two_runs_compare_over_pairs_and_single_views(self, folder: Path, copy: Path) -> None:
        shutil.copytree(folder / "dataset", copy.parent / "dataset")
        other: dict[str, Any] = {"deblurrer": ("wiener", {"noise_signal": 0.05}), "weights": folder}
        config = write_run(copy.parent, SECOND, **other)
        found = compare_runs(str(copy), FIRST, SECOND)
        assert found.paired.common == {PAIR, SINGLE}
        assert found.restored_keys(SINGLE)[0].startswith("bdir-")
        first, second = found.restored_keys(PAIR)
        assert second == keys_of(config)["deblur"] != first
        for item in (PAIR, SINGLE):
            for key in found.restored_keys(item):
                assert Archive(str(copy)).read_restored(key, item).dtype == np.uint8
        changed = {change.stage for change in found.changes}
        assert {"deblur", "baseline bdir"} <= changed
        assert "blur, single" not in changed


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
