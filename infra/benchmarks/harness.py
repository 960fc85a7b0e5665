"""What the benchmarks share: options, timing in turns, tables of ratios.

Machines are often shared and noisy. So everything that is compared is timed in turns within one run, after a
turn to warm up; medians are printed, and ratios are what to trust. CPU seconds vary less than wall clock.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Cost:
    """Wall clock and CPU seconds of one call, in this process."""

    wall_s: float
    cpu_s: float


def make_parser(description: str | None, *, repeats: int = 5) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats, help="turns that count")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves them as they are")
    return parser


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, with the number of torch threads set."""
    asked = parser.parse_args(arguments)
    if asked.threads:
        import torch

        torch.set_num_threads(asked.threads)
    return asked


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of ``WIDTHxHEIGHT``."""
    width, height = map(int, text.split("x"))
    return width, height


def clock(work: Callable[[], object], *, synchronise: Callable[[], object] | None = None) -> Cost:
    """What one call takes; ``synchronise`` waits for an accelerator."""
    wall, cpu = perf_counter(), process_time()
    work()
    if synchronise is not None:
        synchronise()
    return Cost(perf_counter() - wall, process_time() - cpu)


def time_in_turns(
    works: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    warm_up: bool = True,
    synchronise: Callable[[], object] | None = None,
) -> dict[str, list[Cost]]:
    """The costs of each work, all of them once in every turn."""
    costs: dict[str, list[Cost]] = {name: [] for name in works}
    for turn in range(repeats + warm_up):
        for name, work in works.items():
            cost = clock(work, synchronise=synchronise)
            if turn or not warm_up:
                costs[name].append(cost)
    return costs


def print_costs(
    costs: Mapping[str, Sequence[Cost]], *, reference: str, scale: Mapping[str, float] | None = None
) -> None:
    """Medians, and the median of the ratios of each turn to those of the reference.

    ``scale`` multiplies a work's seconds, where it was timed on a part of what is meant.
    """
    factors = dict.fromkeys(costs, 1.0) | dict(scale or {})
    width = max(map(len, costs))
    print(f"{'':{width}}  {'CPU s':>9} {'of ref':>7} {'wall s':>9} {'of ref':>7}")
    for name, spent in costs.items():
        cells = []
        for kind in ("cpu_s", "wall_s"):
            ours = [getattr(cost, kind) * factors[name] for cost in spent]
            theirs = [getattr(cost, kind) * factors[reference] for cost in costs[reference]]
            ratio = median(one / other for one, other in zip(ours, theirs, strict=True))
            cells.append(f"{median(ours):9.3f} {ratio:7.2f}")
        print(f"{name:{width}}  {' '.join(cells)}")
