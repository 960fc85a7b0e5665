"""A dataset under its user's names through `ldp`: ids, names in report, viewer, tables; parts of a source."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.images import encode_image, read_image
from ldp_core.optics import SimulationSettings, simulate_pair

BROKEN = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
CAMERA_NAMES = ("IMG_0001", "IMG_0002", "IMG_0003", "IMG_0004")


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})
    return result.exit_code, result.stdout, result.stderr


def restore(*arguments: object) -> dict[str, Any]:
    code, out, err = run("restore", *arguments, "--deblurrer", "wiener", "--workers", 1, "--json")
    assert code in (0, 3), err
    summary: dict[str, Any] = json.loads(out)
    return summary


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs as `left/IMG_0001_L.png`, `right/IMG_0001_R.png`, `GT/IMG_0001.png`, and another method."""
    folder = tmp_path_factory.mktemp("camera")
    for seed, name in enumerate(CAMERA_NAMES):
        pair = simulate_pair(seed, SimulationSettings(height=64, width=72))
        assert pair.right is not None
        assert pair.target is not None
        files = {
            f"set/left/{name}_L.png": pair.left,
            f"set/right/{name}_R.png": pair.right,
            f"set/GT/{name}.png": pair.target,
            f"theirs/{name}.png": pair.target,
        }
        for file, pixels in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(encode_image(pixels))
    return folder


@pytest.fixture
def source(made: Path, tmp_path: Path) -> Iterator[Path]:
    return Path(shutil.copytree(made / "set", tmp_path / "set"))


@pytest.mark.usefixtures("prefect_server")
def test_names_of_the_source_stand_in_report_table_and_catalogue(
    source: Path, made: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    summary = restore(source, "--archive", archive, "--limit", 2, "--method", f"Theirs={made / 'theirs'}")
    assert summary["items"]["total"] == 2
    folder = archive / "runs" / summary["run_id"]
    scores = pd.read_parquet(BytesIO((folder / "scores.parquet").read_bytes()))
    assert set(scores["name"]) == {"IMG_0001", "IMG_0002"}
    assert set(scores["item"]) == {"set/img_0001", "set/img_0002"}
    assert "Theirs" in set(scores["subject"])
    page = (folder / "report" / "index.html").read_text()
    items = json.loads(page.partition('id="viewer-items">')[2].partition("</script>")[0])["items"]
    assert {item["name"] for item in items} == {"set/IMG_0001", "set/IMG_0002"}


@pytest.mark.usefixtures("prefect_server")
def test_what_a_run_quarantined_is_restored_alone(source: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    sound = (source / "left" / "IMG_0002_L.png").read_bytes()
    (source / "left" / "IMG_0002_L.png").write_bytes(BROKEN)
    left = source / "left" / "IMG_0003_L.png"
    (source / "right" / "IMG_0003_R.png").write_bytes(left.read_bytes())  # found where pixels are compared
    first = restore(source, "--archive", archive, "--max-bad", 1)
    assert first["items"]["quarantined"] == 2
    code, out, _ = run("quarantine", first["run_id"], "--archive", archive)
    assert code == 0
    assert "[same_views] 1:\n  set/img_0003\n" in out
    assert "[image_format] 1:" in out
    again_by = f"again: ldp restore --only-quarantined {first['run_id']} --archive {archive}\n"
    assert out.endswith(f"2 of 4 items quarantined\n{again_by}")
    report = Path(first["report"])
    assert run("quarantine", report)[1] == run("quarantine", report.parent.parent)[1] == out
    assert "in another archive" in run("quarantine", report, "--archive", tmp_path / "other")[2]
    (source / "left" / "IMG_0002_L.png").write_bytes(sound)
    again = restore("--only-quarantined", first["run_id"], "--archive", archive)
    assert again["items"] == {"total": 2, "computed": 1, "skipped": 0, "quarantined": 1}
    assert [stage["method"] for stage in again["stages"]][:2] == ["disparity", "wiener"]
    assert (again["source"], again["dataset"]) == (first["source"], first["dataset"])
    assert again["sources"]["vanished"] == 0
    assert "1 of 2 items quarantined" in run("quarantine", again["run_id"], "--archive", archive)[1]
    whole = restore(source, "--archive", archive, "--max-bad", 1)  # the run before was a part: none vanished
    assert (whole["items"]["total"], whole["sources"]["vanished"]) == (4, 0)


def test_a_plan_of_a_part(source: Path, tmp_path: Path) -> None:
    def plan(*options: object) -> dict[str, Any]:
        code, out, err = run("plan", source, "--archive", tmp_path / "none", "--json", *options)
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    (tmp_path / "ids.txt").write_text("# two of them\nIMG_0004\n\nset/img_0001\n")
    assert plan("--ids", tmp_path / "ids.txt")["pairs"] == 2
    assert plan("--sample", 3)["pairs"] == 3
    assert plan("--limit", 9)["pairs"] == 4


def test_parts_that_cannot_be_are_refused(source: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("img_00O1\n")
    code, _, err = run("plan", source, "--ids", tmp_path / "ids.txt")
    assert code == 1
    assert "these items are not in the source" in err
    (tmp_path / "empty.txt").write_text("\n")
    assert "names no item" in run("plan", source, "--ids", tmp_path / "empty.txt")[2]
    assert "such as restormer=" in run("plan", source, "--method", "results/")[2]
    assert "no source is named" in run("restore")[2]
    archive = tmp_path / "archive"
    (archive / "runs").mkdir(parents=True)
    assert "no such run" in run("restore", "--only-quarantined", "x", "--archive", archive)[2]


def test_a_sample_is_drawn_again_by_its_seed(source: Path) -> None:
    from ldp_core.catalogue import Selection, SourceOptions, read_catalogue

    def draw(seed: int) -> list[str]:
        options = SourceOptions(selection=Selection(sample=2, seed=seed))
        return [item.id for item in read_catalogue(str(source), layout="folders", options=options).items]

    assert draw(1) == draw(1)
    assert {tuple(draw(seed)) for seed in range(9)} != {tuple(draw(1))}
    assert read_image(str(source / "left" / "IMG_0001_L.png")).shape == (64, 72, 3)
