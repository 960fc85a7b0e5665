"""The lock and the bill of materials agree with what was tested together."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "infra" / "lock" / "requirements.txt").read_text()
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE))


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_is_pinned_with_its_digests() -> None:
    parts = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)[1:]
    assert len(parts) == len(PINNED) > 100
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", part) for part in parts)


def test_the_versions_are_those_that_were_tested_together() -> None:
    tested = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    tested = {plain(name): version for name, version in tested.items()}
    assert [n for n, v in PINNED.items() if tested.get(plain(n), v).split("+")[0] != v.split("+")[0]] == []


def test_every_dependency_is_in_it() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {plain(re.split(r"[<>=\[~]", one)[0]) for one in wanted}
    assert names <= {plain(name) for name in PINNED}


def test_the_bill_of_materials_lists_the_same() -> None:
    components = json.loads((ROOT / "infra" / "lock" / "sbom.json").read_text())["components"]
    assert {(c["name"], c["version"]) for c in components} == set(PINNED.items())
