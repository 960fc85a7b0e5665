"""What a run would do, as plain values for the console or JSON. Starts no server and no cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ldp_core.storage import absolute_url
from tasks.cluster import embedded_memory_bytes, usable_bytes
from tasks.job import Job, Method
from tasks.memory import declare_memory
from tasks.plan import Plan, estimate_seconds, make_plan

MethodChoice = tuple[str, Mapping[str, Any]]


def preview_run(
    source: str,
    layout: str,
    archive: str,
    *,
    dataset: str | None,
    estimator: MethodChoice,
    deblurrer: MethodChoice,
    processes: int | None,
) -> dict[str, Any]:
    """Pairs, problems, bytes in and out, what is done already, and an estimate of the time."""
    job = Job(absolute_url(archive), Method.of(*estimator), Method.of(*deblurrer), torch_threads=1)
    plan = make_plan(job, absolute_url(source), layout=layout, dataset=dataset)
    ids = {item.id for item in plan.catalogue.items}
    return {
        "dataset": plan.catalogue.dataset,
        "pairs": len(ids),
        "to_do": len(plan.to_do),
        "done": {stage: len(ids & done) for stage, done in asdict(plan.done).items()},
        "stage_keys": asdict(plan.keys),
        "bytes_in": plan.bytes_in,
        "bytes_out_at_most": plan.bytes_out,
        "memory": _preview_memory(plan, processes),
        "seconds_estimated": round(estimate_seconds(plan, processes=processes or os.cpu_count() or 1), 1),
        "problems": [asdict(problem) for problem in plan.catalogue.problems],
    }


def _preview_memory(plan: Plan, processes: int | None) -> dict[str, Any]:
    """Bytes a worker needs for the items of each size, and what an embedded worker may take."""
    needs = declare_memory(plan.to_do, plan.job)
    usable = usable_bytes(embedded_memory_bytes(processes))
    by_size = {f"{need.width}x{need.height}": need for need in reversed(needs)}
    return {
        "bytes_by_size": {size: need.bytes for size, need in reversed(by_size.items())},
        "worker_bytes": usable,
        "too_large": [need.item_id for need in needs if need.bytes > usable],
    }
