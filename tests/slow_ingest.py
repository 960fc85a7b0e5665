"""Archive a dataset as a command does, ten seconds an item: a program, for its end may end the process.

Where STUCK is set, its batches never come to submit anything.
"""

from __future__ import annotations

import os
import time

import typer
from dask_programs import slowly

from flows.engine import keep_quiet, prefect_engine
from flows.exits import exits
from ldp_core.types import Item
from tasks.plan import Plan
from tasks.work import Call


def make_slow_call(plan: Plan, item: Item) -> Call:
    from tasks.items import ingest_item

    return slowly, 10, ingest_item, plan.config, item


def main(source: str, archive: str, cluster: str) -> None:
    keep_quiet()
    from flows.ingest import ingest_dataset
    from tasks import batches

    batches.choose_ingest = make_slow_call
    if "STUCK" in os.environ:
        batches.share_credentials = lambda client: time.sleep(1000)
    with exits(), prefect_engine():
        ingest_dataset(source, "folders", archive, cluster=cluster, max_bad=1)


if __name__ == "__main__":
    typer.run(main)
