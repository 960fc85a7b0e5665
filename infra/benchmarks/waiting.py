"""What commands cost beside the computation itself, next to another checkout.

    python infra/benchmarks/waiting.py --beside ../baseline restored plan

runs each command with this checkout and with the other one (a folder with a `.venv`), in turns, in new
processes over datasets of their own, and prints CPU seconds and the largest process of both. CPU seconds
are those of all processes that a command starts.

    restored    `ldp restore` of 3 items of which nothing is left to compute
    finished    an item of --items finished ones in a run after a finished run
    unrecorded  the same where no run has come to its end yet
    plan        `ldp plan` of 3 items
    tiny        an item of --items of 64x48 px in `ldp restore`, and of the same computed bare
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
OPTIONS = ("--dataset", "set", "--estimator", "disparity", "--deblurrer", "wiener", "--report-items", "0")
_PREPARE = """
import sys
import torch
from ldp_core.archive import Archive
from ldp_core.catalogue import load_pair, read_catalogue
from tasks.items import ingest_item
from tasks.pipeline import make_config, pipeline_for

torch.set_num_threads(1)
config = make_config(sys.argv[2], estimator=("disparity", {}), deblurrer=("wiener", {}))
items = read_catalogue(sys.argv[1], layout="folders", dataset="set").items

def compute(item):
    pair, made = load_pair(item), {}
    for stage in pipeline_for(config, item).stages:
        inputs = {label: made[label] for label in stage.inputs}
        made[stage.label] = stage.definition.run(stage, pair, inputs)
    return made
"""
FILL = f"""{_PREPARE}
from dataclasses import replace
archive, made = Archive(config.archive), [compute(item) for item in items[:8]]
for number, item in enumerate(items):
    ingested, products = ingest_item(config, item), made[number % len(made)]
    for stage in pipeline_for(config, item).stages:
        product = products[stage.label]
        if stage.label == "score":
            product = [replace(score, item=item.id) for score in product]
        stage.definition.write(archive, stage, item.id, product, input_digest=ingested.digest)
"""
BARE = f"{_PREPARE}\nfor item in items: compute(item)"
"""Decoding and computing, in one process, nothing archived."""


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

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.cpu_s - other.cpu_s, self.peak_mib)


Measure = Callable[[Checkout, Path, argparse.Namespace], Spent]


def main() -> None:
    parser = make_parser(__doc__, repeats=3)
    parser.add_argument("measures", nargs="+", choices=sorted(MEASURES))
    parser.add_argument("--beside", type=Path, required=True, help="the other checkout, with a .venv")
    parser.add_argument("--items", type=int, default=200)
    asked = parser.parse_args()
    checkouts = [
        Checkout("other", asked.beside.resolve(), str(asked.beside.resolve() / ".venv/bin/python")),
        Checkout("this", ROOT, sys.executable),
    ]
    for name in asked.measures:
        costs = {checkout.name: list[Spent]() for checkout in checkouts}
        for _ in range(asked.repeats):
            for checkout in checkouts:
                with tempfile.TemporaryDirectory() as folder:
                    costs[checkout.name].append(MEASURES[name](checkout, Path(folder), asked))
        show(name, costs)


def show(name: str, costs: Mapping[str, list[Spent]]) -> None:
    cpu = {side: median(one.cpu_s for one in spent) for side, spent in costs.items()}
    peak = {side: median(one.peak_mib for one in spent) for side, spent in costs.items()}
    sides = ", ".join(f"{side} {cpu[side]:.3f} CPU s, {peak[side]:.0f} MiB" for side in costs)
    print(f"{name}: {sides}; ratio {cpu['this'] / cpu['other']:.3f}", flush=True)


def restored(checkout: Checkout, folder: Path, asked: argparse.Namespace) -> Spent:
    make_archive(checkout, folder, items=3)
    run(checkout, folder, "restore", *OPTIONS)
    return run(checkout, folder, "restore", *OPTIONS)


def unrecorded(checkout: Checkout, folder: Path, asked: argparse.Namespace) -> Spent:
    return _cost_of_one(checkout, folder, asked.items, earlier=0)


def finished(checkout: Checkout, folder: Path, asked: argparse.Namespace) -> Spent:
    return _cost_of_one(checkout, folder, asked.items, earlier=1)


def _cost_of_one(checkout: Checkout, folder: Path, items: int, *, earlier: int) -> Spent:
    """Of the last of some runs over that many items, beyond a run over 3."""
    costs = []
    for count in (3, items):
        make_archive(checkout, folder / str(count), items=count)
        for _ in range(earlier + 1):
            spent = run(checkout, folder / str(count), "restore", *OPTIONS)
        costs.append(spent)
    return _per_item(costs[1] - costs[0], items - 3)


def plan(checkout: Checkout, folder: Path, asked: argparse.Namespace) -> Spent:
    write_source(folder / "source", 3)
    run(checkout, folder, "plan")  # the first start of a checkout compiles it
    return run(checkout, folder, "plan")


def tiny(checkout: Checkout, folder: Path, asked: argparse.Namespace) -> Spent:
    costs = []
    for items in (8, asked.items):
        place = folder / str(items)
        write_source(place / "source", items)
        costs.append(run(checkout, place, "restore", *OPTIONS))
    bare = make_archive(checkout, folder / "bare", items=40, program=BARE)
    start = make_archive(checkout, folder / "start", items=1, program=BARE)
    each = _per_item(costs[1] - costs[0], asked.items - 8)
    print(
        f"  {checkout.name}: {each.cpu_s:.3f}, bare {(bare - start).cpu_s / 39:.3f} CPU s an item", flush=True
    )
    return each - _per_item(bare - start, 39)


MEASURES: Mapping[str, Measure] = {
    "restored": restored,
    "finished": finished,
    "unrecorded": unrecorded,
    "plan": plan,
    "tiny": tiny,
}


def write_source(folder: Path, items: int) -> None:
    """Simulated pairs of 64x48 px with their truths; a few differ, the others repeat them."""
    for number, pictures in zip(range(items), _repeat_pictures(), strict=False):
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
    return _measure(checkout, RUN, arguments)


def make_archive(checkout: Checkout, folder: Path, *, items: int, program: str = "") -> Spent:
    """Archive ``folder/source`` without a run; items beyond eight have the results of others."""
    write_source(folder / "source", items)
    arguments = [str(folder / "source"), str(folder / "archive")]
    return _measure(checkout, program or FILL, arguments)


def _measure(checkout: Checkout, program: str, arguments: list[str]) -> Spent:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wrapped = _wrap([checkout.python, "-c", program, *arguments])
    done = subprocess.run(
        wrapped,
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
    return Spent(cpu, float(done.stderr.split()[-1]) / 1024 if wrapped[0] != checkout.python else 0)


def _wrap(program: list[str]) -> list[str]:
    """With GNU time, which tells the memory of the largest process, where it is there."""
    time = shutil.which("time")
    return [time, "-f", "%M", *program] if time else program


def _per_item(spent: Spent, items: int) -> Spent:
    return Spent(spent.cpu_s / items, spent.peak_mib)


if __name__ == "__main__":
    main()
