"""A full-resolution photograph end to end, in the memory that is declared for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "infra" / "benchmarks" / "large_image.py"


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.timeout(3600)
def test_fifteen_megapixels_fit_in_six_gib(real_data: Path) -> None:
    """A Canon pair of 5180x2940 with one worker: the command and all it starts stay below 6 GiB."""
    views = [real_data / "dp" / "canon_full" / f"005_{view}.jpg" for view in "LR"]
    done = subprocess.run(
        [sys.executable, BENCHMARK, *views],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    run, *peaks = (json.loads(line) for line in done.stdout.splitlines())
    gib = {peak["of"]: peak["gib"] for peak in peaks}
    assert run["size"] == "5180x2940"
    assert run["items"] == {"total": 1, "computed": 1, "skipped": 0, "quarantined": 0}
    assert gib["all processes"] < 6
    assert gib["largest process"] < gib["declared"] < 1.7 * gib["largest process"]
