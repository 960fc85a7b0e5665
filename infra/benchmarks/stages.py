"""What the stages of one pair take, next to another checkout: CPU seconds, and the peak memory of a process.

    python infra/benchmarks/stages.py --beside ../baseline --size 1680x1120

computes blur map, restoration and scores of a simulated pair with its truths with this checkout and with the
other one (a folder with a `.venv`), in turns, each turn in a new process on one thread, after a small pair
that does not count. The least of the turns is printed: a busy machine only adds. Memory is that of the whole
process until the stage has ended, so it grows from stage to stage. With --pair it is a photograph:
left, right and truth. Where the methods of both checkouts are of one version, the last lines say how far
their results lie apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import ROOT, make_parser, parse_size

from ldp_core.images import read_image
from ldp_core.metrics import psnr_db
from ldp_core.optics import SimulationSettings, simulate_pair

PROGRAM = """
import json, sys
from pathlib import Path
from time import process_time

import numpy as np
import torch
from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.metrics import score_item
from ldp_core.types import Pair

torch.set_num_threads(1)
estimator, deblurrer = make_estimator("disparity"), make_deblurrer(sys.argv[2])


def read_peak():
    # What getrusage tells is at least the memory of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def compute(pair):
    spent = {}

    def take(stage, work):
        begin = process_time()
        done = work()
        spent[stage] = {"cpu_s": process_time() - begin, "peak_mib": read_peak()}
        return done

    blur_map = take("blur", lambda: estimator.estimate(pair))
    restored = take("deblur", lambda: deblurrer.restore(pair, blur_map))
    scores = take("score", lambda: score_item(pair, restored=restored, blur_map=blur_map))
    return spent, blur_map, restored, scores


views = dict(np.load(sys.argv[1]))
compute(Pair("small", **{name: np.ascontiguousarray(view[:96, :128]) for name, view in views.items()}))
spent, blur_map, restored, scores = compute(Pair("pair", **views))
np.savez(sys.argv[3], coc=blur_map.values, restored=restored)
values = {f"{score.subject} {score.metric}": score.value for score in scores}
versions = [estimator.spec.version, deblurrer.spec.version]
print(json.dumps({"spent": spent, "scores": values, "versions": versions}))
"""
STAGES = "blur", "deblur", "score"


def main() -> None:
    parser = make_parser(__doc__, repeats=3)
    parser.add_argument("--beside", type=Path, required=True, help="the other checkout, with a .venv")
    parser.add_argument("--size", nargs="+", default=["840x560", "1680x1120"], metavar="WIDTHxHEIGHT")
    parser.add_argument("--pair", type=Path, nargs=3, metavar=("LEFT", "RIGHT", "TARGET"))
    parser.add_argument("--deblurrer", default="wiener")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder) / "pair.npz"
        if asked.pair:
            left, right, target = (read_image(str(path)) for path in asked.pair)
            np.savez(pair, left=left, right=right, target=target)
            compare(str(asked.pair[0]), pair, asked)
            return
        for size in asked.size:
            write_simulated(pair, size)
            compare(size, pair, asked)


def write_simulated(path: Path, size: str) -> None:
    width, height = parse_size(size)
    pair = simulate_pair(1, SimulationSettings(width=width, height=height))
    views: dict[str, Any] = {**pair.views}
    np.savez(path, blur_truth=np.abs(np.asarray(pair.blur_truth)), **views)


def compare(name: str, pair: Path, asked: argparse.Namespace) -> None:
    """Print what both checkouts take for one pair, and how far their results lie apart."""
    other = asked.beside.resolve()
    sides = {"other": (other, str(other / ".venv/bin/python")), "this": (ROOT, sys.executable)}
    told: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    for _ in range(asked.repeats):
        for side, (checkout, python) in sides.items():
            told[side].append(run(checkout, python, pair, asked.deblurrer, pair.with_name(f"{side}.npz")))
    for stage in STAGES:
        spent = {side: [turn["spent"][stage] for turn in turns] for side, turns in told.items()}
        show(f"{name} {stage}", spent)
    together = {
        side: [
            {
                "cpu_s": sum(turn["spent"][stage]["cpu_s"] for stage in STAGES),
                "peak_mib": turn["spent"][STAGES[-1]]["peak_mib"],
            }
            for turn in turns
        ]
        for side, turns in told.items()
    }
    show(f"{name} together", together)
    if told["this"][0]["versions"] == told["other"][0]["versions"]:
        show_distance(pair, told)


def run(checkout: Path, python: str, pair: Path, deblurrer: str, results: Path) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-c", PROGRAM, str(pair), deblurrer, str(results)],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{checkout}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def show(name: str, spent: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """The least of both sides, and the ratio of this to the other."""
    cells = []
    for key, unit in (("cpu_s", "CPU s"), ("peak_mib", "MiB")):
        other, this = (min(turn[key] for turn in spent[side]) for side in ("other", "this"))
        cells.append(f"{other:.2f} to {this:.2f} {unit}, ratio {this / other:.2f}")
    print(f"{name}: {'; '.join(cells)}", flush=True)


def show_distance(pair: Path, told: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """How far maps, restorations and scores of both sides lie apart."""
    other, this = (dict(np.load(pair.with_name(f"{side}.npz"))) for side in ("other", "this"))
    off = np.abs(this["coc"] - other["coc"])
    print(f"  maps: {off.mean():.2e} px apart in the mean, {off.max():.2e} px at most")
    print(f"  restorations: {psnr_db(this['restored'], other['restored']):.1f} dB apart")
    theirs = told["other"][0]["scores"]
    for key, value in told["this"][0]["scores"].items():
        print(f"  {key}: {theirs[key]:.5f} and {value:.5f}, {abs(theirs[key] - value):.1e} apart")


if __name__ == "__main__":
    main()
