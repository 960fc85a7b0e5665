"""`ldp train`: a command for each network, with the options that its module declares."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.training.frames import FrameCache
from ldp_core.training.options import list_options
from ldp_core.training.registry import NETWORKS, STEPS, load_command

ROOT = Path(__file__).resolve().parents[2]
NAMES = (*NETWORKS, *STEPS)


def each_command(found: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
    if isinstance(found, Mapping):
        for name, command in found.items():
            yield from each_command(command, [*path, name])
    else:
        yield path, found


COMMANDS = [pair for name in NAMES for pair in each_command(load_command(name), [name])]


def test_help_lists_every_network_and_imports_none() -> None:
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom flows.cli import app\n"
        "print(CliRunner().invoke(app, ['train', '--help']).stdout)\nprint('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("False")
    assert all(f" {name} " in done.stdout for name in NAMES)


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_a_command_takes_every_option_in_its_group(path: list[str], command: Any) -> None:
    parser: Any = typer.main.get_command(app)
    words = ["train", *path]
    while words:
        _, parser, words = parser.resolve_command(typer.Context(parser), words)
    parameters = {parameter.name: parameter for parameter in parser.params}
    for option in list_options(command.options):
        parameter = parameters[option.field]
        assert option.help, option.field
        assert parameter.required == option.required
        if not option.positional:
            assert parameter.opts == [option.flag]
            assert parameter.rich_help_panel == option.heading
    shown = CliRunner().invoke(app, ["train", *path, "--help"], env={"COLUMNS": "200"}).stdout
    titles = {line.strip("╭─╮ \n") for line in shown.splitlines() if line.startswith("╭")}
    assert {option.heading for option in list_options(command.options) if not option.positional} <= titles


def test_a_misspelt_network_is_answered_with_the_one_that_is_near() -> None:
    result = CliRunner().invoke(app, ["train", "bdri"])
    assert result.exit_code == 2
    assert "'bdir'" in result.stderr


def test_a_setting_out_of_range_is_an_error_with_its_kind(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "cache", str(tmp_path), "--frames", "0"])
    assert result.exit_code == 1
    assert "[settings]" in result.stderr
    assert "frames=0" in result.stderr


def test_a_missing_cache_is_answered_with_the_command_that_makes_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "bdir", str(tmp_path), "--cache", str(tmp_path)])
    assert result.exit_code == 1
    assert "ldp train cache FOLDER" in result.stderr


def test_a_command_runs(tmp_path: Path) -> None:
    options = ["--frames", "1", "--height", "64", "--width", "96", "--threads", "1"]
    result = CliRunner().invoke(app, ["train", "cache", str(tmp_path / "frames"), *options])
    assert result.exit_code == 0, result.output
    assert len(FrameCache(tmp_path / "frames")) == 1
