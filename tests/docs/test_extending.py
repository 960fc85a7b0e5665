"""The guide to new methods, followed word by word in a copy of the package: then they run by name."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import ROOT, read_blocks

from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair

GUIDE = "infra/docs/extending.md"
OPENINGS = {
    "ldp_core/blur/__init__.py": r"\"ldp.estimators\",\n    \{\n",
    "ldp_core/deblur/__init__.py": r"\"ldp.deblurrers\",\n    \{\n",
    "ldp_core/training/registry.py": r"NETWORKS: .+ = \{\n",
}
"""Where the registries begin; an entry goes below."""

PIPELINE = """
import json, sys
from pathlib import Path
from ldp_core.archive import Archive
from ldp_core.catalogue import read_catalogue
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from tasks.items import ItemResult, ingest_item, restore_item
from tasks.pipeline import make_config, pipeline_for

folder = Path(sys.argv[1])
pair = simulate_pair(3, SimulationSettings(height=64, width=80))
for view, pixels in pair.views.items():
    (folder / "set" / view).mkdir(parents=True)
    (folder / "set" / view / "a.png").write_bytes(encode_image(pixels, "png"))
[item] = read_catalogue(str(folder / "set"), layout="folders").items
config = make_config(
    str(folder / "archive"), estimator=("difference", {}), deblurrer=("sharpen", {"amount": 0.5})
)
assert isinstance(ingest_item(config, item), ItemResult)
result = restore_item(config, item)
assert isinstance(result, ItemResult), result
archive, keys = Archive(config.archive), pipeline_for(config, item).keys
print(json.dumps({
    "keys": [keys["blur"], keys["deblur"]],
    "kind": archive.read_blur_map(keys["blur"], item.id).kind,
    "restored": archive.read_restored(keys["deblur"], item.id).shape,
    "scores": {f"{s.metric} {s.subject}": s.value for s in archive.read_scores(keys["score"], item.id)},
}))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the files and lines of the guide."""
    root = tmp_path_factory.mktemp("package")
    for layer in ("flows", "tasks", "ldp_core"):
        shutil.copytree(ROOT / layer, root / layer, ignore=shutil.ignore_patterns("__pycache__"))
    for block in read_blocks(GUIDE, "python"):
        if file := block.options.get("file"):
            (root / file).parent.mkdir(exist_ok=True)
            (root / file).write_text(block.text)
        else:
            add_line(root, block.options["line"], block.text)
    return root


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the guide's package `my_methods`, as an installer leaves it."""
    site = tmp_path_factory.mktemp("site")
    package = site / "my_methods"
    package.mkdir()
    for block in read_blocks(GUIDE, "python"):
        file = Path(block.options.get("file", ""))
        if str(file.parent) in ("my_methods", "ldp_core/blur", "ldp_core/deblur"):
            (package / file.name).write_text(block.text)
    install(site, package.name, "".join(block.text for block in read_blocks(GUIDE, "toml")))
    return site


def install(root: Path, name: str, pyproject: str) -> None:
    """What an installer leaves beside a package with these entry points."""
    information = root / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = tomllib.loads(pyproject)["project"]["entry-points"]
    lines = [
        f"[{group}]\n{key} = {value}" for group, points in groups.items() for key, value in points.items()
    ]
    (information / "entry_points.txt").write_text("\n".join(lines))


def run_ldp(installed: Path, *arguments: object) -> Any:
    """What `ldp ... --json` prints, of this package with that folder beside it."""
    done = subprocess.run(
        [sys.executable, "-c", "from flows.cli import app; app()", *map(str, arguments), "--json"],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{installed}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def add_line(root: Path, module: str, line: str) -> None:
    text = (root / module).read_text()
    opening = r"from __future__ import annotations\n" if line.startswith("from ") else OPENINGS[module]
    text, count = re.subn(opening, lambda found: found[0] + line, text)
    assert count == 1, f"{module} has changed: the guide or this test must follow"
    (root / module).write_text(text)


def run_python(package: Path, *arguments: object, beside: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=package,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, filter(None, (package, beside))))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_methods_of_the_guide_run_through_the_pipeline_by_name(
    package: Path, installed: Path, tmp_path: Path
) -> None:
    found: dict[str, Any] = json.loads(run_python(package, "-c", PIPELINE, tmp_path, beside=installed))
    assert [key.rpartition("-")[0] for key in found["keys"]] == ["difference", "sharpen"]
    assert found["kind"] == "similarity"
    assert found["restored"] == [64, 80, 3]
    for subject in ("input", "restored"):
        assert 0 < found["scores"][f"gradient_mae {subject}"] < 1
        assert found["scores"][f"psnr_db {subject}"] > 10


def test_an_installed_estimator_is_a_row_of_the_maps(installed: Path) -> None:
    asked = ("--estimator", "difference", "--estimator", "zncc")
    [rows] = run_ldp(installed, "evaluate", "maps", "--simulated", 1, *asked).values()
    assert list(rows) == ["1 - ZNCC", "difference"]
    assert rows["difference"]["auc"] > 0.5


def test_without_names_every_installed_estimator_is_a_row(installed: Path) -> None:
    program = "from ldp_core.evaluation.maps import choose_rows; print(*choose_rows(), sep='\\n')"
    path = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{installed}"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "difference"
    assert "disparity" in done.stdout.splitlines()


def test_an_installed_deblurrer_stands_beside_the_others(installed: Path, tmp_path: Path) -> None:
    families = run_ldp(installed, "evaluate", "families", "--scenes", 1, "--deblurrer", "sharpen")
    assert {score["subject"] for score in families} == {"input", "sharpen"}
    pair = simulate_pair(3, SimulationSettings(height=64, width=80))
    for view, pixels in pair.views.items():
        (tmp_path / view).mkdir()
        (tmp_path / view / "a.png").write_bytes(encode_image(pixels, "png"))
    means = run_ldp(installed, "evaluate", "restoration", tmp_path)
    assert {mean["subject"] for mean in means} >= {"input", "sharpen", "wiener", "ldp", "bdir"}


def test_the_network_of_the_guide_trains_goes_on_and_leaves_weights_with_a_card(
    package: Path, tmp_path: Path
) -> None:
    def train(steps: int) -> dict[str, Any]:
        arguments = ("train", "gain", tmp_path, "--steps", steps, "--threads", 1, "--learning-rate", 0.02)
        run_python(package, "-c", "from flows.cli import app; app()", *arguments)
        card: dict[str, Any] = json.loads((tmp_path / "gain.json").read_text())
        return card

    first, second = train(20), train(300)
    assert (first["steps"], second["steps"], second["parameters"]) == (20, 300, 12)
    assert second["scores"]["error"] < 0.5 * first["scores"]["error"]
    weights = (tmp_path / "gain.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == second["sha256"]
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries if "loss" in entry] == [50, 100, 150, 200, 250, 300]


def test_files_of_the_guide_pass_the_linters(package: Path) -> None:
    files = [block.options["file"] for block in read_blocks(GUIDE, "python") if "file" in block.options]
    assert len(files) == 5
    config = ("--config", ROOT / "pyproject.toml")
    run_python(package, "-m", "ruff", "check", *config, *files)
    run_python(package, "-m", "ruff", "format", "--check", *config, *files)
