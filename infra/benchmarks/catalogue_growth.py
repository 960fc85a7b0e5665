"""What planning a large source costs: the first time, and after a run that has recorded its listing.

    python infra/benchmarks/catalogue_growth.py --items 10000

makes pairs of 64x48 px with truths as links to a few files, plans them, records a run that came to its end,
and plans them again. CPU seconds of each, and the largest memory of this process until then.
"""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness import clock, make_parser, parse
from waiting import write_source

from tasks.pipeline import make_config
from tasks.plan import Plan, make_plan
from tasks.run import Run
from tasks.run_stats import RunStats


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    asked = parse(parser)
    with tempfile.TemporaryDirectory() as folder:
        source, config = (
            Path(folder) / "source",
            make_config(str(Path(folder) / "archive"), estimator=("disparity", {}), deblurrer=("wiener", {})),
        )
        write_source(source, 8)
        for view in source.iterdir():
            for number in range(8, asked.items):
                os.link(view / f"{number % 8:06d}.png", view / f"{number:06d}.png")

        def plan() -> Plan:
            return make_plan(config, str(source), layout="folders", dataset="set")

        show("first", plan, asked.items)
        record_run(plan())
        show("again", plan, asked.items)


def record_run(plan: Plan) -> None:
    run = Run.start(plan.config, plan.catalogue, plan.pipelines)
    run.finish(RunStats(plan.catalogue, max_bad=1).summarise(run.run_id, plan.pipelines, seconds=1), ())


def show(name: str, plan: Callable[[], Plan], items: int) -> None:
    cost = clock(plan)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name}: {cost.cpu_s:.1f} CPU s, {1e6 * cost.cpu_s / items:.0f} us an item, peak {peak:.0f} MiB")


if __name__ == "__main__":
    main()
