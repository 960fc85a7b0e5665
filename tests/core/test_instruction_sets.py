"""Every method with the instructions of older processors: results differ by no more than is stated.

The tolerances are those of infra/archive-format.md, "What is reproducible".
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy._core import _multiarray_umath as numpy_core
from numpy.typing import NDArray

from ldp_core.blur import ESTIMATORS
from ldp_core.deblur import DEBLURRERS
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import BlurMapKind

pytestmark = pytest.mark.timeout(900)  # old instructions are slow, above all on a busy machine
PROGRAM = """
import json, sys
from dataclasses import replace
import numpy as np
import torch
from numpy._core import _multiarray_umath as numpy_core
from ldp_core.blur import ESTIMATORS, make_estimator
from ldp_core.deblur import DEBLURRERS, make_deblurrer
from ldp_core.metrics import score_item
from ldp_core.types import BlurTruthKind, Pair

inputs, output = sys.argv[1:]
torch.set_num_threads(1)
mkldnn = torch.backends.mkldnn
with torch.no_grad(), mkldnn.verbose(mkldnn.VERBOSE_ON):  # prints the instructions that oneDNN takes
    torch.nn.functional.conv2d(torch.ones(2, 16, 64, 64), torch.ones(16, 16, 3, 3))
arrays = dict(np.load(inputs))
truth = {"blur_truth": arrays.pop("coc"), "blur_truth_kind": BlurTruthKind.SIGNED_COC_PX}
pair = Pair("test/pair", *(arrays[name] for name in ("left", "right", "target")), **truth)
kinds = {name: ({}, name) for name in ESTIMATORS} | {"clip, signed": ({"mode": "signed"}, "clip")}
kinds["depth-distilled"] = ({"side_px": 64}, "depth-distilled")  # at 320 px it takes most of the time
maps = {title: make_estimator(name, values).estimate(pair) for title, (values, name) in kinds.items()}
found = {f"map/{title}": blur_map.values for title, blur_map in maps.items()}
deep = replace(pair, **{name: view.astype(np.uint16) * 257 for name, view in arrays.items()})
for bits, shown in ((8, pair), (16, deep)):
    for name in DEBLURRERS:
        found[f"{bits}/{name}"] = make_deblurrer(name, {}).restore(shown, maps["disparity"])
restored = {name: found[f"8/{name}"] for name in DEBLURRERS}
scores = [score for title, blur_map in maps.items() for score in score_item(
    pair, restored=restored["ldp"], blur_map=blur_map, measured=maps["disparity"],
    baselines=restored if title == "disparity" else {})]
np.savez(output, **found)
print(json.dumps({
    "torch": torch.backends.cpu.get_cpu_capability(),
    "NumPy": [name for name, there in numpy_core.__cpu_features__.items() if there],
    "kinds": {title: blur_map.kind for title, blur_map in maps.items()},
    "scores": [[s.metric, s.subject, s.value] for s in scores],
}))
"""
DISPATCHED = [name for name in numpy_core.__cpu_dispatch__ if numpy_core.__cpu_features__[name]]
"""What NumPy has been built with beyond its least, as far as this processor has it."""
TORCH = {"ATEN_CPU_CAPABILITY": "default"}
ONEDNN = {"ONEDNN_MAX_CPU_ISA": "SSE41"}
NUMPY = {"NPY_DISABLE_CPU_FEATURES": " ".join(DISPATCHED)}
BLAS = {"OPENBLAS_CORETYPE": "Nehalem", "MKL_CBWR": "COMPATIBLE"}
SETTINGS = {"torch": TORCH, "oneDNN": ONEDNN, "NumPy": NUMPY, "all": TORCH | ONEDNN | NUMPY | BLAS}
"""Instructions of processors of about 2008, for each library alone and for all."""
ALONE = [pytest.param(library, marks=pytest.mark.slow) for library in ("torch", "oneDNN", "NumPy")]

OLDEST_ISA = "Intel SSE4.1"
"""What oneDNN calls the instructions of `ONEDNN`."""
# About five times the most that was found in ten pictures on an AVX2 processor: .0036 px (without texture the
# solver of `disparity` amplifies the last bits), 2e-6, one level in .4 % of the values of 8 bit, 13 levels in
# 14 % of those of 16 bit, .006.
COC_PX = 0.02
SHARE = 1e-4
LEVELS = {"8": (1, 0.02), "16": (64, 1)}
"""Largest difference in levels, and share of values that differ, by bits."""
SCORE = 0.03


@dataclass(frozen=True)
class Outcome:
    """What one process found: arrays by `map/NAME`, `8/NAME`, `16/NAME`, and what it said of itself."""

    arrays: Mapping[str, NDArray[Any]]
    said: Mapping[str, Any]
    isa: str

    def of(self, kind: str) -> Iterator[tuple[str, NDArray[Any]]]:
        named = ((name.partition("/"), values) for name, values in self.arrays.items())
        return ((title, values) for (head, _, title), values in named if head == kind)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Of the first ten of this size, the one whose maps vary most.
    pair = simulate_pair(7, SimulationSettings(height=64, width=96, sharp_share=0, blurred_share=0))
    path = tmp_path_factory.mktemp("instructions") / "inputs.npz"
    np.savez(path, left=pair.left, right=pair.right, target=pair.target, coc=pair.blur_truth)
    return path


@pytest.fixture(scope="module")
def usual(inputs: Path) -> Outcome:
    return compute(inputs, {})


@pytest.fixture(scope="module", params=["all", *ALONE])
def setting(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def older(setting: str, inputs: Path, usual: Outcome) -> Outcome:
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("the settings name instructions of x86-64")
    if usual.said["torch"] == "DEFAULT" or usual.isa == OLDEST_ISA or not DISPATCHED:
        pytest.skip("this processor has no wider instructions that could be left out")
    return compute(inputs, SETTINGS[setting])


@pytest.mark.usefixtures("older")
def test_every_method_takes_part_and_finds_something(usual: Outcome) -> None:
    assert dict(usual.of("map")).keys() == {*ESTIMATORS, "clip, signed"}
    assert dict(usual.of("8")).keys() == dict(usual.of("16")).keys() == {*DEBLURRERS}
    assert all(np.ptp(values) > 0.01 for _, values in usual.of("map"))


def test_the_wider_instructions_are_really_left_out(setting: str, usual: Outcome, older: Outcome) -> None:
    torch_left_out = (usual.said["torch"] != "DEFAULT", older.said["torch"] == "DEFAULT")
    onednn_left_out = (usual.isa != OLDEST_ISA, older.isa == OLDEST_ISA)
    features = [set(DISPATCHED) & set(outcome.said["NumPy"]) for outcome in (usual, older)]
    numpy_left_out = (features[0] == set(DISPATCHED), not features[1])
    found = {"torch": torch_left_out, "oneDNN": onednn_left_out, "NumPy": numpy_left_out}
    for library, left_out in found.items():
        assert left_out == (True, setting in (library, "all")), library


def test_maps_differ_little(usual: Outcome, older: Outcome) -> None:
    theirs = dict(older.of("map"))
    for title, values in usual.of("map"):
        signed = usual.said["kinds"][title] == BlurMapKind.SIGNED_COC_PX
        tolerance = COC_PX if signed else SHARE
        np.testing.assert_allclose(theirs[title], values, atol=tolerance, rtol=0, err_msg=title)


@pytest.mark.parametrize("bits", LEVELS)
def test_restored_pictures_differ_little(bits: str, usual: Outcome, older: Outcome) -> None:
    most, share = LEVELS[bits]
    theirs = dict(older.of(bits))
    for name, values in usual.of(bits):
        levels = np.abs(theirs[name].astype(int) - values.astype(int))
        assert levels.max() <= most, name
        assert (levels > 0).mean() <= share, name


def test_scores_differ_little(usual: Outcome, older: Outcome) -> None:
    assert len(usual.said["scores"]) > len(DEBLURRERS)
    for (*place, one), (*other_place, two) in zip(usual.said["scores"], older.said["scores"], strict=True):
        assert place == other_place
        assert two == pytest.approx(one, abs=SCORE), place


def compute(inputs: Path, environment: Mapping[str, str]) -> Outcome:
    """All methods in a process of its own, with this environment and no other choice of instructions."""
    chosen = {name for values in SETTINGS.values() for name in values}
    ours = {name: value for name, value in os.environ.items() if name not in chosen}
    paths = os.pathsep.join(filter(None, sys.path))
    output = inputs.with_name("outcome.npz")
    printed = subprocess.run(
        [sys.executable, "-c", PROGRAM, inputs, output],
        env={**ours, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    [isa] = re.findall(r"cpu,isa:(.*)", printed)
    with np.load(output) as kept:
        return Outcome(dict(kept), json.loads(printed.splitlines()[-1]), isa)
