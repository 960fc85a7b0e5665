"""Collecting garbage: only what no run refers to, nothing young, nothing of a run at work."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from run_samples import FIRST, OTHER, SECOND, contents_of, make_dataset, make_run, start_run
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.errors import ArchiveError, ItemDamagedError
from ldp_core.storage import delete
from tasks.cluster import in_process
from tasks.collect import collect, find_expired, find_garbage, read_references
from tasks.verify import verify_archive

DAY_S = 24 * 3600


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that share blur maps and differ in their restorations; everything is two days old."""
    folder = tmp_path_factory.mktemp("gc")
    source = make_dataset(folder / "dataset", 2)
    make_run(folder / "archive", source, FIRST)
    make_run(folder / "archive", source, SECOND, **OTHER)
    return folder / "archive"


@pytest.fixture
def archive(whole: Path, tmp_path: Path) -> Path:
    copy = Path(shutil.copytree(whole, tmp_path / "archive"))
    age(copy)
    return copy


def age(folder: Path, seconds: float = 2 * DAY_S) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - seconds,) * 2)


def gc(archive: Path, *options: str) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(app, ["gc", str(archive), *options, "--json"])
    return result.exit_code, json.loads(result.stdout)


def keys_of_run(archive: Path, run_id: str) -> tuple[str, str]:
    values = json.loads(CliRunner().invoke(app, ["status", str(archive), run_id, "--json"]).stdout)
    return values["stage_keys"]["pair"]["deblur"], values["stage_keys"]["pair"]["score"]


def test_what_runs_refer_to_is_no_garbage(archive: Path) -> None:
    before = contents_of(archive)
    code, values = gc(archive, "--delete")
    assert (code, values["sections"]) == (0, [])
    assert contents_of(archive) == before


def test_results_of_a_forgotten_run_are_listed_and_only_deleted_when_asked(archive: Path) -> None:
    restored, scores = keys_of_run(archive, FIRST)
    shutil.rmtree(archive / "runs" / FIRST)
    before = contents_of(archive, groups=True)
    gone = {name for name in before if restored in name or scores in name}

    _, listed = gc(archive)
    assert contents_of(archive, groups=True) == before
    assert {row["path"] for row in listed["sections"]} == {f"restored/{restored}", f"scores/{scores}"}  # type: ignore[attr-defined]
    assert listed["size_bytes"] == sum(len(before[name]) for name in gone)

    _, deleted = gc(archive, "--delete")
    assert deleted["sections"] == listed["sections"]
    assert before.keys() - contents_of(archive, groups=True).keys() == gone
    assert not verify_archive(str(archive), in_process).corrupt


def test_frames_go_last_and_only_with_all_their_results(archive: Path) -> None:
    for run_id in (FIRST, SECOND):
        catalogue = archive / "runs" / run_id / "catalogue.jsonl"
        lines = catalogue.read_text().replace('"items":2', '"items":1').splitlines()
        catalogue.write_text("\n".join(line for line in lines if '"id":"set/1"' not in line) + "\n")
    young = next((archive / "scores").rglob("1.json"))
    os.utime(young)
    _, values = gc(archive, "--delete")
    assert not any(row["path"] == "frames" for row in values["sections"])  # type: ignore[attr-defined]
    age(archive)
    gc(archive, "--delete")
    folders = (path for path in (archive / "frames" / "set").iterdir() if path.is_dir())
    assert {path.name for path in folders if any(path.iterdir())} == {"0"}
    assert list(archive.glob("blur/truth/set/0/zarr.json"))
    assert not list(archive.glob("*/**/set/1/zarr.json"))


def test_young_things_stay(archive: Path) -> None:
    shutil.rmtree(archive / "runs" / FIRST)
    age(archive, seconds=DAY_S / 2)
    assert gc(archive)[1]["sections"] == []
    assert gc(archive, "--grace-hours", "6")[1]["sections"] != []


def test_leftovers_of_stopped_writers_go_after_the_grace_period(archive: Path) -> None:
    old = ["frames/set/0/.c.0.0.0.0.0123.partial", "restored/other-01/set/9/c.0.0.0"]
    young = ["frames/set/0/.c.0.0.0.0.4567.partial", "restored/other-01/set/8/c.0.0.0"]
    for name in (*old, *young):
        (archive / name).parent.mkdir(parents=True, exist_ok=True)
        (archive / name).write_bytes(b"half")
    for name in old:
        os.utime(archive / name, (time.time() - 2 * DAY_S,) * 2)
    before = contents_of(archive)
    gc(archive, "--delete")
    assert before.keys() - contents_of(archive).keys() == set(old)


def age_runs(archive: Path, days: int) -> None:
    for run_id in (FIRST, SECOND):
        age(archive / "runs" / run_id, days * DAY_S)


def test_runs_of_long_ago_go_with_what_they_alone_refer_to(archive: Path) -> None:
    restored, scores = keys_of_run(archive, FIRST)
    age_runs(archive, days=91)
    before = contents_of(archive, groups=True)
    gone = {name for name in before if restored in name or scores in name or FIRST in name}
    _, listed = gc(archive, "--older-than", "90d")
    assert contents_of(archive, groups=True) == before
    assert listed["runs"] == [FIRST]  # the last one of its dataset stays, however old
    assert listed["size_bytes"] == sum(len(before[name]) for name in gone)
    gc(archive, "--older-than", "90d", "--delete")
    assert before.keys() - contents_of(archive, groups=True).keys() == gone
    assert not verify_archive(str(archive), in_process).corrupt
    assert gc(archive, "--older-than", "90d")[1]["runs"] == []


def test_younger_runs_stay(archive: Path) -> None:
    age_runs(archive, days=89)
    assert gc(archive, "--older-than", "90d")[1]["runs"] == []
    os.utime(archive / "runs" / FIRST / "run.json")  # something of it is younger
    assert gc(archive, "--older-than", "1d")[1]["runs"] == []


def test_forgetting_a_run_may_be_stopped_anywhere(archive: Path) -> None:
    age_runs(archive, days=91)
    [expired] = find_expired(str(archive), age=timedelta(days=90))
    for path in expired.paths:
        (archive / path).unlink()
        assert read_references(str(archive)).runs <= {FIRST, SECOND}
        left = find_expired(str(archive), age=timedelta(days=90))
        assert [run.run_id for run in left] in ([FIRST], [])
    assert read_references(str(archive)).runs == {SECOND}


@pytest.mark.parametrize("text", ["90", "d", "0d", "-1d", "1.5d", "90 d", "9y"])
def test_an_age_has_a_number_and_a_unit(archive: Path, text: str) -> None:
    result = CliRunner().invoke(app, ["gc", str(archive), "--older-than", text])
    assert result.exit_code == 1
    assert "[settings] not an age" in result.stderr


def test_unknown_files_and_corrupt_objects_kept_by_a_repair_are_left_alone(archive: Path) -> None:
    for name in ("readme.txt", "blur/notes.txt", "rotten/20260101t000000z-eeeeee/frames/set/0/zarr.json"):
        (archive / name).parent.mkdir(parents=True, exist_ok=True)
        (archive / name).write_bytes(b"mine")
    age(archive)
    assert gc(archive, "--delete")[1]["sections"] == []


def test_a_record_that_cannot_be_read_stops_everything(archive: Path) -> None:
    (archive / "runs" / FIRST / "run.json").write_bytes(b"{")
    with pytest.raises(ItemDamagedError):
        find_garbage(str(archive))
    shutil.rmtree(archive / "runs")
    with pytest.raises(ArchiveError, match="no run has left a record"):
        find_garbage(str(archive))


def test_a_catalogue_that_is_cut_short_stops_everything(archive: Path) -> None:
    catalogue = archive / "runs" / FIRST / "catalogue.jsonl"
    catalogue.write_text("".join(catalogue.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ItemDamagedError, match="the record of a run cannot be read"):
        find_garbage(str(archive))


def test_a_catalogue_of_a_later_version_stops_everything(archive: Path) -> None:
    catalogue = archive / "runs" / FIRST / "catalogue.jsonl"
    head, _, rest = catalogue.read_text().partition("\n")
    catalogue.write_text(
        json.dumps(json.loads(head) | {"version": 2}) + "\n" + rest.replace('"item":', '"row":')
    )
    with pytest.raises(ItemDamagedError, match="a later version of ldp wrote this catalogue") as caught:
        find_garbage(str(archive))
    assert "install that version" in caught.value.remedy


def test_a_run_that_is_starting_is_waited_for_and_one_that_never_began_is_not(archive: Path) -> None:
    catalogue = archive / "runs" / "20260105t000000z-abcdef" / "catalogue.jsonl"
    catalogue.parent.mkdir()
    catalogue.write_text("{}")
    with pytest.raises(ArchiveError, match="just starting"):
        find_garbage(str(archive))
    age(archive)
    assert find_garbage(str(archive)) == []
    assert not verify_archive(str(archive), in_process).corrupt


def test_a_run_that_starts_after_the_listing_keeps_what_it_refers_to(whole: Path, archive: Path) -> None:
    shutil.rmtree(archive / "runs" / FIRST)
    garbage = find_garbage(str(archive))
    assert garbage
    before = contents_of(archive)
    start_run(archive, whole.parent / "dataset", FIRST)
    assert not any(some.items for some in collect(str(archive), garbage))
    assert before.items() <= contents_of(archive).items()


def test_a_run_at_work_loses_nothing(whole: Path, archive: Path) -> None:
    """Collection after collection, with hardly any grace, while a run writes and reads."""
    shutil.rmtree(archive / "runs" / FIRST)
    delete(f"{archive}/frames/set/1/zarr.json")
    source, failed = whole.parent / "dataset", []

    def work() -> None:
        try:
            make_run(archive, source, "20260104t000000z-ffffff", noise_signal=0.06)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    rounds = 0
    while thread.is_alive() or not rounds:
        with suppress(ArchiveError):  # the run is just starting
            collect(str(archive), find_garbage(str(archive), grace=timedelta(seconds=5)))
            rounds += 1
    thread.join()
    assert not failed
    assert not verify_archive(str(archive), in_process).corrupt
    assert {path.name for path in (archive / "runs").iterdir()} == {SECOND, "20260104t000000z-ffffff"}
