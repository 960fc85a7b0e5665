"""How much the system costs on top of its own computation.

    python infra/benchmarks/throughput.py --pairs 100

simulates a dataset, restores it, restores it again, and computes the same items bare, in one process,
one after the other.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from harness import make_parser, parse

from flows.engine import keep_quiet, prefect_engine


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--width", type=int, default=840)
    parser.add_argument("--height", type=int, default=560)
    parser.add_argument("--bare", type=int, default=20, help="how many of the pairs to compute bare")
    asked = parse(parser)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        keep_quiet()
        stack.enter_context(prefect_engine())
        first, again = run_twice(folder, asked)
        bare = compute_bare(folder / "dataset", asked.bare)
    report(first, again, bare, pairs=asked.pairs)


def run_twice(folder: Path, asked: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Summaries of a first and a second run over the same simulated dataset."""
    from flows.restore import restore_dataset
    from flows.simulate import simulate_dataset

    source, size = str(folder / "dataset"), {"width": asked.width, "height": asked.height}
    simulate_dataset(source, asked.pairs, settings=size)
    first: dict[str, Any] = restore_dataset(source, "folders", str(folder / "archive"))
    again: dict[str, Any] = restore_dataset(source, "folders", str(folder / "archive"))
    return first, again


def compute_bare(dataset: Path, count: int) -> dict[int, float]:
    """Seconds per pair to decode, estimate, restore and score in this process, by torch threads."""
    from ldp_core.blur import make_estimator
    from ldp_core.catalogue import load_pair, read_catalogue
    from ldp_core.deblur import make_deblurrer
    from ldp_core.metrics import score_item

    items = read_catalogue(str(dataset), layout="folders").items[:count]
    estimator, deblurrer = make_estimator("disparity"), make_deblurrer("ldp")
    seconds = {}
    for threads in (1, torch.get_num_threads()):
        torch.set_num_threads(threads)
        begin = perf_counter()
        for item in items:
            pair = load_pair(item)
            blur_map = estimator.estimate(pair)
            score_item(pair, restored=deblurrer.restore(pair, blur_map), blur_map=blur_map)
        seconds[threads] = (perf_counter() - begin) / len(items)
    return seconds


def report(first: dict[str, Any], again: dict[str, Any], bare: dict[int, float], *, pairs: int) -> None:
    wall = first["seconds"]["total"]
    print(f"first run: {wall:.1f} s wall, {60 * pairs / wall:.1f} items/min")
    for stage, spent in first["seconds"].items():
        if stage != "total":
            print(f"  {stage:8} {spent:8.1f} worker seconds, {spent / pairs:.3f} per item")
    for threads, each in bare.items():
        ratio = wall / each / pairs
        print(f"bare, one process, {threads} torch threads: {each:.3f} s per item; wall/bare {ratio:.2f}")
    print(f"second run: {again['seconds']['total']:.1f} s wall, {again['items']['computed']} computed")


if __name__ == "__main__":
    main()
