"""Archiving alone: what it leaves, that restoring finds it there, what it sets aside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.ingest import ingest_dataset
from flows.report import report_dataset
from flows.restore import restore_dataset
from ldp_core.archive import Archive
from ldp_core.errors import ItemMissingError, TooManyBadItemsError
from tasks.status import compare_runs

pytestmark = pytest.mark.usefixtures("prefect_server")

CLI = CliRunner()


def ingest(dataset: Path, archive: Path, **options: Any) -> dict[str, Any]:
    return ingest_dataset(str(dataset), "folders", str(archive), dataset="sim", processes=1, **options)


def written(archive: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in archive.glob("frames/**/*") if path.is_file()}


def test_frames_are_archived_and_nothing_else_is_made(dataset: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    summary = ingest(dataset, archive)

    assert summary["items"] == {"total": 3, "computed": 3, "skipped": 0, "quarantined": 0}
    assert (summary["metrics"], summary["stages"], summary["report"]) == ((), (), "")
    assert Archive(str(archive)).read_pair("sim/scene-0").left.shape == (96, 128, 3)
    assert {path.name for path in archive.iterdir() if path.is_dir()} == {"frames", "runs"}
    record = archive / "runs" / summary["run_id"]
    assert json.loads((record / "summary.json").read_text())["items"]["computed"] == 3
    assert len((record / "items.jsonl").read_text().splitlines()) == 3


def test_again_it_compares_and_writes_no_frame(dataset: Path, tmp_path: Path) -> None:
    ingest(dataset, tmp_path / "archive")
    before = written(tmp_path / "archive")
    again = ingest(dataset, tmp_path / "archive")
    assert again["items"] == {"total": 3, "computed": 0, "skipped": 3, "quarantined": 0}
    assert written(tmp_path / "archive") == before


def test_restoring_afterwards_uses_the_frames(dataset: Path, tmp_path: Path) -> None:
    ingest(dataset, tmp_path / "archive")
    before = written(tmp_path / "archive")
    summary = restore_dataset(
        str(dataset), "folders", str(tmp_path / "archive"), dataset="sim", deblurrer="wiener", processes=1
    )
    assert summary["items"] == {"total": 3, "computed": 3, "skipped": 0, "quarantined": 0}
    assert written(tmp_path / "archive") == before


def test_a_run_that_only_archived_has_no_report(dataset: Path, tmp_path: Path) -> None:
    run_id = ingest(dataset, tmp_path / "archive")["run_id"]
    with pytest.raises(ItemMissingError, match="restored nothing") as caught:
        report_dataset(str(tmp_path / "archive"), run_id, processes=1)
    assert "ldp restore" in caught.value.remedy
    with pytest.raises(ItemMissingError, match="restored nothing"):
        compare_runs(str(tmp_path / "archive"), run_id, run_id)


def test_too_many_bad_items_stop_it_but_keep_what_is_done(dataset: Path, tmp_path: Path) -> None:
    for number in (0, 1):
        (dataset / "left" / f"Scene {number}.png").write_bytes(b"nothing")
    with pytest.raises(TooManyBadItemsError):
        ingest(dataset, tmp_path / "archive")
    [run] = (tmp_path / "archive" / "runs").iterdir()
    assert json.loads((run / "summary.json").read_text())["items"]["quarantined"] == 2


def test_the_command_sets_bad_items_aside_and_exits_with_3(dataset: Path, tmp_path: Path) -> None:
    (dataset / "left" / "Scene 1.png").write_bytes(b"nothing")
    place = (str(dataset), "--layout", "folders", "--archive", str(tmp_path / "archive"), "--workers", "1")
    result = CLI.invoke(app, ["ingest", *place])
    assert result.exit_code == 3
    assert "3 items: 2 computed, 0 skipped, 1 quarantined" in result.stdout
    assert "report:" not in result.stdout

    stopped = CLI.invoke(app, ["ingest", *place, "--max-bad", "0", "--json"])
    assert stopped.exit_code == 4
    assert "too_many_bad_items" in stopped.stderr
