"""Pairs and a single view through the main job by the command line: one run, two sets of methods."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from single_samples import write_bdir, write_dbd
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.archive import Archive, stage_key
from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.metrics import score_spec
from ldp_core.types import StageSpec
from tasks.run import Run

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options that give the methods of single views small random weights."""
    folder = tmp_path_factory.mktemp("weights")
    chosen = {"single_estimator": write_dbd(folder), "single_deblurrer": write_bdir(folder)}
    named = [f"{stage}.{name}={value}" for stage, of in chosen.items() for name, value in of.items()]
    return [part for setting in named for part in ("--set", setting)]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archive")


@pytest.fixture
def mixed(dataset: Path) -> Path:
    """Three simulated pairs, of which one has lost its right view."""
    (dataset / "right" / "Scene 1.png").unlink()
    return dataset


def run(*arguments: object) -> dict[str, Any]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--workers", "1", "--json"])
    assert result.exit_code == 0, result.output
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def restore(source: Path, archive: Path, *options: str) -> dict[str, Any]:
    return run("restore", source, "--archive", archive, "--dataset", "sim", *options)


def test_a_mixed_folder_is_restored_in_one_run(mixed: Path, archive: Path, weights: list[str]) -> None:
    summary = restore(mixed, archive, "--baseline", "bdir", *weights)
    assert summary["items"] == {"total": 3, "computed": 3, "skipped": 0, "quarantined": 0}
    assert [problem["kind"] for problem in summary["problems"]] == ["second_view_missing"]
    assert [stage["method"] for stage in summary["stages"]][:2] == ["disparity", "ldp"]
    assert [stage["method"] for stage in summary["single_stages"]][:2] == ["depth-distilled", "bdir"]

    sections = Run(str(archive), summary["run_id"]).sections
    held = {
        (one.kind.name, one.stage_key.partition("-")[0]): Archive(str(archive)).list_items(
            one.kind, one.stage_key
        )
        for one in sections
    }
    pairs, single = {"sim/scene-0", "sim/scene-2"}, {"sim/scene-1"}
    assert held["blur", "disparity"] == held["restored", "ldp"] == pairs
    assert held["blur", "depth"] == single
    assert {path for path in Path(archive, "restored").iterdir() if path.is_dir()} == {
        archive / one.path for one in sections if one.kind.name == "restored"
    }
    counts = {(m["metric"], m["subject"]): m["n"] for m in summary["metrics"]}
    assert counts["psnr_db", "restored"] == 3
    assert counts["psnr_db", "bdir"] == 2
    assert counts["reblur_psnr_db", "restored"] == 2

    page = Path(summary["report"]).read_text()
    assert "he second view was worth" in page
    assert "1 of 3 items is a single view: restored by bdir" in page
    assert "Restored minus bdir" in page


def test_again_computes_nothing(mixed: Path, archive: Path, weights: list[str]) -> None:
    first = restore(mixed, archive, "--baseline", "bdir", *weights)
    again = restore(mixed, archive, "--baseline", "bdir", *weights)
    assert again["items"] == {"total": 3, "computed": 0, "skipped": 3, "quarantined": 0}
    assert again["metrics"] == first["metrics"]
    assert "he second view was worth" in Path(again["report"]).read_text()


def test_one_view_methods_serve_pairs_and_single_views_alike(
    mixed: Path, archive: Path, weights: list[str]
) -> None:
    own = [option.replace("single_", "") for option in weights]
    methods = ["--estimator", "depth-distilled", "--deblurrer", "bdir"]
    summary = restore(mixed, archive, *methods, *own)
    assert summary["items"]["quarantined"] == 0
    assert summary["stages"][:2] == summary["single_stages"][:2]
    pairs, singles = (summary[kind][2]["settings"] for kind in ("stages", "single_stages"))
    assert "measured_map" in pairs
    assert "measured_map" not in singles


def plain_stages() -> tuple[StageSpec, ...]:
    """The stages of pairs, put together from the methods alone."""
    blur = make_estimator("disparity").spec
    deblur = replace(make_deblurrer("ldp").spec, upstream=stage_key(blur))
    return blur, deblur, replace(score_spec(), upstream=stage_key(deblur))


def test_pairs_alone_keep_their_keys(dataset: Path, tmp_path: Path) -> None:
    plain = restore(dataset, tmp_path / "plain")
    assert plain["single_stages"] == []
    assert {spec["stage"] for spec in plain["stages"]} == {"blur", "deblur", "score"}
    asked = json.loads((tmp_path / "plain" / "runs" / plain["run_id"] / "run.json").read_text())
    assert "single_stages" not in asked
    held = {path.name for path in (tmp_path / "plain" / "scores").iterdir()}
    assert held == {stage_key(spec) for spec in plain_stages() if spec.stage == "score"}


def test_what_a_mixed_run_leaves_is_whole(mixed: Path, archive: Path, weights: list[str]) -> None:
    restore(mixed, archive, "--baseline", "bdir", *weights)
    found = run("verify", archive)
    assert found["whole"], found["corrupt"]
