"""What a run would do, as plain values for the console or JSON. Starts no server and no cluster."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ldp_core.catalogue import WHOLE_SOURCE, SourceOptions
from ldp_core.catalogue.peaks import UNNAMED
from ldp_core.catalogue.problems import STOPPING, group_problems
from ldp_core.protocols import USUAL_SCORES, ScoringOptions
from ldp_core.storage import absolute_url
from ldp_core.types import AS_STORED, GENERIC_CAMERA, PixelOptions
from tasks.capacity import embedded_memory_bytes, usable_bytes
from tasks.costs import estimate_traffic, price, read_prices
from tasks.needs import crowding, declare_memory, estimate_seconds
from tasks.pipeline import Choice, make_config
from tasks.plan import Plan, make_plan, require_scorable
from tasks.sources import find_shrinkage
from tasks.stored_specs import stored_specs


def preview_run(
    source: str,
    layout: str,
    archive: str,
    *,
    dataset: str | None,
    estimator: Choice,
    deblurrer: Choice,
    processes: int | None,
    single_settings: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None] = (None, None),
    baselines: Sequence[str] = (),
    pixels: PixelOptions = AS_STORED,
    allow_single: bool = False,
    camera: str = GENERIC_CAMERA,
    options: SourceOptions = WHOLE_SOURCE,
    from_archive: bool = False,
    report_items: int = 200,
    prices: str | None = None,
    scoring: ScoringOptions = USUAL_SCORES,
) -> dict[str, Any]:
    """Pairs, single views, problems, bytes in and out, what is done already, and an estimate of the time.

    ``prices`` is the address of a file of prices, by default those of `tasks.costs`; ``report_items`` is how
    many items the report shows. ``from_archive``: of the archived items; no source is looked at.
    ``stops`` are the kinds of problems on which a run would stop before it computes.
    """
    priced = read_prices(prices)
    config = make_config(
        absolute_url(archive),
        estimator=estimator,
        deblurrer=deblurrer,
        single_settings=single_settings,
        baselines=baselines,
        pixels=pixels,
        from_archive=from_archive,
        scoring=scoring,
    )
    with stored_specs():
        plan = make_plan(
            config,
            "" if from_archive else absolute_url(source),
            layout=layout,
            dataset=dataset,
            camera=camera,
            options=options,
        )
        require_scorable(plan.catalogue.items, scoring)
    groups = group_problems(plan.catalogue.problems)
    stopping = (UNNAMED,) if allow_single else (UNNAMED, *STOPPING)
    pairs = sum(item.has_both_views for item in plan.catalogue.items)
    shrinkage = find_shrinkage(plan.catalogue, plan.sources)
    cores = processes or os.cpu_count() or 1
    seconds = estimate_seconds(plan, processes=cores)
    asked = estimate_traffic(plan, report_items=report_items, seconds=seconds)
    worked = seconds / crowding(cores) * cores  # what others take of the cores is not paid
    cost = price(asked.traffic, priced, core_seconds=worked)
    return {
        "dataset": plan.catalogue.dataset,
        "pairs": pairs,
        "single_views": len(plan.catalogue.items) - pairs,
        "cameras": dict(Counter(item.camera for item in plan.catalogue.items)),
        "to_do": len(plan.to_do),
        "done": plan.count_done(),
        "stage_keys": {name: pipeline.keys for name, pipeline in plan.pipelines.items()},
        "bytes_in": plan.bytes_in,
        "bytes_out_at_most": plan.bytes_out,
        "memory": _preview_memory(plan, processes),
        "seconds_estimated": round(seconds, 1),
        "traffic": asdict(asked.traffic) | {"objects": asked.objects},
        "cost": asdict(cost) | {"once": cost.once},
        "sources": {
            "suspects": sorted(plan.sources.suspects),
            "vanished": list(plan.sources.vanished),
            "refusal": "" if shrinkage is None else str(shrinkage),
        },
        "problems": [asdict(problem) for problem in plan.catalogue.problems],
        "problem_kinds": [asdict(group) for group in groups],
        "stops": [group.kind for group in groups if group.kind in stopping],
    }


def _preview_memory(plan: Plan, processes: int | None) -> dict[str, Any]:
    """Bytes a worker needs for the items of each size, and what an embedded worker may take."""
    needs = declare_memory(plan.to_do, plan.config)
    usable = usable_bytes(embedded_memory_bytes(processes))
    by_size = {f"{need.width}x{need.height}": need for need in reversed(needs)}
    return {
        "bytes_by_size": {size: need.bytes for size, need in reversed(by_size.items())},
        "worker_bytes": usable,
        "too_large": [need.item_id for need in needs if need.bytes > usable],
    }
