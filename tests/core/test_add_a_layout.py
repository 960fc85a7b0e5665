"""The guide's example layout does what the guide says, registered as the guide says."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from ldp_core import storage
from ldp_core.catalogue import layouts, load_pair, read_catalogue
from ldp_core.images import encode_image

GUIDE = Path(__file__).resolve().parents[2] / "infra" / "docs" / "add-a-layout.md"
REGISTRY = Path(layouts.__file__).read_text()


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of layouts with the guide's module beside the others and its line in the registry."""
    code, line = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    module = types.ModuleType("ldp_core.catalogue.layouts.example")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "example.py", "exec"), module.__dict__)
    imported = "from ldp_core.catalogue.layouts.example import read_example\n\nLAYOUTS"
    extended = REGISTRY.replace("\nLAYOUTS", imported, 1).replace('= {\n    "', f'= {{\n{line}    "', 1)
    package = types.ModuleType("extended")
    exec(compile(extended, "__init__.py", "exec"), package.__dict__)
    assert package.LAYOUTS.keys() - layouts.LAYOUTS.keys() == {"example"}
    monkeypatch.setattr("ldp_core.catalogue.read.LAYOUTS", package.LAYOUTS)


@pytest.mark.usefixtures("registered")
def test_the_example_pairs_its_files(tmp_path: Path) -> None:
    names = ("IMG_0042_A.png", "IMG_0042_B.png", "sharp/IMG_0042.png", "IMG_0043_A.png", "notes.txt")
    for level, name in enumerate(names):
        storage.write_bytes(str(tmp_path / name), encode_image(np.full((4, 4, 1), level, np.uint8)))
    catalogue = read_catalogue(str(tmp_path), layout="example", dataset="set")
    assert [problem.kind for problem in catalogue.problems] == ["second_view_missing", "stray_file"]
    item, single = catalogue.items
    assert (item.id, single.id) == ("set/0042", "set/0043")
    assert (item.has_both_views, single.has_both_views) == (True, False)
    assert [int(view[0, 0, 0]) for view in load_pair(item).views.values()] == [0, 1, 2]
