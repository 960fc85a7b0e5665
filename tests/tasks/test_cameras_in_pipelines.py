"""Profiles in pipelines: item by item, part of every key that they change, and of no other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from run_samples import FIRST, complete_run, contents_of, make_dataset

from flows.archives import verify
from flows.preview import preview_run
from ldp_core.archive.audit import Corruption, Damage
from ldp_core.cameras import open_camera
from ldp_core.cameras.matching import assign_cameras
from ldp_core.catalogue import read_catalogue
from ldp_core.errors import SettingsError
from ldp_core.types import ImageRef, Item
from tasks.items import Failed, ingest_item, restore_item
from tasks.pipeline import make_config, pipeline_of, pipelines_for
from tasks.plan import make_plan
from tasks.repair import plan_rebuilding
from tasks.run import Run
from tasks.stage import ItemTraits, PipelineConfig
from tasks.stages import deblurrer_for, estimator_for

METHODS: dict[str, Any] = {"estimator": ("disparity", {}), "deblurrer": ("wiener", {})}
BASELINES = ["ldp", "gated", "bdir"]
TAKE_NO_CAMERA = {"baseline:bdir"}


def write_camera(folder: Path, *, coma: float = 0.5, **frame: float) -> str:
    profile = {
        "format": "ldp-camera",
        "name": "mine",
        "kernels": {"kind": "pupil", "pupil": {"coma": coma}},
        "frame": {"width": 72, "height": 64} | frame,
    }
    path = folder / "mine.json"
    path.write_text(json.dumps(profile))
    return str(path)


def config_of(archive: Path | str = "a", baselines: list[str] = BASELINES) -> PipelineConfig:
    return make_config(str(archive), **METHODS, baselines=baselines)


def keys_of(camera: str) -> dict[str, str]:
    return pipeline_of(config_of(), ItemTraits(camera=camera)).keys


def is_chunk(path: str, *sections: str) -> bool:
    return path.startswith(sections) and not path.endswith(".json")


class TestKeys:
    def test_of_generic_are_those_without_a_camera(self) -> None:
        keys = keys_of("generic")
        assert keys["blur"] == "disparity-a2960e9ed4d975219a99"
        assert keys["deblur"] == "wiener-193874bf5771c106f3c7"
        assert keys["baseline:ldp"] == "ldp-be1ae706b40b6ce5e60a"
        assert keys["baseline:gated"] == "gated-ldp-31a4fc1915c514cae3e1"

    def test_every_method_that_takes_a_camera_has_others_and_no_other_has(self, tmp_path: Path) -> None:
        camera = open_camera(write_camera(tmp_path)).address
        plain, own = keys_of("generic"), keys_of(camera)
        assert {label for label in plain if plain[label] == own[label]} == TAKE_NO_CAMERA

    def test_they_follow_the_content_of_the_profile(self, tmp_path: Path) -> None:
        first = keys_of(open_camera(write_camera(tmp_path)).address)
        same = keys_of(open_camera(write_camera(tmp_path)).address)
        other = keys_of(open_camera(write_camera(tmp_path, coma=0.6)).address)
        assert first == same
        assert {label for label in first if first[label] == other[label]} == TAKE_NO_CAMERA

    def test_a_camera_that_a_setting_names_comes_first(self, tmp_path: Path) -> None:
        camera = open_camera(write_camera(tmp_path)).address
        estimator = ("disparity", {"camera": "generic"})
        config = make_config("a", estimator=estimator, deblurrer=("wiener", {}))
        blur = pipeline_of(config, ItemTraits(camera=camera)).keys["blur"]
        assert blur == keys_of("generic")["blur"]


def test_items_of_several_cameras_go_through_pipelines_of_their_own(tmp_path: Path) -> None:
    camera = open_camera(write_camera(tmp_path)).address
    ref = ImageRef("a.png", 64, 72, 3, 8, 1000)
    items = [
        Item("set/a", ref, ref),
        Item("set/b", ref, ref, camera=camera),
        Item("set/c", ref, camera=camera),
    ]
    pipelines = pipelines_for(config_of(), items)
    digest = camera.rpartition("#")[2]
    assert [*pipelines] == ["pair", f"pair, mine.json {digest[:8]}", f"single, mine.json {digest[:8]}"]


class TestRuns:
    @pytest.fixture
    def dataset(self, tmp_path: Path) -> Path:
        return make_dataset(tmp_path / "dataset", 2)

    def start(self, config: PipelineConfig, dataset: Path, camera: str) -> Run:
        catalogue = assign_cameras(read_catalogue(str(dataset), layout="folders", dataset="set"), camera)
        return Run.start(config, catalogue, pipelines_for(config, catalogue.items), run_id=FIRST)

    def test_results_are_repaired_with_the_recorded_profile(self, dataset: Path, tmp_path: Path) -> None:
        config = config_of(tmp_path / "archive", [])
        complete_run(self.start(config, dataset, write_camera(tmp_path)))
        before = contents_of(tmp_path / "archive")
        chunks = [name for name in before if is_chunk(name, "restored/", "blur/disparity")]
        assert len(chunks) == 4
        for name in chunks:
            (tmp_path / "archive" / name).write_bytes(b"damaged")
        verify(config.archive, repair=True, processes=1)
        assert {name: contents_of(tmp_path / "archive")[name] for name in chunks} == {
            name: before[name] for name in chunks
        }

    def test_results_of_a_profile_that_changed_are_not_repaired(self, dataset: Path, tmp_path: Path) -> None:
        config = config_of(tmp_path / "archive", [])
        complete_run(self.start(config, dataset, write_camera(tmp_path)))
        write_camera(tmp_path, coma=0.9)
        for cache in (pipeline_of, estimator_for, deblurrer_for):
            cache.cache_clear()  # as in another process
        chunk, _ = (name for name in contents_of(tmp_path / "archive") if is_chunk(name, "restored/"))
        [plan] = plan_rebuilding(config.archive, [Corruption(chunk.rpartition("/")[0], Damage.METADATA)])
        assert not plan.configs
        assert all("the camera profile has changed" in reason for reason in plan.refusals.values())

    def test_a_picture_that_does_not_fit_its_camera_is_quarantined(
        self, dataset: Path, tmp_path: Path
    ) -> None:
        config = config_of(tmp_path / "archive", [])
        [small, _] = self.start(config, dataset, write_camera(tmp_path, width=60, scale=1)).catalogue.items
        ingest_item(config, small)
        failed = restore_item(config, small, frozenset())
        assert isinstance(failed, Failed)
        assert failed.record.kind == "settings"
        assert "frame" in failed.record.message

    def test_a_plan_counts_cameras_and_finds_what_was_made_with_them(
        self, dataset: Path, tmp_path: Path
    ) -> None:
        camera = write_camera(tmp_path)
        config = config_of(tmp_path / "archive", [])

        def preview() -> dict[str, Any]:
            source, archive = str(dataset), config.archive
            return preview_run(
                source, "folders", archive, dataset="set", processes=1, camera=camera, **METHODS
            )

        assert preview()["seconds_estimated"] > 0
        complete_run(self.start(config, dataset, camera))
        done = {
            name: make_plan(config, str(dataset), layout="folders", dataset="set", camera=name).count_done()
            for name in (camera, "generic")
        }
        assert done[camera] == {"ingest": 2, "blur": 2, "deblur": 2, "score": 2}
        assert done["generic"] == {"ingest": 2, "blur": 0, "deblur": 0, "score": 0}
        assert preview()["cameras"] == {open_camera(camera).address: 2}

    def test_an_unknown_profile_is_refused_before_anything_is_read(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="no such camera profile"):
            make_plan(config_of(tmp_path / "archive"), "/nowhere", layout="folders", camera="pixel-40")


def test_views_that_the_source_calls_by_each_others_names(tmp_path: Path) -> None:
    """Exchanged by the profile, they give the map of the sound source."""
    source = make_dataset(tmp_path / "sound", 1)
    wrong = make_dataset(tmp_path / "wrong", 1)
    left, right = (wrong / side / "0.png" for side in ("left", "right"))
    content = left.read_bytes()
    left.write_bytes(right.read_bytes())
    right.write_bytes(content)
    (wrong / "coc" / "0.png").unlink()
    (source / "coc" / "0.png").unlink()
    path = Path(write_camera(tmp_path))
    sound = assign_cameras(read_catalogue(str(source), layout="folders"), str(path))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"views_exchanged": True}))
    exchanged = assign_cameras(read_catalogue(str(wrong), layout="folders"), str(path))
    from ldp_core.catalogue import load_pair

    first, second = (load_pair(replace(one.items[0], id="set/0")) for one in (sound, exchanged))
    assert first.both_views[0].tobytes() == second.both_views[0].tobytes()
    assert first.both_views[1].tobytes() == second.both_views[1].tobytes()


def test_a_camera_that_the_source_names_goes_before_that_of_the_run(tmp_path: Path) -> None:
    listed = read_catalogue(str(make_dataset(tmp_path / "dataset", 2)), layout="folders", dataset="set")
    named = replace(listed, items=(replace(listed.items[0], camera="pixel-4"), *listed.items[1:]))
    for camera, others in (("generic", "generic"), ("canon-r6-ii", "canon-r6-ii"), ("auto", "generic")):
        found = assign_cameras(named, camera).items
        assert [item.camera for item in found] == ["pixel-4", *[others] * (len(found) - 1)]
    with pytest.raises(SettingsError):
        assign_cameras(replace(listed, items=(replace(listed.items[0], camera="pixel-40"),)), "generic")
