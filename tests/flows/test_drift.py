"""`ldp drift` over runs of an archive: exit codes, cameras, the page; with a shifted and an unshifted run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.exits import EXIT_DRIFT
from ldp_core.archive import Archive
from ldp_core.types import (
    BlurMap,
    BlurMapKind,
    Catalogue,
    ImageRef,
    Item,
    ItemCounts,
    RunSummary,
    Score,
    ScoringProtocol,
)
from tasks.pipeline import make_config, pipelines_for
from tasks.run import Run, RunItem
from tasks.stage import PAIR
from tasks.stored_run import environment

FIRST, SECOND, SHIFTED = (f"2026010{day}t000000z-aaaaaa" for day in (1, 2, 3))
ITEMS = 40
CAMERAS = ("pixel-4", "canon")


def write_run(archive: Path, run_id: str, *, seed: int, shift_px: float = 0.0, canon_px: float = 0.0) -> None:
    """A finished run with blur maps and reblur scores of its own items; other photographs each time."""
    rng = np.random.default_rng(seed)
    ref = ImageRef("file:///none.png", 8, 9, 3, 8, 100)
    items = tuple(
        Item(f"set/{run_id[:8]}-{n:02}", ref, ref, metadata={"model": CAMERAS[n % 2]}) for n in range(ITEMS)
    )
    config = make_config(str(archive), estimator=("disparity", {}), deblurrer=("wiener", {}))
    pipelines = pipelines_for(config, items)
    run = Run.start(config, Catalogue("set", "folders", "file:///set", items), pipelines, run_id=run_id)
    done = []
    for number, item in enumerate(items):
        middle = rng.normal(6, 1) + shift_px + (canon_px if number % 2 else 0)
        values = rng.normal(middle, 1, (8, 9)).astype(np.float32)
        confidence = np.full((8, 9), rng.uniform(0.5, 1), np.float32)
        Archive(str(archive)).write_blur_map(
            pipelines[PAIR].keys["blur"], item.id, BlurMap(values, BlurMapKind.SIGNED_COC_PX, confidence)
        )
        protocol = ScoringProtocol(8, "9x8", variant="half-disc kernel")
        scores = tuple(
            Score(item.id, "reblur_psnr_db", subject, protocol, float(rng.normal(35, 2)))
            for subject in ("input", "restored")
        )
        done.append(RunItem(item.id, "computed", scores, f"digest of {item.id}"))
    summary = RunSummary(
        run_id=run_id,
        created="2026-01-01T00:00:00+00:00",
        dataset="set",
        layout="folders",
        source="file:///set",
        report="",
        stages=run.specs[PAIR],
        environment=environment(),
        items=ItemCounts(ITEMS, ITEMS, 0, 0),
        seconds={"total": 1.0},
        metrics=(),
    )
    run.finish(summary, done)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of like photographs, and a third of more blurred ones."""
    folder = tmp_path_factory.mktemp("drift") / "archive"
    write_run(folder, FIRST, seed=1)
    write_run(folder, SECOND, seed=2)
    write_run(folder, SHIFTED, seed=3, shift_px=3.0)
    return folder


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def judge(*arguments: object) -> tuple[int, dict[str, Any]]:
    code, out, err = run("drift", *arguments, "--json")
    assert out, err
    values: dict[str, Any] = json.loads(out)
    return code, values


def test_an_unshifted_run_ends_with_0(archive: Path) -> None:
    code, values = judge(archive, SECOND)
    assert (code, values["against"], values["drifted"]) == (0, FIRST, False)
    signals = {row["signal"] for row in values["signals"]}
    assert signals == {
        "behind_share",
        "blur_px_median",
        "blur_px_p90",
        "confidence_mean",
        "reblur_psnr_db of input",
        "reblur_psnr_db of restored",
    }
    assert {row["group"] for row in values["signals"]} == {"all items", "model: canon", "model: pixel-4"}


def test_a_shifted_run_ends_with_5_and_says_what_has_shifted(archive: Path) -> None:
    code, values = judge(archive)
    assert (code, values["run"], values["against"]) == (EXIT_DRIFT, SHIFTED, SECOND)
    drifted = {row["signal"] for row in values["signals"] if row["drifted"]}
    assert drifted == {"blur_px_median", "blur_px_p90"}
    [row] = [r for r in values["signals"] if (r["signal"], r["group"]) == ("blur_px_median", "all items")]
    assert row["now"]["median"] - row["earlier"]["median"] == pytest.approx(3, abs=0.6)
    assert [one["run_id"] for one in values["history"]] == [FIRST, SECOND]


def test_one_camera_that_shifts_is_named(archive: Path, tmp_path: Path) -> None:
    shutil.copytree(archive, tmp_path / "copy")
    later = "20260104t000000z-aaaaaa"
    write_run(tmp_path / "copy", later, seed=4, canon_px=4.0)
    code, values = judge(tmp_path / "copy", later, "--against", FIRST)
    assert code == EXIT_DRIFT
    groups = {row["group"] for row in values["signals"] if row["drifted"]}
    assert "model: canon" in groups
    assert "model: pixel-4" not in groups


def test_groups_may_be_chosen(archive: Path) -> None:
    _, values = judge(archive, SECOND, "--by", "place")
    assert {row["group"] for row in values["signals"]} == {"all items"}


def test_photographs_of_one_scene_count_once(archive: Path) -> None:
    """Two values of `model`: of two values nothing can be told."""
    code, values = judge(archive, SHIFTED, "--per", "model")
    assert (code, values["signals"]) == (0, [])
    assert {one["items"] for one in values["not_compared"] if one["group"] == "all items"} == {2}


def test_people_see_a_table_and_a_verdict(archive: Path) -> None:
    code, out, _ = run("drift", archive, SHIFTED)
    assert code == EXIT_DRIFT
    assert "drifted" in out.splitlines()[-1] or "drifted" in out
    code, out, _ = run("drift", archive, SECOND)
    assert (code, "no drift" in out) == (0, True)


def test_a_page_shows_distributions_and_time(archive: Path, tmp_path: Path) -> None:
    code, values = judge(archive, SHIFTED, "--output", tmp_path / "page")
    assert code == EXIT_DRIFT
    page = Path(values["page"].removeprefix("file://")).read_text()
    assert "<h1>Drifted</h1>" in page
    assert page.count('<svg class="chart') == len(values["signals"])
    assert FIRST in page
    assert SECOND in page
    _, values = judge(archive, SECOND, "--html")
    assert f"{SECOND}/drift" in values["page"]


def test_a_run_without_an_earlier_one_is_explained(archive: Path) -> None:
    code, _, err = run("drift", archive, FIRST)
    assert code == 1
    assert "[item_missing]" in err
    assert "--against" in err


def test_lost_maps_leave_the_scores(archive: Path, tmp_path: Path) -> None:
    shutil.copytree(archive, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "blur")
    code, values = judge(tmp_path / "copy", SECOND)
    assert code == 0
    assert {row["signal"] for row in values["signals"]} == {
        "reblur_psnr_db of input",
        "reblur_psnr_db of restored",
    }
