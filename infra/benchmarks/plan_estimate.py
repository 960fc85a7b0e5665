"""What `ldp plan` says that a run takes, beside what the run took: seconds, requests, objects and bytes.

    python infra/benchmarks/plan_estimate.py --pairs 4 12 --size 840x560 --deblurrer wiener ldp

Each run is a command of its own over simulated pairs with truths and an empty archive. The aim is an estimate
within 1.5 times of the seconds. Both see the load of the machine at their moment: repeat where it changes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from harness import make_parser, parse


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--pairs", nargs="+", type=int, default=[4, 12])
    parser.add_argument("--size", nargs="+", default=["840x560"])
    parser.add_argument("--deblurrer", nargs="+", default=["wiener", "ldp"])
    parser.add_argument("--workers", type=int, default=1)
    asked = parse(parser)
    for size in asked.size:
        for pairs in asked.pairs:
            with tempfile.TemporaryDirectory() as folder:
                source = str(Path(folder) / "pairs")
                run("simulate", source, "--count", pairs, "--size", size, "--workers", asked.workers)
                for deblurrer in asked.deblurrer:
                    compare(Path(folder), source, deblurrer, f"{pairs} x {size}", asked.workers)


def compare(folder: Path, source: str, deblurrer: str, name: str, workers: int) -> None:
    options = ("--deblurrer", deblurrer, "--workers", workers, "--archive", folder / deblurrer, "--json")
    before = os.getloadavg()[0]
    plan, _ = run("plan", source, *options)
    summary, wall_s = run("restore", source, *options)
    said, asked, made = plan["seconds_estimated"], plan["traffic"], summary["traffic"]
    print(
        f"{name:14} {deblurrer:10} {said:6.1f} s said, {wall_s:6.1f} s taken: {said / wall_s:4.2f}; requests "
        f"{count(asked)} / {count(made)}; load {before:.1f} to {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def count(traffic: dict[str, int]) -> int:
    return sum(traffic[kind] for kind in ("puts", "gets", "heads", "lists", "deletes"))


def run(*words: object) -> tuple[Any, float]:
    """What a command prints as JSON, if anything, and the seconds that it took."""
    begin = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", "from flows.cli import app; app()", *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout) if done.stdout.startswith("{") else None, perf_counter() - begin


if __name__ == "__main__":
    main()
