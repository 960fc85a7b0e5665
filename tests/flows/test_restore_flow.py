"""The main job end to end: what it leaves, what it does not do twice, what it sets aside."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import zarr
from distributed import LocalCluster

from flows.report import report_dataset
from flows.restore import restore_dataset
from ldp_core.archive import Archive
from ldp_core.errors import MemoryShortError, TooManyBadItemsError

pytestmark = pytest.mark.usefixtures("prefect_server")


def restore(dataset: Path, archive: Path, **options: Any) -> dict[str, Any]:
    return restore_dataset(str(dataset), "folders", str(archive), dataset="sim", processes=1, **options)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archive")


def test_a_run_leaves_archive_scores_and_report(dataset: Path, archive: Path) -> None:
    summary = restore(dataset, archive)

    assert summary["items"] == {"total": 3, "computed": 3, "skipped": 0, "quarantined": 0}
    assert {"ingest", "blur", "deblur", "score", "total"} <= summary["seconds"].keys()
    subjects = {(mean["metric"], mean["subject"]) for mean in summary["metrics"]}
    assert {("psnr_db", "input"), ("psnr_db", "restored"), ("reblur_psnr_db", "restored")} <= subjects
    assert Path(summary["report"]).is_file()

    run = archive / "runs" / summary["run_id"]
    assert json.loads((run / "summary.json").read_text())["items"]["computed"] == 3
    scores = pd.read_parquet(io.BytesIO((run / "scores.parquet").read_bytes()))
    assert set(scores["item"]) == {"sim/scene-0", "sim/scene-1", "sim/scene-2"}
    frames = zarr.open_array(archive / "frames" / "sim" / "scene-0", mode="r")
    assert frames.shape == (3, 96, 128, 3)
    assert frames.dtype == np.uint8


def test_the_same_command_again_computes_nothing(dataset: Path, archive: Path) -> None:
    first = restore(dataset, archive)
    before = {path: path.stat().st_mtime_ns for path in archive.glob("[!r]*/**/zarr.json")}
    again = restore(dataset, archive)

    assert again["items"] == {"total": 3, "computed": 0, "skipped": 3, "quarantined": 0}
    assert "blur" not in again["seconds"]
    assert again["metrics"] == first["metrics"]
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_another_deblur_setting_reuses_the_blur_maps(dataset: Path, archive: Path) -> None:
    restore(dataset, archive)
    other = restore(dataset, archive, deblurrer="ldp", deblurrer_settings={"use_map": False})

    assert other["items"]["computed"] == 3
    assert "blur" not in other["seconds"]
    assert other["seconds"]["deblur"] > 0


def test_a_bad_item_is_quarantined_and_the_rest_goes_on(dataset: Path, tmp_path: Path) -> None:
    (dataset / "left" / "Scene 1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    summary = restore(dataset, tmp_path / "archive")

    assert summary["items"] == {"total": 3, "computed": 2, "skipped": 0, "quarantined": 1}
    [record] = summary["quarantine"]
    assert "Scene 1" in record["item"] or "scene-1" in record["item"]
    assert record["kind"].startswith("image")
    run = tmp_path / "archive" / "runs" / summary["run_id"]
    assert record == json.loads((run / "quarantine.jsonl").read_text())


def test_an_item_damaged_in_its_pixels_is_found_at_ingest(dataset: Path, tmp_path: Path) -> None:
    picture = dataset / "right" / "Scene 2.png"
    content = bytearray(picture.read_bytes())
    content[len(content) // 2] ^= 0x10
    picture.write_bytes(content)
    summary = restore(dataset, tmp_path / "archive")

    [record] = summary["quarantine"]
    assert (record["item"], record["stage"]) == ("sim/scene-2", "ingest")


def test_too_many_bad_items_stop_the_run_but_keep_what_is_done(dataset: Path, tmp_path: Path) -> None:
    for name in ("Scene 0.png", "Scene 1.png"):
        (dataset / "left" / name).write_bytes(b"nothing")
    with pytest.raises(TooManyBadItemsError):
        restore(dataset, tmp_path / "archive")
    [run] = (tmp_path / "archive" / "runs").iterdir()
    assert json.loads((run / "summary.json").read_text())["items"]["quarantined"] == 2
    assert restore(dataset, tmp_path / "archive", max_bad=1.0)["items"]["quarantined"] == 2


def test_the_same_id_with_other_pixels_is_another_version_not_an_overwrite(
    dataset: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    restore(dataset, archive)
    before = Archive(str(archive)).read_pair("sim/scene-0")
    for view in ("left", "right", "target"):
        (dataset / view / "Scene 0.png").write_bytes((dataset / view / "Scene 1.png").read_bytes())
    summary = restore(dataset, archive)
    assert summary["items"] == {"total": 3, "computed": 1, "skipped": 2, "quarantined": 0}
    assert np.array_equal(Archive(str(archive)).read_pair("sim/scene-0").left, before.left)
    other = Archive(str(archive)).read_pair("sim/scene-1")
    assert np.array_equal(Archive(str(archive)).read_pair("sim/scene-0@2").left, other.left)


def test_pairs_without_a_target_are_restored_and_judged_by_reblurring(dataset: Path, tmp_path: Path) -> None:
    for picture in (dataset / "target").iterdir():
        picture.unlink()
    summary = restore(dataset, tmp_path / "archive")
    assert summary["items"]["computed"] == 3
    assert {mean["metric"] for mean in summary["metrics"]} == {"reblur_psnr_db"}


def test_a_report_can_be_made_again(dataset: Path, archive: Path) -> None:
    page = Path(restore(dataset, archive)["report"])
    before = page.read_bytes()
    page.unlink()
    run_id = page.parents[1].name
    assert report_dataset(str(archive), run_id, processes=1) == str(page)
    assert page.read_bytes() == before


@pytest.mark.parametrize("mode", ["similarity", "signed"])
def test_language_driven_maps_guide_the_network(dataset: Path, tmp_path: Path, mode: str) -> None:
    options = {"estimator": "clip", "estimator_settings": {"mode": mode}, "deblurrer": "ldp"}
    summary = restore(dataset, tmp_path / "archive", **options)

    assert summary["items"]["computed"] == 3
    subjects = {(mean["metric"], mean["subject"]) for mean in summary["metrics"]}
    assert ("psnr_db", "restored") in subjects
    assert (("reblur_psnr_db", "restored") in subjects) == (mode == "signed")


def test_a_plan_that_does_not_fit_the_workers_is_refused_before_it_starts(
    dataset: Path, tmp_path: Path
) -> None:
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            memory_limit="600MB",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        pytest.raises(MemoryShortError, match="3 items") as caught,
    ):
        restore(dataset, tmp_path / "archive", cluster=cluster.scheduler_address)
    assert "sim/scene-0 (128x96)" in caught.value.where
    assert not (tmp_path / "archive").exists()
