"""Archive the frames of a dataset, and no more: no method runs, no accelerator is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifacts import RunArtifacts
from flows.dataset_run import BATCHES_AT_ONCE, record_run
from flows.deployed import read_deployed
from flows.finished import record_finished
from flows.planning import prepared_plan
from flows.source_options import make_source_options
from ldp_core.cameras.matching import shared_camera
from ldp_core.images.scale import parse_peak
from ldp_core.storage import shared_url
from ldp_core.types import GENERIC_CAMERA, PixelOptions
from tasks.batches import ingest_batch, plan_run, unvisited
from tasks.cluster import open_workers
from tasks.finished import read_all_finished, read_recorded
from tasks.progress import expect
from tasks.stage import PipelineConfig


@flow(
    name="ingest-dataset",
    task_runner=ThreadPoolTaskRunner(max_workers=BATCHES_AT_ONCE),  # type: ignore[arg-type]
    persist_result=False,
)
def ingest_dataset(
    source: str,
    layout: str,
    archive: str,
    dataset: str | None = None,
    cluster: str | None = None,
    processes: int | None = None,
    max_bad: float = 0.05,
    peak: int | str | None = None,
    to_srgb: bool = False,
    allow_single: bool = False,
    verify_sources: bool = False,
    allow_shrink: bool = False,
    camera: str = GENERIC_CAMERA,
    pair_by: str = "",
    methods: Mapping[str, str] | None = None,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    ids: Sequence[str] | None = None,
    where: str = "",
    since: str = "",
    insecure_cluster: bool = False,
    settings: str = "",
) -> dict[str, Any]:
    """Archive the frames of every pair of a dataset; those that are there are compared with their source.

    Args:
        source: folder or manifest of the dataset, any fsspec URL.
        layout: how the source is laid out, one of ``ldp_core.catalogue.LAYOUTS``.
        archive: where frames and the records of runs are kept, any fsspec URL.
        camera: profile of the camera; it may say which view is the left one, and along which axis they lie.
        cluster: address of a Dask scheduler; without one, workers are embedded in this process.
        insecure_cluster: allow a scheduler on another host that is reached without TLS.
        processes: embedded worker processes; one per core by default.
        max_bad: share of bad items above which the run stops; a single bad item never stops it.
        peak: pixel value of full scale of 16-bit pictures, such as 4095; ``full`` says that it is 65535.
        to_srgb: convert pictures that have a colour profile to sRGB.
        allow_single: go on where all second views, or all truths, of a folder are missing.
        verify_sources: decode every source again and compare its pixels with the archive; by default only
            those whose address, size, or ETag or time of the last change is another than in the run before.
        allow_shrink: go on though more than 5 % of the items of the run before are gone from the source, or
            have lost their truths.
        pair_by: regular expression over paths, with groups ``scene`` and ``role``, that pairs the pictures.
        methods: folders of other methods' results by the names of the methods.
        where: a condition on the items, such as ``camera == "pixel-4" and iso > 800``.
        since: only items of which a picture was changed since: a date, a time (UTC), an age such as ``12h``.
        limit: how many items at most, the first in id order.
        sample: how many items, drawn at random by ``seed``.
        ids: ids or names of the only items to be worked on.
        settings: of a deployment: a settings file (`flows.settings_file`) that has what its parameters do not
            name, or name as empty.

    Returns:
        The run's summary, as ``summary.json`` holds it: no stages, no metrics, no report.

    Raises:
        LdpError: the run as a whole cannot go on; single bad items go to quarantine instead.
    """
    if settings:
        return ingest_dataset.fn(**read_deployed(settings, of=ingest_dataset))
    config = PipelineConfig(shared_url(archive), pixels=PixelOptions(parse_peak(peak), to_srgb))
    options = make_source_options(
        pair_by, methods, limit=limit, sample=sample, seed=seed, ids=ids, where=where, since=since
    )
    plan = prepared_plan(config)
    if plan is None:
        planned = plan_run(
            unvisited(config),
            shared_url(source),
            layout,
            dataset,
            allow_single=allow_single,
            verify_sources=verify_sources,
            camera=shared_camera(camera),
            allow_shrink=allow_shrink,
            options=unvisited(options),
        )
        plan = planned.unquote()
        if (results := read_all_finished(plan, scored=False)) is not None:
            return asdict(record_finished("ingest", plan, results, max_bad=max_bad, artifacts=RunArtifacts))
    with open_workers(cluster, processes=processes, insecure=insecure_cluster) as workers:
        recorded, at_once = read_recorded(plan, scored=False), workers.processes + 1
        expect("ingest", len(plan.catalogue.items) - len(recorded))
        with record_run("ingest", plan, {}, max_bad=max_bad, artifacts=RunArtifacts) as run:
            run.run_batches(
                lambda batch: [ingest_batch.submit(unvisited(plan), batch, in_flight=at_once)],
                recorded=recorded,
                at_once=at_once,
            )
    return asdict(run.finished_summary)
