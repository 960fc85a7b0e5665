"""What commands cost beside the computation itself, next to another checkout.

    python infra/benchmarks/waiting.py --beside ../baseline restored plan items

runs each command with this checkout and with the other one (a folder with a `.venv`), in turns, in new
processes over datasets of their own, and prints CPU seconds and the largest process of both. CPU seconds
are those of all processes that a command starts.

    restored    `ldp restore` of 3 items of which nothing is left to compute
    plan        `ldp plan` of 3 items
    items       an item of --items of 64x48 px in `ldp restore`, beyond 8 of them: one that is computed, less
                decoding, map, restoration and scores in one process; and one that is finished
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from harness import ROOT, make_parser

from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair

RUN = "from flows.cli import app; app()"
BARE = """
import sys
import torch
from ldp_core.blur import make_estimator
from ldp_core.catalogue import load_pair, read_catalogue
from ldp_core.deblur import make_deblurrer
from ldp_core.metrics import score_item

torch.set_num_threads(1)
estimator, deblurrer = make_estimator("disparity"), make_deblurrer("wiener")
for item in read_catalogue(sys.argv[1], layout="folders", dataset="set").items:
    pair = load_pair(item)
    blur_map = estimator.estimate(pair)
    score_item(pair, restored=deblurrer.restore(pair, blur_map), blur_map=blur_map)
"""
OPTIONS = ("--dataset", "set", "--estimator", "disparity", "--deblurrer", "wiener", "--report-items", "0")
FEW = 8


@dataclass(frozen=True)
class Checkout:
    """A checkout and the Python that runs it."""

    name: str
    folder: Path
    python: str


@dataclass(frozen=True)
class Spent:
    """CPU seconds of a command with all its processes, and the memory of the largest of these."""

    cpu_s: float
    peak_mib: float


Measure = Callable[[Checkout, Path, argparse.Namespace], Mapping[str, Spent]]


def main() -> None:
    parser = make_parser(__doc__, repeats=3)
    parser.add_argument("measures", nargs="+", choices=sorted(MEASURES))
    parser.add_argument("--beside", type=Path, required=True, help="the other checkout, with a .venv")
    parser.add_argument("--items", type=int, default=100)
    asked = parser.parse_args()
    other = asked.beside.resolve()
    checkouts = [
        Checkout("other", other, str(other / ".venv/bin/python")),
        Checkout("this", ROOT, sys.executable),
    ]
    for name in asked.measures:
        costs: dict[str, dict[str, list[Spent]]] = {}
        for _ in range(asked.repeats):
            for checkout in checkouts:
                with tempfile.TemporaryDirectory() as folder:
                    for what, spent in MEASURES[name](checkout, Path(folder), asked).items():
                        costs.setdefault(what, {}).setdefault(checkout.name, []).append(spent)
        for what, sides in costs.items():
            show(what, sides)


def show(name: str, costs: Mapping[str, list[Spent]]) -> None:
    cpu = {side: median(one.cpu_s for one in spent) for side, spent in costs.items()}
    peak = {side: median(one.peak_mib for one in spent) for side, spent in costs.items()}
    sides = ", ".join(f"{side} {cpu[side]:.4f} CPU s, {peak[side]:.0f} MiB" for side in costs)
    print(f"{name}: {sides}; ratio {cpu['this'] / cpu['other']:.3f}", flush=True)


def restored(checkout: Checkout, folder: Path, asked: argparse.Namespace) -> dict[str, Spent]:
    write_source(folder / "source", 3)
    run(checkout, folder, "restore", *OPTIONS)
    return {"restored": run(checkout, folder, "restore", *OPTIONS)}


def plan(checkout: Checkout, folder: Path, asked: argparse.Namespace) -> dict[str, Spent]:
    write_source(folder / "source", 3)
    run(checkout, folder, "plan")  # the first start of a checkout compiles it
    return {"plan": run(checkout, folder, "plan")}


def items(checkout: Checkout, folder: Path, asked: argparse.Namespace) -> dict[str, Spent]:
    first, again, bare = [], [], []
    for count in (FEW, asked.items):
        place = folder / str(count)
        write_source(place / "source", count)
        first.append(run(checkout, place, "restore", *OPTIONS))
        again.append(run(checkout, place, "restore", *OPTIONS))
        bare.append(measure(checkout, BARE, [str(place / "source")]))
    computed, finished, alone = (_per_item(costs, asked.items - FEW) for costs in (first, again, bare))
    beyond = Spent(computed.cpu_s - alone.cpu_s, computed.peak_mib)
    return {"computed, beyond bare": beyond, "bare": alone, "finished": finished}


MEASURES: Mapping[str, Measure] = {"restored": restored, "plan": plan, "items": items}


def write_source(folder: Path, count: int) -> None:
    """Simulated pairs of 64x48 px with their truths; a few differ, the others repeat them."""
    for number, pictures in zip(range(count), _repeat_pictures(), strict=False):
        for view, content in pictures.items():
            (folder / view).mkdir(parents=True, exist_ok=True)
            (folder / view / f"{number:06d}.png").write_bytes(content)


def _repeat_pictures(different: int = 8) -> Iterator[dict[str, bytes]]:
    made = []
    for seed in range(different):
        pair = simulate_pair(seed, SimulationSettings(width=64, height=48))
        made.append({view: encode_image(pixels, format="png") for view, pixels in pair.views.items()})
    while True:
        yield from made


def run(checkout: Checkout, folder: Path, command: str, *options: str) -> Spent:
    """One command over ``folder/source`` with the archive beside it."""
    arguments = [command, str(folder / "source"), "--archive", str(folder / "archive"), *options]
    return measure(checkout, RUN, arguments)


def measure(checkout: Checkout, program: str, arguments: list[str]) -> Spent:
    """A program of one checkout; GNU time, where it is there, tells the memory of its largest process."""
    time = shutil.which("time")
    timed = [time, "-f", "%M"] if time else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*timed, checkout.python, "-c", program, *arguments],
        cwd=checkout.folder,
        env=os.environ | {"PYTHONPATH": str(checkout.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{checkout.name}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(cpu, float(done.stderr.split()[-1]) / 1024 if timed else 0.0)


def _per_item(costs: list[Spent], count: int) -> Spent:
    """Of the last command beyond the first one, which had so many items less."""
    return Spent((costs[-1].cpu_s - costs[0].cpu_s) / count, costs[-1].peak_mib)


if __name__ == "__main__":
    main()
