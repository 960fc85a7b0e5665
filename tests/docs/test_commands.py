"""Every command that a page shows is one that there is: parsed as written, and run where that is quick."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer
from doc_blocks import ROOT, read_blocks
from typer.testing import CliRunner

from flows.cli import app
from ldp_core.training.registry import NETWORKS, STEPS

PAGES = ["README.md", *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "infra").rglob("*.md")))]
CARDS = sorted((ROOT / "ldp_core/weights/shipped").glob("*.json"))
SHELLS = ("sh", "bash", "console")


def read_commands() -> list[tuple[str, list[str]]]:
    """Where each `ldp` command stands, and its arguments."""
    found = []
    for page in PAGES:
        for block in read_blocks(page):
            if block.language in SHELLS:
                lines = block.text.replace("\\\n", " ").splitlines()
                prompted = block.language == "console"
                typed = [line.removeprefix("$ ") for line in lines if not prompted or line.startswith("$ ")]
                words = [shlex.split(part, comments=True) for line in typed for part in line.split("&&")]
                found += [(block.where, word[1:]) for word in words if word[:1] == ["ldp"]]
    return found


LDP = read_commands()


def test_there_are_commands_to_check() -> None:
    assert {arguments[0] for _, arguments in LDP} >= {"demo", "plan", "restore", "report", "evaluate"}
    assert {where.partition(":")[0] for where, _ in LDP} >= {"README.md", "infra/docs/deploying.md"}


@pytest.mark.parametrize(("where", "arguments"), LDP, ids=[" ".join(words) for _, words in LDP])
def test_a_command_is_understood(where: str, arguments: list[str]) -> None:
    understand(arguments)


def understand(arguments: list[str]) -> None:
    """Parse the arguments of `ldp` to the last one, and run nothing."""
    command, name = typer.main.get_command(app), "ldp"
    while hasattr(command, "resolve_command"):
        context = command.context_class(command)
        name, command, arguments = command.resolve_command(context, arguments)
    command.make_context(name, list(arguments))


@pytest.mark.parametrize(
    "card", sorted((ROOT / "ldp_core/weights/shipped").glob("*.json")), ids=lambda p: p.stem
)
def test_the_training_commands_of_a_card_are_understood(card: Path) -> None:
    commands = [shlex.split(command)[1:] for command in json.loads(card.read_text())["commands"]]
    trained = [words for words in commands if words[0] == "train"]
    assert trained
    for words in trained:
        understand(words)


def test_training_commands_within_sentences_are_understood() -> None:
    text = "".join((ROOT / page).read_text() for page in PAGES).replace("\n", " ")
    named = [shlex.split(words.removesuffix("...")) for words in re.findall(r"`ldp (train [^`]+)`", text)]
    complete = [words for words in named if len(words) > 2 and words[1] in NETWORKS | STEPS]
    assert complete
    for words in complete:
        understand(words)


def test_scripts_that_are_called_are_there_and_know_their_options() -> None:
    text = "".join((ROOT / page).read_text() for page in PAGES)
    called = re.findall(r"python (infra/[\w/]+\.py)([^`\n]*)", text)
    assert called
    for script, options in called:
        known = (ROOT / script).read_text() + (ROOT / "infra/benchmarks/harness.py").read_text()
        unknown = [word for word in options.split() if word.startswith("--") and word not in known]
        assert unknown == [], script


def test_a_plan_of_what_is_done_is_shown_as_the_readme_calls_it(place: Path) -> None:
    [plan] = [words for where, words in LDP if words[0] == "plan" and where.startswith("README")]
    known = {"SOURCE": str(place / "dataset"), "ARCHIVE": str(place / "archive")}
    result = CliRunner().invoke(app, [*(known.get(word, word) for word in plan), "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["to_do"] == 0


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        links = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", (ROOT / page).read_text())
        missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
        assert missing == [], page


def test_tests_that_pages_name_are_there() -> None:
    named = {
        found
        for page in PAGES
        for found in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", (ROOT / page).read_text())
    }
    assert len(named) > 8
    for file, name in sorted(named):
        assert f"def {name}(" in (ROOT / file).read_text() or not name, f"{file}::{name}"
