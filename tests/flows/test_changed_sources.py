"""Changed, vanished and shrunken sources through the commands: what is printed, recorded and refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.restore import restore_dataset
from ldp_core.archive import Archive
from ldp_core.errors import SourceShrunkError
from ldp_core.images import encode_image, read_image

pytestmark = pytest.mark.usefixtures("prefect_server")


def restore(dataset: Path, archive: Path, **options: Any) -> dict[str, Any]:
    return restore_dataset(
        str(dataset), "folders", str(archive), dataset="sim", deblurrer="wiener", processes=1, **options
    )


def run(command: str, dataset: Path, archive: Path, *options: str) -> tuple[int, str, str]:
    place = [str(dataset), "--dataset", "sim", "--archive", str(archive), "--workers", "1"]
    result = CliRunner().invoke(app, [command, *place, *options])
    return result.exit_code, result.stdout, result.stderr


def change(picture: Path) -> None:
    pixels = read_image(str(picture))
    pixels[:8, :8] ^= 1
    picture.write_bytes(encode_image(pixels, "png"))


def statuses(archive: Path, run_id: str) -> dict[str, tuple[str, int]]:
    lines = (archive / "runs" / run_id / "items.jsonl").read_text().splitlines()
    return {row["item"]: (row["status"], row["version"]) for row in map(json.loads, lines)}


def test_a_changed_source_is_restored_beside_the_old_one(dataset: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    first = restore(dataset, archive)
    old = Archive(str(archive)).read_pair("sim/scene-0")
    change(dataset / "left" / "Scene 0.png")
    os.utime(dataset / "right" / "Scene 1.png", ns=(1, 1))
    code, out, _ = run("plan", dataset, archive, "--deblurrer", "wiener")
    assert code == 0
    assert "sources that may have changed, to be compared with the archive: 2" in out

    second = restore(dataset, archive)
    assert second["items"] == {"total": 3, "computed": 1, "skipped": 2, "quarantined": 0}
    assert (second["sources"]["changed"], second["sources"]["changed_items"]) == (1, ("sim/scene-0",))
    assert statuses(archive, second["run_id"]) == {
        "sim/scene-0": ("computed", 2),
        "sim/scene-1": ("skipped", 1),
        "sim/scene-2": ("skipped", 1),
    }
    assert np.array_equal(Archive(str(archive)).read_pair("sim/scene-0").left, old.left)
    page = Path(second["report"]).read_text()
    assert "Changed since the run before" in page
    assert "Vanished since the run before" not in page
    assert "Changed since the run before" not in Path(first["report"]).read_text()
    pictures = Path(second["report"]).parent / "items" / "sim" / "scene-0"
    assert (pictures / "left.jpg").read_bytes() != (
        Path(first["report"]).parent / "items" / "sim" / "scene-0" / "left.jpg"
    ).read_bytes()


def test_a_vanished_source_is_listed_and_its_results_stay(dataset: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    run("ingest", dataset, archive)
    for view in ("left", "right", "target"):
        (dataset / view / "Scene 1.png").unlink()
    code, out, _ = run("plan", dataset, archive)
    assert code == 0
    assert "items of the run before that are no longer there (their results are kept): 1" in out
    assert "[source_shrunk]" not in out
    code, out, _ = run("ingest", dataset, archive)
    assert code == 0
    assert "sources: 0 changed, 1 vanished" in out
    assert "vanished: sim/scene-1" in out
    assert Archive(str(archive)).read_pair("sim/scene-1").has_both_views
    code, out, _ = run("ingest", dataset, archive)
    assert (code, "vanished" in out) == (0, False)


def test_a_shrunken_source_stops_before_anything_is_recorded(dataset: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    run("ingest", dataset, archive)
    for name in ("Scene 1.png", "Scene 2.png"):
        for view in ("left", "right", "target"):
            (dataset / view / name).unlink()
    runs = list((archive / "runs").iterdir())
    with pytest.raises(SourceShrunkError):
        restore(dataset, archive)
    code, _, err = run("ingest", dataset, archive)
    assert code == 1
    assert "[source_shrunk]" in err
    assert "1 item; gone: 2, without their truths now: 0; pictures: 2 in left, 2 in right" in err
    assert list((archive / "runs").iterdir()) == runs
    code, out, _ = run("plan", dataset, archive)
    assert code == 0
    assert "[source_shrunk] a run would stop" in out
    code, out, _ = run("ingest", dataset, archive, "--allow-shrink", "--json")
    assert code == 0
    summary = json.loads(out)
    assert summary["sources"]["vanished_items"] == ["sim/scene-1", "sim/scene-2"]
    assert (summary["items"]["total"], summary["sources"]["vanished"]) == (1, 2)


def test_pixels_are_compared_where_asked_for(dataset: Path, tmp_path: Path) -> None:
    archive, picture = tmp_path / "archive", dataset / "left" / "Scene 0.png"
    run("ingest", dataset, archive)
    stat, size = picture.stat(), picture.stat().st_size
    pixels = read_image(str(picture))
    for value in range(256):  # a picture of the same encoded size
        pixels[0, 0] = value
        if len(encode_image(pixels, "png")) == size:
            break
    picture.write_bytes(encode_image(pixels, "png"))
    assert picture.stat().st_size == size
    os.utime(picture, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert json.loads(run("ingest", dataset, archive, "--json")[1])["sources"]["changed"] == 0
    compared = json.loads(run("ingest", dataset, archive, "--verify-sources", "--json")[1])
    assert compared["sources"]["changed_items"] == ["sim/scene-0"]
    assert compared["items"] == {"total": 3, "computed": 1, "skipped": 2, "quarantined": 0}
