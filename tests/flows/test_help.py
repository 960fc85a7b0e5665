"""What `ldp` tells of itself: version, help in groups, names to choose from, completion, misspelt words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.cli.options import NAMES
from ldp_core import __version__
from ldp_core.weights import SHIPPED

PROGRAM = "import sys; from flows.cli import app; sys.argv[0] = 'ldp'; app(prog_name='ldp')"

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Datasets": ("restore", "ingest", "plan", "catalogue", "init", "simulate", "demo", "report"),
    "Archives": ("status", "verify", "compare", "gc", "quarantine", "export", "figure", "drift"),
    "Measuring": ("evaluate",),
    "Models and training": ("models", "cameras", "calibrate", "train"),
}


def run(*arguments: str, columns: int = 200) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns)})
    return result.exit_code, result.stdout, result.stderr


def panels_of(text: str) -> dict[str, str]:
    """The boxes of a help by their titles."""
    panels: dict[str, str] = {}
    title = ""
    for line in text.splitlines():
        if line.startswith("╰"):
            title = ""
        if line.startswith("╭─"):
            title = line.strip("╭─╮ ")
        panels[title] = panels.get(title, "") + line + "\n"
    return panels


def complete(words: str) -> list[str]:
    """What a Bash with the completion offers for the last, unfinished word."""
    asked = {"_LDP_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | asked, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version") == (0, f"ldp {__version__}\n", "")


def test_commands_stand_in_groups() -> None:
    panels = panels_of(run("--help")[1])
    for title, commands in GROUPS.items():
        assert tuple(re.findall(r"^│ (\w+)  ", panels[title], re.MULTILINE)) == commands


def test_options_stand_in_groups_and_no_option_stands_alone() -> None:
    panels = panels_of(run("restore", "--help")[1])
    assert [title for title in panels if title] == ["Arguments", "Source", "Methods", "Execution", "Output"]
    for title, option in (
        ("Source", "--layout"),
        ("Methods", "--set"),
        ("Execution", "--cluster"),
        ("Output", "--help"),
    ):
        assert option in panels[title]


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (("restore",), "LAYOUT"),
        (("restore",), "ESTIMATOR"),
        (("restore",), "DEBLURRER"),
        (("evaluate", "optics"), "FAMILY"),
        (("models",), "MODEL"),
    ],
)
def test_help_has_the_names_there_are(command: tuple[str, ...], kind: str) -> None:
    names = list(NAMES[kind]())
    assert len(names) > 3
    assert ", ".join(names) in " ".join(run(*command, "--help", columns=400)[1].split())


def test_models_are_named_without_reading_any() -> None:
    assert set(NAMES["MODEL"]()) == SHIPPED.keys()


@pytest.mark.parametrize("columns", [60, 80])
def test_help_fits_the_terminal(columns: int) -> None:
    for command in (name for names in GROUPS.values() for name in names if name != "train"):
        text = run(command, "--help", columns=columns)[1]
        assert max(map(len, text.splitlines())) <= columns
        assert "…" not in text, command


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ldp re", ["restore", "report"]),
        ("ldp evaluate ma", ["maps"]),
        ("ldp restore --lay", ["--layout"]),
        ("ldp restore . --layout canon-dp", ["canon-dpdd", "canon-dpdd-combined"]),
        ("ldp restore . --estimator dis", ["disparity"]),
        ("ldp restore . --baseline b", ["bdir"]),
        ("ldp models ldp", ["ldp", "ldp-tiny"]),
        ("ldp evaluate detection . --split v", ["validation"]),
    ],
)
def test_names_are_completed(words: str, expected: list[str]) -> None:
    assert complete(words) == expected


def test_completion_can_be_had_for_a_shell() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--show-completion", "bash"],
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_LDP_COMPLETE=complete_bash" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("restor", "."), "restore"),
        (("evaluate", "optic"), "optics"),
        (("--versoin",), "--version"),
        (("restore", ".", "--layuot", "folders"), "--layout"),
        (("evaluate", "detection", ".", "--split", "valid"), "validation"),
        (("plan", ".", "--estimator", "dispartiy"), "disparity"),
        (("plan", ".", "--deblurrer", "weiner"), "wiener"),
        (("plan", ".", "--baseline", "bdri"), "bdir"),
        (("plan", ".", "--set", "estimater.window_px=9"), "estimator"),
        (("plan", ".", "--set", "estimator.windw_px=9"), "window_px"),
        (("plan", ".", "--set", 'estimator.kernel={"family": "half_disk"}'), "half_disc"),
        (("simulate", "unused", "--set", "simulate.heigth=9"), "height"),
        (("simulate", "unused", "--set", "simulation.height=9"), "simulate"),
        (("catalogue", ".", "--layout", "foldrs"), "folders"),
        (("evaluate", "optics", ".", "--family", "butterwort"), "butterworth"),
        (("models", "ldp-tinny"), "ldp-tiny"),
    ],
)
def test_what_is_misspelt_is_told_what_it_was_meant_to_be(arguments: tuple[str, ...], meant: str) -> None:
    code, _, err = run(*arguments)
    assert code in (1, 2)
    assert f"id you mean '{meant}'" in err
