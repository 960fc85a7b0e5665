"""What a run would do, as plain values for the console or JSON. Starts no server and no cluster."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from ldp_core.storage import absolute_url
from tasks.cluster import embedded_memory_bytes, usable_bytes
from tasks.job import STAGES, Choice, Settings, make_job
from tasks.memory import declare_memory
from tasks.plan import Done, Plan, estimate_seconds, make_plan


def preview_run(
    source: str,
    layout: str,
    archive: str,
    *,
    dataset: str | None,
    estimator: Choice,
    deblurrer: Choice,
    processes: int | None,
    single_settings: Settings = (None, None),
    baselines: Sequence[str] = (),
) -> dict[str, Any]:
    """Pairs, single views, problems, bytes in and out, what is done already, and an estimate of the time."""
    job = make_job(
        absolute_url(archive),
        estimator=estimator,
        deblurrer=deblurrer,
        single_settings=single_settings,
        baselines=baselines,
        torch_threads=1,
    )
    plan = make_plan(job, absolute_url(source), layout=layout, dataset=dataset)
    ids = {item.id for item in plan.catalogue.items}
    return {
        "dataset": plan.catalogue.dataset,
        "pairs": sum(item.has_both_views for item in plan.catalogue.items),
        "single_views": sum(not item.has_both_views for item in plan.catalogue.items),
        "to_do": len(plan.to_do),
        "done": _count_done(plan.done, ids),
        "stage_keys": asdict(plan.keys) if plan.keys else {},
        "single_stage_keys": asdict(plan.single_keys) if plan.single_keys else {},
        "bytes_in": plan.bytes_in,
        "bytes_out_at_most": plan.bytes_out,
        "memory": _preview_memory(plan, processes),
        "seconds_estimated": round(estimate_seconds(plan, processes=processes or os.cpu_count() or 1), 1),
        "problems": [asdict(problem) for problem in plan.catalogue.problems],
    }


def _count_done(done: Done, ids: Collection[str]) -> dict[str, int]:
    stages = {stage: getattr(done, stage) for stage in ("ingest", *STAGES)}
    return {stage: len(there & {*ids}) for stage, there in (stages | {**done.baselines}).items()}


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
