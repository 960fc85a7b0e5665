"""Whether a worker grows with the items that it has seen.

    python infra/benchmarks/worker_growth.py --items 200

sends items of 64x48 px through one embedded worker, one by one, and prints its memory and how many objects
Python keeps there; then the same with the profiler of Dask at work, as it is by default.
"""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import psutil
from harness import make_parser, parse
from waiting import write_source

import tasks.cluster
from ldp_core.catalogue import read_catalogue
from tasks.cluster import open_workers
from tasks.items import ingest_item, restore_item
from tasks.pipeline import make_config
from tasks.work import make_calls


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--items", type=int, default=200)
    asked = parse(parser)
    for name, settings in (("as embedded", tasks.cluster.NO_PROFILES), ("with profiles", {})):
        tasks.cluster.NO_PROFILES = settings
        with tempfile.TemporaryDirectory() as folder:
            print(name)
            send_items(Path(folder), asked.items)


def send_items(folder: Path, count: int) -> None:
    write_source(folder / "source", count)
    config = make_config(str(folder / "archive"), estimator=("disparity", {}), deblurrer=("wiener", {}))
    items = read_catalogue(str(folder / "source"), layout="folders", dataset="set").items
    with open_workers(processes=1) as workers:
        for number, item in enumerate(items):
            for work in (ingest_item, restore_item):
                workers.client.submit(make_calls, [(work, config, item)], pure=False).result()
            if number % 20 == 19:
                [(size, objects)] = workers.client.run(describe_worker).values()
                print(f"  {number + 1:5} items {size:7.1f} MiB {objects:8} objects", flush=True)


def describe_worker() -> tuple[float, int]:
    return psutil.Process().memory_info().rss / 2**20, len(gc.get_objects())


if __name__ == "__main__":
    main()
