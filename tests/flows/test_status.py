"""What `ldp status` tells of an archive and of one run, from records alone."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from run_samples import FIRST, OTHER, SECOND, make_dataset, make_run
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.storage import write_bytes
from tasks.heartbeat import SILENCE, beating, last_beat
from tasks.status import State, describe_run

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
    assert newest["counts"] == {"computed": 2, "there": 0, "quarantined": 1}
    assert newest["started"] == "2026-01-02T00:00:00+00:00"
    assert values["items"] == 2
    paths = [row["path"].partition("/")[0] for row in values["sections"]]
    assert sorted(paths) == sorted(["frames", "blur", "blur", "confidence", *["restored", "scores"] * 2])
    objects = [p for p in archive.rglob("*") if p.is_file() and "runs" not in p.parts]
    assert values["size_bytes"] == sum(path.stat().st_size for path in objects)


def test_one_run_is_told_with_its_keys_scores_and_quarantine(archive: Path) -> None:
    values = json.loads(run("status", archive, FIRST, "--json")[1])
    assert values["stage_keys"].keys() == {"blur", "confidence", "restored", "scores"}
    assert (archive / "restored" / values["stage_keys"]["restored"]).is_dir()
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


def test_a_run_without_a_summary_is_running_while_it_beats(archive: Path) -> None:
    shutil.copytree(archive / "runs" / SECOND, archive / "runs" / THIRD)
    (archive / "runs" / THIRD / "summary.json").unlink()
    assert describe_run(str(archive), THIRD).state is State.INTERRUPTED
    with beating(str(archive), THIRD, every_s=0.01):
        while last_beat(str(archive), THIRD) is None:
            pass
        assert describe_run(str(archive), THIRD).state is State.RUNNING
    silent = datetime.now(UTC) - 2 * SILENCE
    sign = json.dumps({"moment": silent.isoformat()}).encode()
    write_bytes(f"{archive}/runs/{THIRD}/alive.json", sign)
    assert describe_run(str(archive), THIRD).state is State.INTERRUPTED
    assert timedelta(minutes=1) < SILENCE


@pytest.mark.parametrize("name", ["run.json", "catalogue.jsonl", "summary.json"])
def test_a_rotten_record_does_not_hide_the_other_runs(archive: Path, name: str) -> None:
    (archive / "runs" / SECOND / name).write_bytes(b"{rotten")
    runs = json.loads(run("status", archive, "--json")[1])["runs"]
    assert [one["state"] for one in runs] == ["unreadable", "finished"]


def test_records_of_earlier_versions_are_read(archive: Path) -> None:
    folder = archive / "runs" / FIRST
    (folder / "digests.json").unlink()
    asked = json.loads((folder / "run.json").read_text())
    del asked["sealed_by"]
    (folder / "run.json").write_text(json.dumps(asked))
    assert describe_run(str(archive), FIRST).state is State.FINISHED


@pytest.mark.parametrize(
    ("arguments", "message"), [((), "[archive]"), (("20250101t000000z-dddddd",), "[item_missing]")]
)
def test_what_is_not_there_is_explained(archive: Path, arguments: tuple[str, ...], message: str) -> None:
    place = archive if arguments else archive / "nothing"
    code, _, err = run("status", place, *arguments)
    assert code == 1
    assert err.startswith(f"ldp: {message}")


def test_the_golden_archive_has_a_status() -> None:
    golden = Path(__file__).parents[1] / "golden" / "archive"
    values = json.loads(run("status", golden, "--json")[1])
    assert (values["runs"], values["items"]) == ([], 1)
