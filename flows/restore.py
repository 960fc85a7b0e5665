"""The main job: a dataset of dual-pixel pairs in; archive, restored images, scores and report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifacts import RunArtifacts
from flows.dataset_run import BATCHES_AT_ONCE, DatasetRun, record_run
from flows.deployed import read_deployed
from flows.drawing import draw_pictures
from flows.finished import record_finished
from flows.planning import prepared_plan, restore_config
from flows.source_options import choose_quarantined, make_source_options
from ldp_core.cameras.matching import shared_camera
from ldp_core.storage import shared_url
from ldp_core.types import GENERIC_CAMERA
from tasks.batches import awaited, ingest_batch, plan_run, restore_batch, unvisited
from tasks.cluster import Workers, open_workers
from tasks.finished import read_all_finished, read_recorded
from tasks.needs import declare_memory, require_memory
from tasks.plan import Plan
from tasks.progress import expect
from tasks.reports import choose_drawn, report_url_of
from tasks.work import Batch, BatchResult


@flow(
    name="restore-dataset",
    task_runner=ThreadPoolTaskRunner(max_workers=2 * BATCHES_AT_ONCE),  # type: ignore[arg-type]
    persist_result=False,
)
def restore_dataset(
    source: str,
    layout: str,
    archive: str,
    dataset: str | None = None,
    estimator: str = "disparity",
    estimator_settings: Mapping[str, Any] | None = None,
    deblurrer: str = "ldp",
    deblurrer_settings: Mapping[str, Any] | None = None,
    single_estimator_settings: Mapping[str, Any] | None = None,
    single_deblurrer_settings: Mapping[str, Any] | None = None,
    baselines: Sequence[str] = (),
    protocols: Sequence[str] = (),
    lpips_weights: str = "",
    camera: str = GENERIC_CAMERA,
    cluster: str | None = None,
    processes: int | None = None,
    max_bad: float = 0.05,
    report_items: int = 200,
    peak: int | str | None = None,
    to_srgb: bool = False,
    allow_single: bool = False,
    verify_sources: bool = False,
    allow_shrink: bool = False,
    pair_by: str = "",
    methods: Mapping[str, str] | None = None,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    ids: Sequence[str] | None = None,
    where: str = "",
    since: str = "",
    only_quarantined: str = "",
    from_archive: bool = False,
    insecure_cluster: bool = False,
    resource: str = "",
    settings: str = "",
) -> dict[str, Any]:
    """Restore every item of a dataset and report on it; what the archive holds is not computed again.

    Items whose second view is missing go through methods that work on one view: those of the run
    where they do, else ``depth-distilled`` and ``bdir`` with the settings given for single views.

    Args:
        source: folder or manifest of the dataset, any fsspec URL.
        layout: how the source is laid out, one of ``ldp_core.catalogue.LAYOUTS``.
        archive: where frames, results and reports are kept, any fsspec URL.
        baselines: deblurrers that restore every item as well, to be scored beside the result.
        protocols: further protocols to score by, such as ``dpdd-8bit`` (`ldp_core.protocols.PROTOCOLS`).
        lpips_weights: a safetensors file; where protocols have LPIPS, it is scored with these weights.
        camera: profile of the camera, by name or address; ``auto`` chooses by what pictures tell (EXIF).
        cluster: address of a Dask scheduler; without one, workers are embedded in this process.
        insecure_cluster: allow a scheduler on another host that is reached without TLS.
        resource: restore only on workers of the cluster that have this resource of Dask, such as ``GPU``.
        processes: embedded worker processes; one per core by default.
        max_bad: share of bad items above which the run stops; a single bad item never stops it.
        report_items: how many items get pictures in the report: the worst, and a tenth drawn at random.
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
        only_quarantined: a run of this archive, of which only the quarantined items are worked on.
        from_archive: work on the archived items; neither ``source`` nor ``layout`` is looked at, ``dataset``
            names the dataset where the archive has several, items keep the cameras they were archived
            with, and ``since`` means when their frames were archived.

    Returns:
        The run's summary, as ``summary.json`` holds it.

    Raises:
        LdpError: the run as a whole cannot go on; single bad items go to quarantine instead.
    """
    if settings:
        return restore_dataset.fn(**read_deployed(settings, of=restore_dataset))
    source = "" if from_archive else shared_url(source)
    archive, camera = shared_url(archive), shared_camera(camera)
    options = make_source_options(
        pair_by, methods, limit=limit, sample=sample, seed=seed, ids=ids, where=where, since=since
    )
    if only_quarantined:
        options = choose_quarantined(options, archive, only_quarantined)
    config = restore_config(
        archive,
        estimator=estimator,
        estimator_settings=estimator_settings,
        deblurrer=deblurrer,
        deblurrer_settings=deblurrer_settings,
        single_estimator_settings=single_estimator_settings,
        single_deblurrer_settings=single_deblurrer_settings,
        baselines=baselines,
        peak=peak,
        to_srgb=to_srgb,
        from_archive=from_archive,
        protocols=protocols,
        lpips_weights=lpips_weights,
    )
    plan = prepared_plan(config)
    if plan is None:
        planned = plan_run(
            unvisited(config),
            source,
            layout,
            dataset,
            allow_single=allow_single,
            verify_sources=verify_sources,
            camera=camera,
            allow_shrink=allow_shrink,
            options=unvisited(options),
        )
        plan = planned.unquote()
        if (results := read_all_finished(plan, scored=True)) is not None:
            summary = record_finished(
                "restore",
                plan,
                results,
                pipelines=plan.pipelines,
                max_bad=max_bad,
                report_items=report_items,
                artifacts=RunArtifacts,
            )
            return asdict(summary)
    with open_workers(cluster, processes=processes, insecure=insecure_cluster, resource=resource) as workers:
        require_memory(declare_memory(plan.to_do, config), workers)
        recorded, at_once = read_recorded(plan, scored=True), workers.processes + 1
        for stage in ("ingest", "restore"):
            expect(stage, len(plan.catalogue.items) - len(recorded))
        with record_run(
            "restore",
            plan,
            plan.pipelines,
            max_bad=max_bad,
            draw=lambda run: _draw_chosen(run, workers, report_items),
            artifacts=RunArtifacts,
        ) as run:
            run.run_batches(
                lambda batch: _submit_batch(plan, batch, at_once, resource),
                recorded=recorded,
                at_once=at_once,
            )
    return asdict(run.finished_summary)


def _submit_batch(
    plan: Plan, batch: Batch, in_flight: int, resource: str
) -> tuple[PrefectFuture[BatchResult], ...]:
    ingested = ingest_batch.submit(unvisited(plan), batch, in_flight=in_flight)
    restored = restore_batch.submit(
        unvisited(plan), batch, ingested=awaited(ingested), in_flight=in_flight, resource=resource
    )
    return ingested, restored


def _draw_chosen(run: DatasetRun, workers: Workers, count: int) -> list[BatchResult]:
    report_url = report_url_of(run.run.archive, run.run.run_id)
    shown = choose_drawn(run.stats.items, count)
    return draw_pictures(run.plan.config, run.catalogue, shown, report_url, workers)
