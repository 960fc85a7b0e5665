"""An archive is worked on without its source, under the keys that the source would have given."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from run_samples import (
    FIRST,
    SECOND,
    call,
    contents_of,
    items_found,
    make_dataset,
    run_planned,
    start_planned,
)
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.archive import Archive
from ldp_core.archive.run_files import audit_run
from ldp_core.catalogue import Selection, SourceOptions
from ldp_core.errors import ItemDamagedError, LdpError
from ldp_core.images import encode_image, read_image
from tasks.archived import read_archived
from tasks.cluster import in_process
from tasks.pipeline import make_config
from tasks.plan import Plan, list_completed, make_checked_plan, make_plan
from tasks.repair import RepairOutcome, repair_archive
from tasks.run import Run
from tasks.sources import read_known
from tasks.verify import verify_archive
from tasks.work import choose_ingest, choose_restore

OTHER = {"noise_signal": 0.05}
THIRD = "20260103t000000z-cccccc"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs, of which one was changed after the first of two runs."""
    folder = tmp_path_factory.mktemp("from-archive")
    source = make_dataset(folder / "dataset")
    run_planned(folder / "archive", source, FIRST)
    changed = read_image(str(source / "left" / "1.png"))
    changed[:8, :8] ^= 1
    (source / "left" / "1.png").write_bytes(encode_image(changed, "png"))
    run_planned(folder / "archive", source, SECOND)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "copy", copy_function=shutil.copy2))


def plan_archived(archive: Path, **asked: Any) -> Plan:
    config = make_config(
        str(archive), estimator=("disparity", {}), deblurrer=("wiener", OTHER), from_archive=True
    )
    return make_checked_plan(config, "", "", None, **asked)


def work_on(plan: Plan) -> list[Any]:
    """What workers leave of a plan; its run is recorded."""
    run, stats = start_planned(plan, THIRD)
    ingested = call(choose_ingest(plan, item) for item in plan.catalogue.items)
    stats.add(ingested)
    stats.add(call(choose_restore(plan, item) for item in items_found(plan, ingested)))
    run.finish(stats.summarise(THIRD, plan.pipelines, seconds=1.0, report=""), stats.items)
    return list(stats.quarantine)


def test_results_are_those_that_the_source_would_have_given(folder: Path) -> None:
    beside = shutil.copytree(folder / "archive", folder / "beside", copy_function=shutil.copy2)
    run_planned(beside, folder / "dataset", THIRD, **OTHER)
    shutil.rmtree(folder / "dataset")

    plan = plan_archived(folder / "archive")
    assert [item.key for item in plan.catalogue.items] == ["set/0", "set/1@2", "set/2"]
    assert (len(plan.to_do), plan.bytes_in) == (3, 0)
    assert work_on(plan) == []

    def results(archive: Path) -> dict[str, bytes]:
        return {n: c for n, c in contents_of(archive).items() if not n.startswith("runs/")}

    assert results(folder / "archive") == results(Path(beside))
    assert not plan_archived(folder / "archive").to_do


def test_a_later_run_over_the_source_reads_it_as_if_nothing_had_been_between(
    made: Path, folder: Path
) -> None:
    plan = plan_archived(folder / "archive")
    work_on(plan)
    config = make_config(str(folder / "archive"), estimator=("disparity", {}), deblurrer=("wiener", OTHER))
    plan = make_plan(config, str(made / "dataset"), layout="folders", dataset="set")
    assert plan.recorded is not None
    assert (plan.recorded.run_id, read_known(plan.recorded)) == (THIRD, {})
    assert plan.sources.previous is not None
    assert (plan.sources.previous.run_id, plan.sources.confirmed) == (
        SECOND,
        {"set/0", "set/1", "set/2"},
    )
    assert (plan.sources.versions, plan.to_do) == ({"set/1": 2}, ())


def test_damaged_frames_are_told_and_the_source_is_left_alone(folder: Path) -> None:
    shutil.rmtree(folder / "archive" / "frames" / "set" / "0")
    chunk = next((folder / "archive" / "frames" / "set" / "2").glob("c.*"))
    chunk.write_bytes(chunk.read_bytes()[:-9])
    plan = plan_archived(folder / "archive")
    records = {record.item: record for record in work_on(plan)}
    assert {*records} == {"set/0", "set/2"}
    assert {record.kind for record in records.values()} == {"item_missing"}
    assert "restore this item from its source" in records["set/2"].remedy
    assert not (folder / "archive" / "frames" / "set" / "0").exists()


def test_frames_that_no_record_knows_are_told(folder: Path) -> None:
    archive = Archive(str(folder / "archive"))
    from dataclasses import replace

    archive.write_pair(replace(archive.read_pair("set/0"), id="set/9"), provenance={})
    plan = plan_archived(folder / "archive")
    assert [item.id for item in plan.catalogue.items] == ["set/0", "set/1", "set/2"]
    [problem] = plan.catalogue.problems
    assert (problem.kind, problem.refuses_item) == ("unrecorded", False)


def test_items_of_a_run_that_was_killed_are_taken_where_their_frames_name_the_same_origin(
    folder: Path,
) -> None:
    for run_id in (FIRST, SECOND):
        (folder / "archive" / "runs" / run_id / "summary.json").unlink()
    plan = plan_archived(folder / "archive")
    assert not plan.sources.confirmed
    assert [item.id for item in plan.catalogue.items] == [
        "set/0",
        "set/2",
    ]
    [problem] = plan.catalogue.problems
    assert problem.where.endswith("frames/set/1")
    assert work_on(plan) == []


def test_an_altered_record_is_refused(folder: Path) -> None:
    catalogue = folder / "archive" / "runs" / SECOND / "catalogue.jsonl"
    catalogue.write_bytes(catalogue.read_bytes().replace(b"set/2", b"set/3"))
    frames = list_completed(str(folder / "archive"), [], "set").frames
    with pytest.raises(ItemDamagedError, match="record of a run was altered"):
        read_archived(str(folder / "archive"), "set", frames)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})


WIENER = ("--deblurrer", "wiener")


def test_the_command_records_and_resumes_without_the_source(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.launch.server_is_configured", lambda: False)
    monkeypatch.setattr("flows.engine.prefect_engine", refuse_to_start)
    shutil.rmtree(folder / "dataset")
    archive = folder / "archive"
    planned = json.loads(run("plan", "--from-archive", archive, *WIENER, "--json").stdout)
    assert (planned["pairs"], planned["to_do"], planned["dataset"]) == (3, 0, "set")
    done = run("restore", "--from-archive", archive, *WIENER, "--json")
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["items"] == {"total": 3, "computed": 0, "skipped": 3, "quarantined": 0}
    assert Run(str(archive), summary["run_id"]).asked == {"from_archive": True}
    part = json.loads(
        run("restore", "--from-archive", archive, *WIENER, "--where", "id == 'set/2'", "--json").stdout
    )
    assert part["items"]["total"] == 1
    audit = audit_run(str(archive), summary["run_id"])
    assert (audit.checked, audit.corrupt) == (True, ())


def refuse_to_start() -> Any:
    raise LdpError("a server would have been started")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--peak", "4095"), "--peak"),
        (("somewhere",), "SOURCE"),
        (("--camera", "pixel-4", "--layout", "dpdd"), "--layout, --camera"),
        (("--archive", "elsewhere"), "results go into the archive that they are made from"),
        (("--dataset", "sett"), "did you mean 'set'?"),
        (("--since", "2020-01-01x"), "not a moment"),
    ],
)
def test_what_an_archive_cannot_be_asked_is_refused(options: tuple[str, ...], said: str, made: Path) -> None:
    result = run("plan", "--from-archive", made / "archive", *options)
    assert (result.exit_code, said in result.stderr) == (1, True)


def test_an_archive_of_several_datasets_asks_which_one(folder: Path) -> None:
    run_planned(folder / "archive", make_dataset(folder / "other", 1), THIRD, dataset="other")
    result = run("plan", "--from-archive", folder / "archive", *WIENER)
    assert result.exit_code == 1
    assert "several datasets" in result.stderr
    assert "other, set" in result.stderr
    assert run("plan", "--from-archive", folder / "archive", "--dataset", "other", *WIENER).exit_code == 0


def test_a_folder_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    result = run("restore", "--from-archive", tmp_path)
    assert (result.exit_code, "the archive holds no run" in result.stderr) == (1, True)


class TestRepair:
    """The catalogue of a run over an archive is made again from the records that it was made from."""

    @staticmethod
    def record(folder: Path, **asked: Any) -> Path:
        """A recorded run over the archive; its catalogue."""
        work_on(plan_archived(folder / "archive", **asked))
        return folder / "archive" / "runs" / THIRD / "catalogue.jsonl"

    @pytest.mark.parametrize("asked", [{}, {"options": SourceOptions(selection=Selection(limit=2))}], ids=str)
    @pytest.mark.parametrize("lost", [False, True])
    def test_byte_for_byte_without_the_source(self, folder: Path, asked: Any, lost: bool) -> None:
        shutil.rmtree(folder / "dataset")
        if lost:
            shutil.rmtree(folder / "archive" / "frames" / "set" / "0")
        catalogue = self.record(folder, **asked)
        before = catalogue.read_bytes()
        catalogue.write_bytes(before[:-9])
        [repair] = self.repair(folder / "archive")
        assert (repair.outcome, repair.reason) == (RepairOutcome.IDENTICAL, "")
        assert catalogue.read_bytes() == before

    def test_says_that_the_records_are_gone_that_told_what_its_items_are(self, folder: Path) -> None:
        catalogue = self.record(folder)
        catalogue.unlink()
        for run_id in (FIRST, SECOND):
            shutil.rmtree(folder / "archive" / "runs" / run_id)
        [repair] = self.repair(folder / "archive")
        assert repair.outcome is RepairOutcome.NOT_REPAIRED
        assert repair.reason.startswith("ItemMissingError: the records of earlier runs do not tell any more")

    @staticmethod
    def repair(archive: Path) -> list[Any]:
        found = verify_archive(str(archive), in_process).corrupt.values()
        repairs = repair_archive(str(archive), found, in_process, when="now")
        return [repair for path, repair in repairs.items() if path.startswith("runs/")]
