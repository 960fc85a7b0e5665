"""Every promise names a test that exists and runs in CI, or with `pytest -m slow` where the page says so."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE, SLOW_PAGE = (ROOT / "infra" / "GUARANTEES.md").read_text().split("## Over hosts and nights\n")


def rows_of(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ") and not line.startswith("| promise")
    ]


ROWS, SLOW_ROWS = rows_of(PAGE), rows_of(SLOW_PAGE)


@cache
def find_tests(path: str) -> dict[str, str]:
    """The tests of a file with their decorators and those of their class and file, as text."""
    found = {}
    tree = ast.parse((ROOT / path).read_text()).body
    of_file = [
        node.value for node in tree if isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node)
    ]
    for node in tree:
        within = node.body if isinstance(node, ast.ClassDef) else [node]
        for one in within:
            if isinstance(one, ast.FunctionDef):
                marks = [
                    *one.decorator_list,
                    *of_file,
                    *(node.decorator_list if isinstance(node, ast.ClassDef) else []),
                ]
                found[one.name] = " ".join(map(ast.unparse, marks))
    return found


def test_there_are_enough_promises_and_each_has_a_test_of_its_own() -> None:
    assert len(ROWS) >= 16
    named = [row[-1] for row in ROWS + SLOW_ROWS]
    assert len(set(named)) == len(named)


def marks_of(row: list[str]) -> str:
    assert len(row) == 4
    assert all(row)
    match = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[-1])
    assert match
    return find_tests(match[1])[match[2]]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_promise_names_a_test_that_runs(row: list[str]) -> None:
    assert not re.search(r"mark\.(slow|real|skip\b|xfail)", marks_of(row))


@pytest.mark.parametrize("row", SLOW_ROWS, ids=[row[0] for row in SLOW_ROWS])
def test_a_promise_of_long_runs_names_a_slow_test(row: list[str]) -> None:
    assert "mark.slow" in marks_of(row)
    assert not re.search(r"mark\.(real|skip\b|xfail)", marks_of(row))
