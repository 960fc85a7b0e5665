"""The example notebook is run, cell by cell, on an archive."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import ROOT

NOTEBOOK = ROOT / "infra" / "examples" / "archive.ipynb"


def run_cell(source: str, where: str, names: dict[str, Any]) -> Any:
    """Run a cell as a kernel does: the value of an expression that stands last is what it shows."""
    tree = ast.parse(source, where)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, where, "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), where, "eval"), names)


def test_it_runs_from_top_to_bottom(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("LDP_ARCHIVE", str(place / "archive"))
    notebook = json.loads(NOTEBOOK.read_text())
    assert (notebook["nbformat"], notebook["metadata"]["language_info"]["name"]) == (4, "python")
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] for cell in cells), "outputs are not committed"
    names: dict[str, Any] = {}
    shown = [run_cell("".join(cell["source"]), cell["id"], names) for cell in cells]

    assert shown[0] == ["dataset/0", "dataset/1"]
    figures = [one for one in shown if hasattr(one, "_repr_png_")]
    panels = {"views": 3, "a map, its bar and a picture": 3, "two results": 2}
    assert [len(figure.axes) for figure in figures] == [*panels.values()]
    assert all(figure._repr_png_().startswith(b"\x89PNG") for figure in figures)
    in_blur, elsewhere = shown[4]
    assert in_blur > elsewhere
    assert shown[-1]["psnr_db"] > 20
