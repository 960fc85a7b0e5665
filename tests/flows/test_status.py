"""What `ldp status` tells of an archive and of one run, from records alone."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from run_samples import FIRST, OTHER, SECOND, contents_of, make_dataset, make_run
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.errors import ItemMissingError, StorageError
from ldp_core.storage import write_bytes
from tasks.heartbeat import SILENCE, RunState
from tasks.run import Run
from tasks.status import describe_run

THIRD = "20260103t000000z-cccccc"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("status")
    make_run(folder / "archive", make_dataset(folder / "dataset", 2), FIRST)
    make_run(folder / "archive", folder / "dataset", SECOND, **OTHER)
    return folder / "archive"


@pytest.fixture
def archive(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "archive"))


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_runs_are_listed_newest_first_with_totals(archive: Path) -> None:
    code, out, _ = run("status", archive, "--json")
    values = json.loads(out)
    assert code == 0
    assert [one["run_id"] for one in values["runs"]] == [SECOND, FIRST]
    newest = values["runs"][0]
    assert (newest["state"], newest["estimator"], newest["deblurrer"]) == ("finished", "disparity", "wiener")
    assert newest["counts"] == {"computed": 2, "skipped": 0, "quarantined": 1}
    assert newest["started"] == "2026-01-02T00:00:00+00:00"
    assert values["items"] == 2
    paths = [row["path"].partition("/")[0] for row in values["sections"]]
    assert sorted(paths) == sorted(["frames", "blur", "blur", "confidence", *["restored", "scores"] * 2])
    objects = [content for name, content in contents_of(archive).items() if not name.startswith("runs/")]
    assert values["size_bytes"] == sum(map(len, objects))


def test_one_run_is_told_with_its_keys_scores_and_quarantine(archive: Path) -> None:
    values = json.loads(run("status", archive, FIRST, "--json")[1])
    assert values["stage_keys"]["pair"].keys() == {"blur", "deblur", "score"}
    assert (archive / "restored" / values["stage_keys"]["pair"]["deblur"]).is_dir()
    assert values["quarantine"]["pairing"][0]["item"] == "left/9.png"
    assert {mean["metric"] for mean in values["metrics"]} >= {"psnr_db", "ssim"}


def test_people_see_the_same(archive: Path) -> None:
    code, out, _ = run("status", archive)
    assert code == 0
    assert "2 runs, 2 items" in out
    code, out, _ = run("status", archive, FIRST)
    assert code == 0
    assert "pairing: 1 quarantined" in out
    assert "it has no right view" in out


def without_summary(archive: Path) -> Run:
    shutil.copytree(archive / "runs" / SECOND, archive / "runs" / THIRD)
    (archive / "runs" / THIRD / "summary.json").unlink()
    return Run(str(archive), THIRD)


def state_of(archive: Path, run_id: str = THIRD) -> RunState:
    return describe_run(Run(str(archive), run_id)).state


def test_a_run_without_a_summary_is_running_while_it_shows_life(archive: Path) -> None:
    run = without_summary(archive)
    assert state_of(archive) is RunState.LOST
    with run.heartbeat.beating(every_s=0.01):
        while not (archive / "runs" / THIRD / "alive.json").exists():
            pass
        assert state_of(archive) is RunState.RUNNING
    silent = datetime.now(UTC) - 2 * SILENCE
    sign = json.dumps({"moment": silent.isoformat()}).encode()
    write_bytes(f"{archive}/runs/{THIRD}/alive.json", sign)
    assert state_of(archive) is RunState.LOST
    assert timedelta(minutes=1) < SILENCE


@pytest.mark.parametrize(
    ("error", "state"), [(KeyboardInterrupt, RunState.CANCELLED), (StorageError, RunState.STOPPED)]
)
def test_a_run_says_how_it_ended(archive: Path, error: type[BaseException], state: RunState) -> None:
    run = without_summary(archive)
    with pytest.raises(error), run.heartbeat.beating():
        raise error("it ends here")
    assert state_of(archive) is state


def test_a_run_that_stopped_at_bad_items_says_so(archive: Path) -> None:
    path = archive / "runs" / SECOND / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "stopped"}))
    assert state_of(archive, SECOND) is RunState.STOPPED


@pytest.mark.parametrize(
    "content", [b"{corrupt", b"[" * 100_000, b"[]", b""], ids=["cut", "deep", "list", "empty"]
)
@pytest.mark.parametrize("name", ["run.json", "catalogue.jsonl", "summary.json"])
def test_a_corrupt_record_does_not_hide_the_other_runs(archive: Path, name: str, content: bytes) -> None:
    (archive / "runs" / SECOND / name).write_bytes(content)
    runs = json.loads(run("status", archive, "--json")[1])["runs"]
    assert [one["state"] for one in runs] == ["unreadable", "finished"]


def test_what_a_corrupt_catalogue_does_not_tell_is_left_open(archive: Path) -> None:
    (archive / "runs" / SECOND / "catalogue.jsonl").write_text('{"schema": "later", "version": 99}\n')
    code, out, _ = run("status", archive, SECOND)
    assert code == 0
    assert "- listed" in out
    assert "None" not in out


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"[]", b'"a"'])
def test_a_corrupt_sign_of_life_is_none(archive: Path, content: bytes) -> None:
    (Path(without_summary(archive).url) / "alive.json").write_bytes(content)
    assert state_of(archive) is RunState.LOST


@pytest.mark.parametrize("content", [b"", b"PAR1junkPAR1"])
def test_a_corrupt_table_of_scores_is_named(archive: Path, content: bytes, tmp_path: Path) -> None:
    (archive / "runs" / SECOND / "scores.parquet").write_bytes(content)
    code, _, err = run("export", SECOND, "--archive", archive, "--table", tmp_path / "scores.csv")
    assert code == 1
    assert err.startswith("ldp: [item_damaged]")
    assert "scores.parquet" in err


def test_a_summary_that_lacks_everything_is_told_in_a_few_lines(archive: Path) -> None:
    (archive / "runs" / SECOND / "summary.json").write_bytes(b"{}")
    code, _, err = run("compare", archive, SECOND, FIRST)
    assert code == 1
    assert err.startswith("ldp: [item_damaged] the record of a run cannot be read\n")
    assert len(err.splitlines()) == 4
    assert all(len(line) < 300 for line in err.splitlines())


@pytest.mark.parametrize("run_id", ["20250101t000000z-dddddd", THIRD])
def test_a_report_of_what_is_not_there_starts_nothing(
    archive: Path, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_summary(archive)
    monkeypatch.setattr("flows.engine.prefect_engine", lambda: pytest.fail("a server starts"))
    code, _, err = run("report", run_id, "--archive", archive)
    assert code == 1
    assert err.startswith("ldp: [item_missing]")


def test_numbers_beyond_reason_are_wrong_usage(archive: Path, tmp_path: Path) -> None:
    assert run("gc", archive, "--grace-hours", "1e300")[0] == 2
    assert run("gc", archive, "--grace-hours", "1000000")[0] == 0
    code, _, err = run("simulate", tmp_path / "set", "--size", "9" * 5000 + "x1")
    assert code == 1
    assert err.startswith("ldp: [settings] not a size")


def test_records_of_earlier_versions_are_read(archive: Path) -> None:
    folder = archive / "runs" / FIRST
    (folder / "digests.json").unlink()
    asked = json.loads((folder / "run.json").read_text())
    del asked["sealed_by"]
    (folder / "run.json").write_text(json.dumps(asked))
    summary = json.loads((folder / "summary.json").read_text())
    del summary["state"]
    (folder / "summary.json").write_text(json.dumps(summary))
    assert state_of(archive, FIRST) is RunState.FINISHED
    assert (
        "1 run without digests, but with records that can be read"
        in run("verify", archive, "--workers", "1")[1]
    )


@pytest.mark.parametrize(
    ("arguments", "message"), [((), "[archive]"), (("20250101t000000z-dddddd",), "[item_missing]")]
)
def test_what_is_not_there_is_explained(archive: Path, arguments: tuple[str, ...], message: str) -> None:
    place = archive if arguments else archive / "nothing"
    code, _, err = run("status", place, *arguments)
    assert code == 1
    assert err.startswith(f"ldp: {message}")
    if arguments:
        assert "the archive holds no such run" in err
        assert SECOND in err


def test_a_run_that_did_not_end_is_told_from_one_that_is_not_there(archive: Path) -> None:
    run_id = without_summary(archive).run_id
    with pytest.raises(ItemMissingError, match="did not come to its end"):
        _ = Run(str(archive), run_id).summary
    with pytest.raises(ItemMissingError, match="holds no such run"):
        _ = Run(str(archive), "20250101t000000z-dddddd").summary


def test_the_golden_archive_has_a_status() -> None:
    golden = Path(__file__).parents[1] / "golden" / "archive"
    values = json.loads(run("status", golden, "--json")[1])
    assert (values["runs"], values["items"]) == ([], 1)
