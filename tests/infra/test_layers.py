"""Layers: imports run one way, and a package is imported only where it may be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for layer in ("flows", "tasks", "ldp_core") for path in (ROOT / layer).rglob("*.py")]

ONLY_USERS = {
    "zarr": {"ldp_core/archive/encoding.py"},
    "fsspec": {"ldp_core/storage.py", "ldp_core/s3.py", "ldp_core/store_faults.py"},
    "imagecodecs": {"ldp_core/images/"},
    "safetensors": {"ldp_core/weights/"},
    "distributed": {"tasks/"},
    "prefect": {"tasks/", "flows/"},
}
"""Packages that only these files or folders may import."""


def imported_packages(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {module.split(".")[0] for module in modules}


def test_imports_run_one_way() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", ONLY_USERS)
def test_a_package_is_imported_only_where_it_may_be(package: str) -> None:
    users = {path.relative_to(ROOT).as_posix() for path in SOURCES if package in imported_packages(path)}
    assert users, f"nothing imports {package}"
    assert all(any(user.startswith(place) for place in ONLY_USERS[package]) for user in users), users


def test_infra_is_imported_by_nothing() -> None:
    assert not [path for path in SOURCES if "infra" in imported_packages(path)]


def test_no_code_ships_with_a_path_of_one_machine() -> None:
    pattern = re.compile(r"[\"'](/home|/root|/work|/tmp)/")
    assert not [path for path in SOURCES if pattern.search(path.read_text())]


@pytest.mark.parametrize("name", ["__main__", "bdir", "dbd", "ldp_commands", "tiny.publish"])
def test_training_starts_where_little_is_installed(name: str) -> None:
    """On a bare GPU machine there are torch, numpy, scipy, pillow, imageio, safetensors and few others."""
    absent = ("typer", "zarr", "dask", "prefect", "open_clip", "imagecodecs", "tifffile", "pandas", "pyarrow")
    program = f"import sys, ldp_core.training.{name}; print([m for m in {absent} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
