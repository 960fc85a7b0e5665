"""The README is short, its example runs, and its pictures and pages are there."""

from __future__ import annotations

import re

import pytest
from doc_blocks import ROOT, read_blocks

README = (ROOT / "README.md").read_text()


def test_it_is_short() -> None:
    assert len(README.split()) <= 500


def test_its_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [block] = read_blocks("README.md", "python")
    exec(compile(block.text, block.where, "exec"), {})
    first, *scores = capsys.readouterr().out.splitlines()
    assert first == "signed_coc_px (160, 240, 3) uint8"
    values = {name: float(value) for name, value in map(str.split, scores)}
    assert values["psnr_db"] > 15
    assert 0 < values["ssim"] <= 1


def test_what_it_points_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []
