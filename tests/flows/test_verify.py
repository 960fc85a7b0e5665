"""`ldp verify` as a shell sees it, on real workers; and the page that documents the verbs."""

from __future__ import annotations

import json
import shutil
from enum import StrEnum
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.archive.audit import Damage
from ldp_core.weights.cards import WeightsState
from tasks.cluster import in_process
from tasks.heartbeat import RunState
from tasks.repair import RepairOutcome
from tasks.verify import verify_archive

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "archive"
PAGE = (ROOT / "infra" / "docs" / "operating.md").read_text()


def test_the_golden_archive_is_whole() -> None:
    found = verify_archive(str(GOLDEN), in_process)
    assert not found.corrupt
    assert not found.unknown


def test_workers_name_what_is_corrupt_and_the_exit_code_says_so(tmp_path: Path) -> None:
    archive = Path(shutil.copytree(GOLDEN, tmp_path / "archive"))
    [chunk] = archive.glob("restored/**/c.*")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    result = CliRunner().invoke(app, ["verify", str(archive), "--repair", "--workers", "1", "--json"])
    [row] = json.loads(result.stdout)["corrupt"]
    assert result.exit_code == 3
    assert row["path"] == chunk.parent.relative_to(archive).as_posix()
    assert (row["damage"], row["outcome"]) == ("undecodable", "not_repaired")
    assert row["reason"] == "no run's record names it"
    assert row["expected"]


def test_no_archive_is_an_error_not_a_clean_bill(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stderr.startswith("ldp: [archive]")


@pytest.mark.parametrize("words", [Damage, RepairOutcome, RunState, WeightsState])
def test_every_word_of_the_output_is_explained(words: type[StrEnum]) -> None:
    silent = {WeightsState.VERIFIED}
    assert [word for word in words if word not in silent and f"`{word}`" not in PAGE] == []


@pytest.mark.parametrize("verb", ["status", "verify", "compare", "gc", "models"])
def test_the_page_names_only_options_there_are(verb: str) -> None:
    synopsis = next(line for line in PAGE.splitlines() if line.startswith(f"    ldp {verb} "))
    text = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "200"}).stdout
    options = [word.strip("[]") for word in synopsis.split() if word.startswith("[--")]
    assert all(option in text for option in [*options, "--json"])
