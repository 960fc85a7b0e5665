"""Sources that change become versions: what is noticed, what is kept, what is computed, what may go.

Runs here are planned and worked on as `ldp restore` does, item by item in this process.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from run_samples import call, contents_of, items_found, run_planned, start_planned
from typer.testing import CliRunner

from flows.cli import app
from ldp_core import open_archive, storage
from ldp_core.archive import Archive
from ldp_core.errors import ItemMissingError
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import RunSummary
from tasks.cluster import in_process
from tasks.collect import collect, find_garbage
from tasks.pipeline import make_config, pipeline_for
from tasks.plan import Plan, make_plan
from tasks.repair import RepairOutcome, repair_archive
from tasks.run import Run, new_run_id
from tasks.status import compare_runs, describe_run
from tasks.verify import verify_archive
from tasks.work import choose_ingest

FIRST, SECOND, THIRD, FOURTH = (f"2026010{n}t000000z-{n}{n}{n}{n}{n}{n}" for n in (1, 2, 3, 4))
NPY, TIFF = "set/npy", "set/tiff"
VIEWS = ("left", "right", "target")


def write(path: Path, pixels: NDArray[np.uint8]) -> None:
    """As NPY or as TIFF without compression: other pixels, the same size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, pixels) if path.suffix == ".npy" else tifffile.imwrite(path, pixels, photometric="rgb")


def put(folder: Path, name: str, seed: int) -> None:
    pair = simulate_pair(seed, SimulationSettings(height=64, width=72))
    for view in VIEWS:
        write(folder / view / name, pair.views[view])


@pytest.fixture(scope="module")
def restored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of an NPY and a TIFF pair, and the archive of a run over it."""
    folder = tmp_path_factory.mktemp("restored")
    put(folder / "dataset", "npy.npy", 1)
    put(folder / "dataset", "tiff.tiff", 2)
    run_planned(folder / "archive", folder / "dataset", FIRST)
    return folder


@pytest.fixture
def work(restored: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the archive, and the dataset put back as it was, times included, when the test ends."""
    shutil.copytree(restored / "archive", tmp_path / "archive")
    shutil.copytree(restored / "dataset", tmp_path / "kept")
    yield tmp_path
    shutil.rmtree(restored / "dataset")
    shutil.copytree(tmp_path / "kept", restored / "dataset")


def again(work: Path, restored: Path, run_id: str, **options: bool) -> RunSummary:
    return run_planned(work / "archive", restored / "dataset", run_id, **options)


def plan_of(work: Path, restored: Path) -> Plan:
    config = make_config(str(work / "archive"), estimator=("disparity", {}), deblurrer=("wiener", {}))
    return make_plan(config, str(restored / "dataset"), layout="folders", dataset="set")


def items_of(work: Path) -> dict[str, bytes]:
    """Objects of the archive outside the records of runs."""
    found = contents_of(work / "archive")
    return {name: content for name, content in found.items() if not name.startswith("runs/")}


def rows_of(work: Path, run_id: str) -> dict[str, tuple[str, int]]:
    lines = (work / "archive" / "runs" / run_id / "items.jsonl").read_text().splitlines()
    return {row["item"]: (row["status"], row["version"]) for row in map(json.loads, lines)}


def scores_key(work: Path, restored: Path) -> str:
    plan = plan_of(work, restored)
    return pipeline_for(plan.config, plan.catalogue.items[0]).keys["score"]


@pytest.mark.parametrize(("item", "name"), [(NPY, "npy.npy"), (TIFF, "tiff.tiff")])
def test_a_source_changed_at_equal_size_becomes_a_version(
    work: Path, restored: Path, item: str, name: str
) -> None:
    archive, before = Archive(str(work / "archive")), items_of(work)
    old = archive.read_pair(item)
    size = (restored / "dataset" / "left" / name).stat().st_size
    put(restored / "dataset", name, 7)
    assert (restored / "dataset" / "left" / name).stat().st_size == size
    assert list(plan_of(work, restored).sources.suspects) == [item]

    summary = again(work, restored, SECOND)
    other = {NPY: TIFF, TIFF: NPY}[item]
    assert rows_of(work, SECOND) == {item: ("computed", 2), other: ("skipped", 1)}
    assert (summary.items.quarantined, summary.sources.changed, summary.sources.changed_items) == (
        0,
        1,
        (item,),
    )
    after = items_of(work)
    assert before.items() <= after.items()
    new = after.keys() - before.keys()
    assert new
    assert all(f"{item}@2" in path for path in new)
    assert archive.read_pair(f"{item}@2").version == 2
    assert not np.array_equal(archive.read_pair(f"{item}@2").left, old.left)
    assert np.array_equal(archive.read_pair(item).left, old.left)
    assert not verify_archive(str(work / "archive"), in_process).corrupt
    assert rows_of(work, FIRST) == {NPY: ("computed", 1), TIFF: ("computed", 1)}


def test_the_same_source_again_computes_nothing_and_decodes_nothing(
    work: Path, restored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(restored / "dataset", "npy.npy", 7)
    again(work, restored, SECOND)
    before = items_of(work)
    monkeypatch.setattr("tasks.items.load_pair", lambda item: pytest.fail(f"{item.id} was decoded"))
    summary = again(work, restored, THIRD)
    assert rows_of(work, THIRD) == {NPY: ("skipped", 2), TIFF: ("skipped", 1)}
    assert (summary.items.computed, summary.sources.changed) == (0, 0)
    assert {score.item for item in Run(str(work / "archive"), THIRD).items for score in item.scores} == {
        NPY,
        TIFF,
    }
    assert items_of(work) == before


def test_a_touched_source_is_decoded_and_nothing_else(work: Path, restored: Path) -> None:
    before = items_of(work)
    os.utime(restored / "dataset" / "left" / "npy.npy", ns=(1, 1))
    assert list(plan_of(work, restored).sources.suspects) == [NPY]
    summary = again(work, restored, SECOND)
    assert rows_of(work, SECOND) == {NPY: ("skipped", 1), TIFF: ("skipped", 1)}
    assert (summary.items.computed, summary.sources.changed) == (0, 0)
    assert items_of(work) == before
    assert not plan_of(work, restored).sources.suspects


def test_a_source_changed_back_is_the_earlier_version(work: Path, restored: Path) -> None:
    put(restored / "dataset", "npy.npy", 7)
    again(work, restored, SECOND)
    before = items_of(work)
    put(restored / "dataset", "npy.npy", 1)
    summary = again(work, restored, THIRD)
    assert rows_of(work, THIRD)[NPY] == ("skipped", 1)
    assert (summary.items.computed, summary.sources.changed_items) == (0, (NPY,))
    put(restored / "dataset", "npy.npy", 9)
    again(work, restored, FOURTH)
    assert rows_of(work, FOURTH)[NPY] == ("computed", 3)
    assert before.items() <= items_of(work).items()


@pytest.mark.parametrize("verify_sources", [False, True])
def test_equal_time_and_size_hide_a_change_from_all_but_a_comparison_of_pixels(
    work: Path, restored: Path, verify_sources: bool
) -> None:
    times = {path: path.stat() for path in (restored / "dataset").rglob("npy.npy")}
    put(restored / "dataset", "npy.npy", 7)
    for path, stat in times.items():
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again(work, restored, SECOND, verify_sources=verify_sources)
    assert rows_of(work, SECOND)[NPY] == (("computed", 2) if verify_sources else ("skipped", 1))
    assert rows_of(work, SECOND)[TIFF] == ("skipped", 1)


def test_a_catalogue_without_revisions_is_read_and_compared_by_size(work: Path, restored: Path) -> None:
    catalogue = work / "archive" / "runs" / FIRST / "catalogue.jsonl"
    rows = [json.loads(line) for line in catalogue.read_text().splitlines()]
    for row in rows[1:]:
        for view in VIEWS:
            assert row["item"][view].pop("revision")
    dump = {"sort_keys": True, "separators": (",", ":")}
    catalogue.write_text("".join(json.dumps(row, **dump) + "\n" for row in rows))
    items = work / "archive" / "runs" / FIRST / "items.jsonl"
    items.write_text("".join(f'{{"item": "{item}", "status": "computed"}}\n' for item in (NPY, TIFF)))
    sources = plan_of(work, restored).sources
    assert (sources.confirmed, sources.suspects) == ({NPY, TIFF}, {})
    write(restored / "dataset" / "left" / "npy.npy", np.zeros((64, 72, 3), np.uint8).repeat(2, axis=0))
    for view in ("right", "target"):
        write(restored / "dataset" / view / "npy.npy", np.ones((128, 72, 3), np.uint8))
    assert list(plan_of(work, restored).sources.suspects) == [NPY]


def test_a_run_killed_between_frames_and_results_goes_on(work: Path, restored: Path) -> None:
    put(restored / "dataset", "npy.npy", 7)
    plan = plan_of(work, restored)
    start_planned(plan, SECOND)
    ingested = call(choose_ingest(plan, item) for item in plan.catalogue.items)
    assert [item.key for item in items_found(plan, ingested)] == [f"{NPY}@2", TIFF]
    assert Archive(str(work / "archive")).versions(NPY) == (1, 2)

    frames = {name: content for name, content in items_of(work).items() if name.startswith("frames")}
    again(work, restored, THIRD)
    assert rows_of(work, THIRD) == {NPY: ("computed", 2), TIFF: ("skipped", 1)}
    assert {n: c for n, c in items_of(work).items() if n.startswith("frames")} == frames
    assert not verify_archive(str(work / "archive"), in_process).corrupt


def test_a_change_during_the_first_run_is_noticed_though_that_run_was_killed(
    restored: Path, tmp_path: Path
) -> None:
    """No run has finished: what the killed one listed tells that the source is another now."""
    source = Path(shutil.copytree(restored / "dataset", tmp_path / "dataset"))
    config = make_config(str(tmp_path / "archive"), estimator=("disparity", {}), deblurrer=("wiener", {}))
    plan = make_plan(config, str(source), layout="folders", dataset="set")
    start_planned(plan, FIRST)
    call(choose_ingest(plan, item) for item in plan.catalogue.items)
    put(source, "npy.npy", 7)
    run_planned(tmp_path / "archive", source, SECOND)
    assert rows_of(tmp_path, SECOND) == {NPY: ("computed", 2), TIFF: ("computed", 1)}


def test_two_runs_that_saw_the_change_at_once_agree(work: Path, restored: Path) -> None:
    put(restored / "dataset", "npy.npy", 7)
    first, second = plan_of(work, restored), plan_of(work, restored)
    for plan in (first, second):
        ingested = call(choose_ingest(plan, item) for item in plan.catalogue.items)
        assert [item.key for item in items_found(plan, ingested)] == [f"{NPY}@2", TIFF]
    assert Archive(str(work / "archive")).versions(NPY) == (1, 2)


def test_runs_that_saw_different_changes_give_each_a_version(work: Path, restored: Path) -> None:
    """The second run has planned before the first one archived the version after."""
    put(restored / "dataset", "npy.npy", 7)
    plan = plan_of(work, restored)
    call(choose_ingest(plan, item) for item in plan.catalogue.items)
    put(restored / "dataset", "npy.npy", 8)
    ingested = call(choose_ingest(plan, item) for item in plan.catalogue.items)
    assert [item.key for item in items_found(plan, ingested)] == [f"{NPY}@3", TIFF]


def test_frames_that_are_gone_come_back_as_the_version_they_were(work: Path, restored: Path) -> None:
    put(restored / "dataset", "npy.npy", 7)
    again(work, restored, SECOND)
    before = items_of(work)
    for version in ("npy", "npy@2"):
        shutil.rmtree(work / "archive" / "frames" / "set" / version)
    again(work, restored, THIRD)
    assert rows_of(work, THIRD)[NPY][1] == 2
    kept = {name: content for name, content in before.items() if "frames/set/npy/" not in name}
    assert items_of(work) == kept
    put(restored / "dataset", "npy.npy", 8)
    shutil.rmtree(work / "archive" / "frames" / "set" / "npy@2")
    again(work, restored, FOURTH)
    assert rows_of(work, FOURTH)[NPY] == ("computed", 3)


def test_damaged_frames_of_a_changed_source_are_not_overwritten(work: Path, restored: Path) -> None:
    metadata = work / "archive" / "frames" / "set" / "npy" / "zarr.json"
    metadata.write_bytes(metadata.read_bytes().replace(b"uint8", b"uint9"))
    damaged = metadata.read_bytes()
    put(restored / "dataset", "npy.npy", 7)
    again(work, restored, SECOND)
    assert rows_of(work, SECOND)[NPY] == ("computed", 2)
    assert metadata.read_bytes() == damaged


def test_damaged_frames_of_a_touched_source_are_told_by_the_recorded_digest(
    work: Path, restored: Path
) -> None:
    before, metadata = items_of(work), work / "archive" / "frames" / "set" / "npy" / "zarr.json"
    metadata.write_bytes(metadata.read_bytes().replace(b"uint8", b"uint9"))
    os.utime(restored / "dataset" / "left" / "npy.npy", ns=(1, 1))
    again(work, restored, SECOND)
    assert rows_of(work, SECOND)[NPY] == ("computed", 1)
    assert items_of(work) == before


def test_a_dataset_that_moved_is_compared_and_keeps_its_version(work: Path, restored: Path) -> None:
    before = items_of(work)
    moved = Path(shutil.copytree(restored / "dataset", work / "moved"))
    put(moved, "tiff.tiff", 7)
    summary = run_planned(work / "archive", moved, SECOND)
    assert rows_of(work, SECOND) == {NPY: ("skipped", 1), TIFF: ("computed", 2)}
    assert summary.sources.vanished == 0
    assert before.items() <= items_of(work).items()
    again(work, restored, THIRD)
    assert rows_of(work, THIRD) == {NPY: ("skipped", 1), TIFF: ("skipped", 1)}


class TestReading:
    @pytest.fixture
    def changed(self, work: Path, restored: Path) -> Path:
        put(restored / "dataset", "npy.npy", 7)
        again(work, restored, SECOND)
        return work

    def test_the_latest_version_is_read_unless_one_is_named(self, changed: Path, restored: Path) -> None:
        archive, exact = open_archive(str(changed / "archive")), Archive(str(changed / "archive"))
        assert list(archive) == [NPY, TIFF]
        assert (archive.versions(NPY), archive.versions(TIFF), archive.versions("set/none")) == (
            (1, 2),
            (1,),
            (),
        )
        assert np.array_equal(archive[NPY].values, exact[f"{NPY}@2"].values)
        assert np.array_equal(archive[f"{NPY}@1"].values, exact[NPY].values)
        assert not np.array_equal(archive[NPY].values, exact[NPY].values)
        assert np.array_equal(archive[TIFF].values, exact[TIFF].values)
        assert list(exact) == [NPY, f"{NPY}@2", TIFF]
        key = scores_key(changed, restored)
        assert archive.read_scores(key, NPY) == exact.read_scores(key, f"{NPY}@2")
        assert archive.read_scores(key, f"{NPY}@1") == exact.read_scores(key, NPY)
        assert archive.read_pair(NPY).version == 2
        with pytest.raises(ItemMissingError):
            archive.read_pair(f"{NPY}@3")

    def test_runs_are_compared_over_items_of_one_content(self, changed: Path) -> None:
        archive = str(changed / "archive")
        found = compare_runs(archive, FIRST, SECOND)
        assert set(found.paired.common) == {TIFF}
        assert [(one.item, one.first, one.second) for one in found.other_content] == [(NPY, 1, 2)]
        shown = CliRunner().invoke(app, ["compare", archive, FIRST, SECOND])
        assert f"{NPY}: version 1 and 2" in shown.stdout
        assert f"1 item in both, 0 only in {FIRST}, 0 only in {SECOND}" in shown.stdout
        page = json.loads(
            CliRunner().invoke(app, ["compare", archive, FIRST, SECOND, "--html", "--json"]).stdout
        )["page"]
        assert f"{NPY}: version 1, version 2" in Path(page).read_text()

    def test_runs_of_which_all_items_changed_are_not_compared(self, changed: Path, restored: Path) -> None:
        put(restored / "dataset", "tiff.tiff", 8)
        again(changed, restored, THIRD)
        with pytest.raises(ItemMissingError, match="2 items whose source changed"):
            compare_runs(str(changed / "archive"), FIRST, THIRD)
        assert set(compare_runs(str(changed / "archive"), SECOND, THIRD).paired.common) == {NPY}

    def test_status_counts_changed_items_and_versions(self, changed: Path) -> None:
        assert describe_run(Run(str(changed / "archive"), SECOND)).sources == {"changed": 1, "vanished": 0}
        shown = CliRunner().invoke(app, ["status", str(changed / "archive")]).stdout
        assert "2 items and 1 earlier version" in shown
        one = CliRunner().invoke(app, ["status", str(changed / "archive"), SECOND]).stdout
        assert "1 changed, 0 vanished" in one

    def test_garbage_is_what_no_kept_run_found(self, changed: Path) -> None:
        archive, now = str(changed / "archive"), timedelta(0)
        before = items_of(changed)
        assert find_garbage(archive, grace=now) == []
        shutil.rmtree(changed / "archive" / "runs" / FIRST)
        collect(archive, find_garbage(archive, grace=now))
        gone = before.keys() - items_of(changed).keys()
        assert gone
        assert all(f"{NPY}/" in path or path.endswith(f"{NPY}.json") for path in gone)
        assert Archive(archive).versions(NPY) == (2,)
        assert open_archive(archive).read_pair(NPY).version == 2
        assert not verify_archive(archive, in_process).corrupt

    def test_a_version_that_only_an_unfinished_run_may_need_stays(self, changed: Path) -> None:
        archive = changed / "archive"
        for name in ("summary.json", "items.jsonl"):
            (archive / "runs" / SECOND / name).unlink()
        shutil.rmtree(archive / "runs" / FIRST)
        assert find_garbage(str(archive), grace=timedelta(0)) == []

    def test_a_number_is_not_given_again_while_a_later_one_is_there(
        self, changed: Path, restored: Path
    ) -> None:
        archive = str(changed / "archive")
        put(restored / "dataset", "npy.npy", 8)
        again(changed, restored, THIRD)
        for run_id in (FIRST, SECOND):
            shutil.rmtree(changed / "archive" / "runs" / run_id)
        collect(archive, find_garbage(archive, grace=timedelta(0)))
        assert Archive(archive).versions(NPY) == (3,)
        put(restored / "dataset", "npy.npy", 9)
        again(changed, restored, FOURTH)
        assert rows_of(changed, FOURTH)[NPY] == ("computed", 4)

    @pytest.mark.parametrize("key", [NPY, f"{NPY}@2"])
    def test_results_of_any_version_are_repaired(self, changed: Path, restored: Path, key: str) -> None:
        archive, scores = changed / "archive", scores_key(changed, restored)
        lost = archive / "scores" / scores / f"{key}.json"
        before = lost.read_bytes()
        lost.unlink()
        corrupt = verify_archive(str(archive), in_process).corrupt.values()
        assert [one.path for one in corrupt] == [f"scores/{scores}/{key}.json"]
        [repair] = repair_archive(str(archive), corrupt, in_process, when=new_run_id()).values()
        assert repair.outcome is not RepairOutcome.NOT_REPAIRED
        assert lost.read_bytes() == before

    def test_frames_are_repaired_while_the_source_holds_their_version(self, changed: Path) -> None:
        archive = changed / "archive"
        for version in ("npy", "npy@2"):
            chunk = archive / "frames" / "set" / version / "c.0.0.0.0"
            chunk.write_bytes(chunk.read_bytes()[:-9])
        corrupt = verify_archive(str(archive), in_process).corrupt.values()
        repairs = repair_archive(str(archive), corrupt, in_process, when=new_run_id())
        assert {path: one.outcome.value for path, one in repairs.items()} == {
            "frames/set/npy": "not_repaired",
            "frames/set/npy@2": "identical",
        }


class TestOnS3:
    def test_a_changed_object_is_told_by_its_etag(self, s3: str, restored: Path, tmp_path: Path) -> None:
        source, archive = f"{s3}/pairs", f"{s3}/archive"
        for path in storage.list_objects(str(restored / "dataset")):
            storage.write_bytes(f"{source}/{path}", (restored / "dataset" / path).read_bytes())
        config = make_config(archive, estimator=("disparity", {}), deblurrer=("wiener", {}))

        def plan() -> Plan:
            return make_plan(config, source, layout="folders", dataset="set")

        def run(run_id: str) -> dict[str, int]:
            run_planned(archive, source, run_id)
            return {item.id: item.version for item in Run(archive, run_id).items}

        assert run(FIRST) == {NPY: 1, TIFF: 1}
        assert all(len(item.left.revision) == 32 for item in plan().catalogue.items)
        assert plan().sources.confirmed == {NPY, TIFF}
        put(tmp_path, "npy.npy", 7)
        for view in VIEWS:
            content = (tmp_path / view / "npy.npy").read_bytes()
            storage.write_bytes(f"{source}/{view}/npy.npy", content)
        storage.write_bytes(f"{source}/left/tiff.tiff", storage.read_bytes(f"{source}/left/tiff.tiff"))
        assert list(plan().sources.suspects) == [NPY]  # the other object is new, its content is not
        assert run(SECOND) == {NPY: 2, TIFF: 1}
        opened = open_archive(archive)
        assert (opened.versions(NPY), opened.versions(TIFF)) == ((1, 2), (1,))
        assert opened.read_pair(NPY).version == 2


def test_an_item_and_its_neighbours_by_name_have_versions_of_their_own(tmp_path: Path) -> None:
    archive = Archive(str(tmp_path))
    for name in ("set/a", "set/a-1", "set/ab", "set/a.1"):
        pair = simulate_pair(1, SimulationSettings(height=64, width=72))
        archive.write_version(replace(pair, id=name), {}, provenance={})
        if name != "set/ab":
            continue
        other = simulate_pair(2, SimulationSettings(height=64, width=72))
        stored = archive.write_version(replace(other, id=name), {1: ""}, provenance={})
        assert (stored.version, stored.written) == (2, True)
    assert [archive.versions(n) for n in ("set/a", "set/a-1", "set/ab", "set/a.1")] == [
        (1,),
        (1,),
        (1, 2),
        (1,),
    ]
