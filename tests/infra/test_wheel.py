"""The wheel of this checkout, installed where nothing else of it is: it has its data, and runs the demo."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from ldp_core import __version__

ROOT = Path(__file__).parents[2]
PACKAGES = ("flows", "tasks", "ldp_core")
UNSET = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "COLUMNS")
"""Variables that would show a program the checkout, or change what it prints."""


def run(*command: object, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in UNSET}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that no earlier build in the checkout gets into it."""
    copy, wheels = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheels")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    options = ("--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", wheels, ".", cwd=copy)
    [built] = wheels.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, which takes what the wheel needs from the present one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    [own] = folder.glob("lib/python*/site-packages")
    # Paths named in a .pth file are searched last, and their own .pth files, such as an editable
    # installation of the checkout, are not read.
    (own / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    python = folder / "bin" / "python"
    options = ("--python", python, "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", *options, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return folder / "bin"


def test_the_name_is_no_other_projects_and_the_version_is_the_packages(wheel: Path) -> None:
    assert wheel.name == f"dual_pixel_ldp-{__version__}-py3-none-any.whl"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
    assert project["scripts"] == {"ldp": "flows.cli:app"}


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"ldp_core/py.typed", "ldp_core/weights/shipped/ldp.safetensors"} <= files
    assert any(file.startswith("ldp_core/report/assets/") for file in files)
    assert files - packed == set()


def test_it_runs_from_its_own_files(installed: Path, tmp_path: Path) -> None:
    where = "import flows, tasks, ldp_core; print(*(m.__file__ for m in (flows, tasks, ldp_core)), sep='\\n')"
    for file in run(installed / "python", "-c", where, cwd=tmp_path).splitlines():
        assert Path(file).is_relative_to(installed.parent), file
    assert run(installed / "ldp", "--version", cwd=tmp_path) == f"ldp {__version__}\n"
    listed = json.loads(run(installed / "ldp", "models", "--json", cwd=tmp_path))
    assert {model["state"] for model in listed} == {"verified"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_runs_and_git_sees_nothing_of_it(installed: Path, tmp_path: Path) -> None:
    run("git", "init", "--quiet", cwd=tmp_path)
    demo = ("demo", "--count", 1, "--workers", 1, "--json")
    summary = json.loads(run(installed / "ldp", *demo, cwd=tmp_path))
    assert summary["items"] == {"total": 1, "computed": 1, "skipped": 0, "quarantined": 0}
    assert summary["environment"]["ldp"] == __version__
    assert (
        tmp_path / "ldp-demo" / "archive" / "runs" / summary["run_id"] / "report" / "index.html"
    ).is_file()
    assert run("git", "status", "--porcelain", cwd=tmp_path) == ""
