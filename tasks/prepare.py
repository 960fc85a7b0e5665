"""Prefect tasks that come before the batches: read the source, compare it with the archive."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.job import Job
from tasks.plan import Plan, make_plan


class Prepared:
    """A plan on its way through Prefect, which would walk through a dataclass item by item."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan


@task(cache_policy=NO_CACHE, persist_result=False)
def prepare_run(job: Job, source: str, layout: str, dataset: str | None) -> Prepared:
    """Catalogue a source and plan what is left to do for it."""
    return Prepared(make_plan(job, source, layout=layout, dataset=dataset))
