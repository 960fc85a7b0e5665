"""Every promise names a test that exists and runs in CI."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "infra" / "GUARANTEES.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]


@cache
def find_tests(path: str) -> dict[str, str]:
    """The tests of a file with their decorators and those of their class, as text."""
    found = {}
    for node in ast.parse((ROOT / path).read_text()).body:
        within = node.body if isinstance(node, ast.ClassDef) else [node]
        for one in within:
            if isinstance(one, ast.FunctionDef):
                marks = [
                    *one.decorator_list,
                    *(node.decorator_list if isinstance(node, ast.ClassDef) else []),
                ]
                found[one.name] = " ".join(map(ast.unparse, marks))
    return found


def test_there_are_enough_promises_and_each_has_a_test_of_its_own() -> None:
    assert len(ROWS) >= 16
    named = [row[-1] for row in ROWS]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_promise_names_a_test_that_runs(row: list[str]) -> None:
    assert len(row) == 4
    assert all(row)
    match = re.fullmatch(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[-1])
    assert match
    decorators = find_tests(match[1])[match[2]]
    assert not re.search(r"mark\.(slow|real|skip\b|xfail)", decorators)
