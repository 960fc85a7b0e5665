"""A part of a dataset through the commands: `--since` and `--where` of plan, ingest, restore and export."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from run_samples import FIRST, make_dataset, run_planned
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.catalogue.since import parse_since
from ldp_core.errors import SettingsError

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pairs in a manifest and a folder: pictures of the first two are old, but for one."""
    folder = tmp_path_factory.mktemp("choices")
    source = make_dataset(folder / "dataset", 4)
    for name in (0, 1):
        for view in ("left", "right", "target", "coc"):
            os.utime(source / view / f"{name}.png", (LONG_AGO, LONG_AGO))
    os.utime(source / "right" / "1.png")
    rows = [f"{n},dataset/left/{n}.png,dataset/right/{n}.png,{100 * n}" for n in range(4)]
    (folder / "table.csv").write_text("\n".join(["id,left,right,ISO", *rows]))
    run_planned(folder / "archive", source, FIRST)
    return folder


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.launch.server_is_configured", lambda: False)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "80"})


def run_finished(verb: str, folder: Path, *options: str) -> tuple[int, list[str]]:
    """Exit code, and the items of a run over the archived folder."""
    methods = ("--deblurrer", "wiener") if verb == "restore" else ()
    place = (folder / "dataset", "--dataset", "set", "--archive", folder / "archive")
    result = run(verb, *place, *methods, *options, "--json")
    if result.exit_code:
        return result.exit_code, [result.stderr]
    record = folder / "archive" / "runs" / json.loads(result.stdout)["run_id"]
    rows = map(json.loads, (record / "items.jsonl").read_text().splitlines())
    return 0, sorted(row["item"] for row in rows)


@pytest.mark.parametrize("verb", ["ingest", "restore"])
def test_a_run_over_a_part_of_the_items(verb: str, folder: Path) -> None:
    assert run_finished(verb, folder, "--since", "1d") == (0, ["set/1", "set/2", "set/3"])
    assert run_finished(verb, folder, "--where", "id in ['set/0', 'set/2']") == (0, ["set/0", "set/2"])
    both = run_finished(verb, folder, "--since", "2026-01-01", "--where", "name != '2'", "--limit", "1")
    assert both == (0, ["set/1"])


@pytest.mark.parametrize("verb", ["plan", "ingest", "restore"])
def test_what_chooses_nothing_is_told(verb: str, folder: Path) -> None:
    place = (folder / "dataset", "--dataset", "set", "--archive", folder / "archive")
    for options, said in (
        (("--where", "width > 9999"), "this condition holds for no item"),
        (("--where", "widht > 9"), "did you mean 'width'?"),
        (("--since", "yesterday"), "2026-11-28T06:00+01:00"),
        (("--since", "2999-01-01"), "still to come"),
    ):
        result = run(verb, *place, *options)
        assert result.exit_code == 1
        assert said in result.stderr.replace("\n", " ")


def test_where_no_listing_tells_the_time_each_picture_is_asked_for(folder: Path) -> None:
    place = (folder / "table.csv", "--layout", "manifest", "--archive", folder / "other")
    found = json.loads(run("plan", *place, "--since", "1d", "--json").stdout)
    assert found["pairs"] == 3
    found = json.loads(run("plan", *place, "--since", "1d", "--where", "ISO > 100", "--json").stdout)
    assert found["pairs"] == 2


def test_a_source_without_changes_is_told(folder: Path, tmp_path: Path) -> None:
    source = make_dataset(tmp_path / "old", 1)
    for path in source.rglob("*.png"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    result = run("plan", source, "--archive", tmp_path / "archive", "--since", "7d")
    assert (result.exit_code, "no item has changed since" in result.stderr) == (1, True)


def test_an_export_of_a_part(folder: Path, tmp_path: Path) -> None:
    archived = sorted((folder / "archive" / "restored").rglob("zarr.json"))
    for path in archived:
        if path.parent.name == "3":
            os.utime(path, (LONG_AGO, LONG_AGO))

    def export(name: str, *options: str) -> tuple[int, list[str]]:
        result = run("export", FIRST, "--archive", folder / "archive", "--to", tmp_path / name, *options)
        files = sorted(path.stem for path in (tmp_path / name).rglob("*.png"))
        return result.exit_code, files

    assert export("where", "--where", "name in ['0', '3']") == (0, ["0", "3"])
    assert export("since", "--since", "1h") == (0, ["0", "1", "2"])
    assert export("both", "--since", "1h", "--where", "name != '0'", "--limit", "1") == (0, ["1"])
    sampled = export("sample", "--sample", "2", "--seed", "3")
    assert (sampled[0], len(sampled[1])) == (0, 2)
    assert export("again", "--sample", "2", "--seed", "3") == sampled
    assert export("none", "--where", "name == '9'")[0] == 1


def test_moments_are_read_as_written() -> None:
    assert parse_since("2026-01-02") == datetime(2026, 1, 2, tzinfo=UTC)
    assert parse_since("2026-01-02T06:00+01:00") == datetime(2026, 1, 2, 5, tzinfo=UTC)
    assert abs(datetime.now(UTC) - timedelta(hours=36) - parse_since("36h")) < timedelta(minutes=1)
    for wrong in ("", "0d", "7", "2026-13-01", "12 h"):
        with pytest.raises(SettingsError):
            parse_since(wrong)
