"""What `ldp plan` says that a run takes, beside what the run took: seconds, requests, objects and bytes.

    python infra/benchmarks/plan_estimate.py --pairs 4 12 --size 840x560 --deblurrer wiener ldp

Each run is a command of its own over simulated pairs with truths and an empty archive. The aim is an estimate
within 1.5 times of the seconds. CPU seconds are those of the command and of all that it started.
"""

from __future__ import annotations

import json
import os
import resource
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
    plan, _, _ = run("plan", source, *options)
    summary, wall_s, cpu_s = run("restore", source, *options)
    said, requests = plan["seconds_estimated"], [count(plan["traffic"]), count(summary["traffic"])]
    stages = {stage: round(seconds, 1) for stage, seconds in summary["seconds"].items() if stage != "total"}
    print(
        f"{name:14} {deblurrer:10} {said:6.1f} s said, {wall_s:6.1f} s taken: {said / wall_s:4.2f}; "
        f"{cpu_s:6.1f} CPU s; stages {stages}; requests {requests[0]} said, {requests[1]} counted; "
        f"load {before:.1f} to {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def count(traffic: dict[str, int]) -> int:
    return sum(traffic[kind] for kind in ("puts", "gets", "heads", "lists", "deletes"))


def run(*words: object) -> tuple[Any, float, float]:
    """What a command prints as JSON, if anything, and the wall and CPU seconds that it took."""
    begin, before = perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", "from flows.cli import app; app()", *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
    )
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout) if done.stdout.startswith("{") else None, perf_counter() - begin, cpu_s


if __name__ == "__main__":
    main()
