"""Runs with protocols by name and with masks: plan, scores, keys, the record, comparing."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from run_samples import FIRST, SECOND, call, complete_run, items_found, make_dataset, start_planned
from typer.testing import CliRunner

from flows.cli import app
from flows.source_options import find_run_source
from ldp_core.archive import Archive
from ldp_core.catalogue import read_catalogue
from ldp_core.errors import SettingsError
from ldp_core.images import encode_image
from ldp_core.metrics import psnr_db
from ldp_core.protocols import ScoringOptions
from ldp_core.report.comparison import choose_headline
from ldp_core.single_view import input_image
from ldp_core.types import Region, RunSummary
from tasks.items import Failed, ItemResult, ingest_item
from tasks.pipeline import make_config, pipelines_for
from tasks.plan import make_plan, require_scorable
from tasks.reports import worst_first
from tasks.run import Run
from tasks.status import compare_runs
from tasks.work import choose_ingest, choose_restore

THIRD = "20260103t000000z-cccccc"
USED = ("ifan", "basicsr-y", "no-reference")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three simulated pairs, and manifests of them with and without masks."""
    folder = make_dataset(tmp_path_factory.mktemp("protocols") / "pairs")
    mask = np.zeros((64, 72, 1), np.uint8)
    mask[16:48, 18:54] = 255
    (folder / "mask.png").write_bytes(encode_image(mask, format="png"))
    for name, cell in (("masked", "mask.png"), ("plain", "")):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "left", "right", "target", "mask"])
            rows = ([f"{v}/{n}.png" for v in ("left", "right", "target")] for n in range(3))
            writer.writerows([f"{n}", *row, cell] for n, row in enumerate(rows))
    return folder


def make_run(archive: Path, manifest: Path, run_id: str, *protocols: str) -> RunSummary:
    config = make_config(
        str(archive),
        estimator=("disparity", {}),
        deblurrer=("wiener", {}),
        scoring=ScoringOptions.of(protocols),
    )
    catalogue = read_catalogue(str(manifest), layout="manifest", dataset="set")
    assert catalogue.problems == ()
    run = Run.start(config, catalogue, pipelines_for(config, catalogue.items), run_id=run_id)
    assert Run(str(archive), run_id).config == config
    return complete_run(run)


@pytest.fixture(scope="module")
def archive(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A usual run, and the same items scored by protocols."""
    folder = tmp_path_factory.mktemp("scored") / "archive"
    make_run(folder, source / "plain.csv", FIRST)
    make_run(folder, source / "plain.csv", SECOND, *USED)
    return folder


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_protocols_are_scored_without_restoring_again(archive: Path) -> None:
    keys = [Run(str(archive), one).stages["pair"] for one in (FIRST, SECOND)]
    usual, named = ({stage.label: stage.key for stage in stages} for stages in keys)
    assert {label for label in usual if usual[label] != named[label]} == {"score"}
    assert len([path for path in (archive / "restored").iterdir() if path.is_dir()]) == 1


def test_the_summary_has_a_row_for_each_protocol(archive: Path) -> None:
    first, second = (Run(str(archive), one).summary.metrics for one in (FIRST, SECOND))
    usual = {(mean.metric, mean.subject, mean.protocol): mean.mean for mean in first}
    found = {(mean.metric, mean.subject, mean.protocol): mean.mean for mean in second}
    assert usual.items() <= found.items()
    assert {protocol.rpartition("| ")[2] for _, _, protocol in found.keys() - usual.keys()} == set(USED)


def test_a_run_is_taken_up_again_with_its_protocols(archive: Path) -> None:
    assert find_run_source(str(archive), SECOND)["protocols"] == USED
    assert "scoring" not in json.loads((archive / "runs" / FIRST / "run.json").read_text())["job"]


def test_runs_with_and_without_protocols_compare_in_what_they_share(archive: Path) -> None:
    code, out, _ = run("compare", archive, FIRST, SECOND, "--json")
    assert code == 0
    values = json.loads(out)
    assert values["refused"] == []
    assert {row["mean"] for row in values["differences"]} == {0.0}


def test_reports_lead_with_the_usual_scores(archive: Path) -> None:
    """`basicsr-y` would stand first by its name: a capital Y comes before rgb."""
    headline = choose_headline(compare_runs(str(archive), SECOND, SECOND).paired)
    assert headline is not None
    assert (headline[0], headline[2].variant) == ("psnr_db", "")
    named, usual = (Run(str(archive), one).items for one in (SECOND, FIRST))
    assert worst_first(named) == worst_first(usual)


def test_a_mask_makes_a_new_version_whose_scores_are_not_compared(source: Path, archive: Path) -> None:
    config = make_config(str(archive), estimator=("disparity", {}), deblurrer=("wiener", {}))
    plan = make_plan(config, str(source / "masked.csv"), layout="manifest", dataset="set")
    run_of_masks, stats = start_planned(plan, THIRD)
    ingested = call(choose_ingest(plan, item) for item in plan.catalogue.items)
    stats.add(ingested)
    stats.add(call(choose_restore(plan, item) for item in items_found(plan, ingested)))
    summary = stats.summarise(THIRD, plan.pipelines, seconds=1.0)
    run_of_masks.finish(summary, stats.items)
    assert {item.key for item in stats.items} == {"set/0@2", "set/1@2", "set/2@2"}
    assert {mean.protocol.count("mask") for mean in summary.metrics} == {1}
    code, _, err = run("compare", archive, FIRST, THIRD)
    assert (code, "3 items whose source changed" in " ".join(err.split())) == (1, True)
    pair = Archive(str(archive)).read_pair("set/0@2")
    assert pair.target is not None
    [score] = [
        s
        for item in stats.items
        for s in item.scores
        if (s.item, s.metric, s.subject) == ("set/0", "psnr_db", "input")
    ]
    assert score.value == pytest.approx(
        psnr_db(input_image(pair), pair.target, region=Region(16, 18, 48, 54))
    )


def test_a_bad_mask_quarantines_its_item_alone(source: Path, tmp_path: Path) -> None:
    (source / "empty.png").write_bytes(encode_image(np.zeros((64, 72, 1), np.uint8), format="png"))
    manifest = source / "one-bad.csv"
    manifest.write_text((source / "masked.csv").read_text().replace("mask.png", "empty.png", 1))
    bad, good, _ = read_catalogue(str(manifest), layout="manifest", dataset="set").items
    config = make_config(str(tmp_path), estimator=("disparity", {}), deblurrer=("wiener", {}))
    refused = ingest_item(config, bad)
    assert isinstance(refused, Failed)
    assert (refused.record.kind, "empty.png" in refused.record.message) == ("mask", True)
    assert isinstance(ingest_item(config, good), ItemResult)


def test_plan_refuses_what_nothing_can_be_scored_by(source: Path, tmp_path: Path) -> None:
    items = read_catalogue(str(source / "plain.csv"), layout="manifest", dataset="set").items
    require_scorable(items, ScoringOptions.of(USED))
    shallow = [replace(i, left=replace(i.left, bit_depth=8), right=None, target=i.target) for i in items]
    with pytest.raises(SettingsError, match="no item can be scored") as caught:
        require_scorable(shallow, ScoringOptions.of(["dpdd"]))
    assert "16 bit" in caught.value.expected
    without = [replace(i, target=None) for i in items]
    require_scorable(without, ScoringOptions.of(["no-reference"]))
    with pytest.raises(SettingsError, match="no item can be scored"):
        require_scorable(without, ScoringOptions.of(["ifan"]))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--protocol", "dpd"), "did you mean 'dpdd'"),
        (("--protocol", "pysodmetrics"), "ldp evaluate detection"),
        (("--protocol", "lpips"), "--lpips"),
        (("--protocol", "dpdd", "--lpips", "none.safetensors"), "no weights"),
    ],
)
def test_a_wrong_protocol_is_told_before_anything_starts(
    source: Path, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    for verb in ("plan", "restore"):
        code, _, err = run(verb, source, "--archive", tmp_path / "archive", *arguments)
        assert (code, told in " ".join(err.split())) == (1, True), err
    assert not (tmp_path / "archive").exists()


def test_help_names_the_protocols() -> None:
    _, out, _ = run("restore", "--help")
    words: Any = " ".join(out.replace("│", " ").split())
    for name in ("dpdd-8bit", "ifan", "restormer"):
        assert name in words
    assert "pysodmetrics" not in words
