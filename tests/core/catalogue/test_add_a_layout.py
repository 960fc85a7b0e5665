"""The guide's example layout does what the guide says: as a file of this package, and in one of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from ldp_core import storage
from ldp_core.catalogue import layouts, load_pair, read_catalogue
from ldp_core.images import encode_image

ROOT = Path(__file__).resolve().parents[3]
CODE, LINE = re.findall(r"```python\n(.*?)```", (ROOT / "infra/docs/add-a-layout.md").read_text(), re.DOTALL)
[ENTRY_POINT] = re.findall(r"```toml\n(.*?)```", (ROOT / "infra/docs/add-a-layout.md").read_text(), re.DOTALL)


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A pair with its truth, one view of another, and a file of no picture."""
    names = ("IMG_0042_A.png", "IMG_0042_B.png", "sharp/IMG_0042.png", "IMG_0043_A.png", "notes.txt")
    for level, name in enumerate(names):
        storage.write_bytes(str(tmp_path / "set" / name), encode_image(np.full((4, 4, 1), level, np.uint8)))
    return str(tmp_path / "set")


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of layouts with the guide's module beside the others and its line in the registry."""
    module = types.ModuleType("ldp_core.catalogue.layouts.example")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(CODE, "example.py", "exec"), module.__dict__)
    text = Path(layouts.__file__).read_text()
    extended = re.sub(r'("ldp\.layouts",\n    \{\n)', lambda found: found[0] + LINE, text)
    package = types.ModuleType("extended")
    exec(compile(extended, "__init__.py", "exec"), package.__dict__)
    assert {*package.LAYOUTS} - {*layouts.LAYOUTS} == {"example"}
    monkeypatch.setattr("ldp_core.catalogue.read.LAYOUTS", package.LAYOUTS)


@pytest.mark.usefixtures("registered")
def test_the_example_pairs_its_files(source: str) -> None:
    catalogue = read_catalogue(source, layout="example", dataset="set")
    assert [problem.kind for problem in catalogue.problems] == ["second_view_missing", "stray_file"]
    item, single = catalogue.items
    assert (item.id, single.id) == ("set/0042", "set/0043")
    assert (item.has_both_views, single.has_both_views) == (True, False)
    assert [int(view[0, 0, 0]) for view in load_pair(item).views.values()] == [0, 1, 2]


def test_a_layout_of_another_package_is_found_by_its_entry_point(source: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, CODE)
    found = run(site, f"read_catalogue({source!r}, layout='example').items[0].id")
    assert found == "set/0042"
    assert run(site, "('example' in LAYOUTS, list(LAYOUTS)[-1], len(LAYOUTS))") == [
        True,
        "example",
        len(layouts.LAYOUTS) + 1,
    ]


def test_a_layout_of_another_package_is_imported_only_when_it_is_used(source: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, "raise ImportError('a package that is broken')\n")
    assert run(site, "'example' in list(LAYOUTS)") is True
    assert run(site, f"len(read_catalogue({source!r}, layout='single').items)") == 4


def install(site: Path, code: str) -> None:
    """A package with the guide's entry point, as an installer leaves it."""
    section, line = ENTRY_POINT.strip().splitlines()
    group = re.fullmatch(r'\[project\.entry-points\."(.+)"\]', section)
    assert group
    name, target = re.fullmatch(r'(\S+) = "(\S+):\S+"', line).groups()  # type: ignore[union-attr]
    (site / f"{target.partition('.')[0]}").mkdir(parents=True)
    (site / f"{target.replace('.', '/')}.py").write_text(code)
    metadata = site / "my_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{group[1]}]\n{line.replace(chr(34), '')}\n")
    assert name == "example"


def run(site: Path, expression: str) -> object:
    """The value of an expression in a process that has the package."""
    program = (
        "import json; from ldp_core.catalogue import LAYOUTS, read_catalogue; "
        f"print(json.dumps({expression}))"
    )
    paths = os.pathsep.join([str(site), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
