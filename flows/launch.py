"""How a command starts a run: in this process where nothing is left to compute, else as a Prefect flow.

Where a Prefect server is configured every run is a flow, so that the server shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from flows.engine import server_is_configured
from flows.finished import record_finished
from flows.planning import prepared, restore_config
from flows.source_options import choose_quarantined, make_source_options
from ldp_core.cameras.matching import shared_camera
from ldp_core.catalogue import SourceOptions, check_source
from ldp_core.images.scale import parse_peak
from ldp_core.storage import shared_url
from ldp_core.types import GENERIC_CAMERA, PixelOptions
from tasks.finished import read_all_finished
from tasks.plan import Plan, make_checked_plan
from tasks.stage import PipelineConfig

_OF_METHODS: Final = (
    *("estimator", "estimator_settings", "deblurrer", "deblurrer_settings", "baselines", "peak", "to_srgb"),
    *("single_estimator_settings", "single_deblurrer_settings", "from_archive", "protocols"),
    "lpips_weights",
)
_OF_SOURCE: Final = ("allow_single", "verify_sources", "allow_shrink")
_OF_CHOICE: Final = ("pair_by", "methods", "limit", "sample", "seed", "ids", "where", "since")


def run_restore(**parameters: Any) -> dict[str, Any]:
    """`flows.restore.restore_dataset` with these parameters; its summary."""
    plan: Plan | None = None
    if server_is_configured():
        _check_source(parameters)
    else:
        config = restore_config(shared_url(parameters["archive"]), **_choose(parameters, _OF_METHODS))
        plan = _make_plan(config, parameters)
        results = read_all_finished(plan, scored=True)
        if results is not None:
            shown = _choose(parameters, ("max_bad", "report_items"))
            return asdict(record_finished("restore", plan, results, pipelines=plan.pipelines, **shown))
    from flows.engine import prefect_engine
    from flows.restore import restore_dataset

    with prefect_engine(), prepared(plan):
        summary: dict[str, Any] = restore_dataset(**parameters)
    return summary


def run_ingest(**parameters: Any) -> dict[str, Any]:
    """`flows.ingest.ingest_dataset` with these parameters; its summary."""
    plan: Plan | None = None
    if server_is_configured():
        _check_source(parameters)
    else:
        pixels = PixelOptions(parse_peak(parameters.get("peak")), parameters.get("to_srgb", False))
        config = PipelineConfig(shared_url(parameters["archive"]), pixels=pixels)
        plan = _make_plan(config, parameters)
        results = read_all_finished(plan, scored=False)
        if results is not None:
            shown = _choose(parameters, ("max_bad",))
            return asdict(record_finished("ingest", plan, results, **shown))
    from flows.engine import prefect_engine
    from flows.ingest import ingest_dataset

    with prefect_engine(), prepared(plan):
        summary: dict[str, Any] = ingest_dataset(**parameters)
    return summary


def _check_source(parameters: Mapping[str, Any]) -> None:
    """Refuse what every run would refuse, before the flow begins."""
    if parameters.get("from_archive"):
        return
    check_source(
        shared_url(parameters["source"]),
        layout=parameters["layout"],
        dataset=parameters.get("dataset"),
        allow_single=parameters.get("allow_single", False),
        options=_options_of(parameters),
    )


def _make_plan(config: PipelineConfig, parameters: Mapping[str, Any]) -> Plan:
    cluster, resource = parameters.get("cluster") or "", parameters.get("resource", "")
    if cluster or resource:
        from tasks.cluster_checks import check_address  # what it refuses is told before a source is read

        check_address(cluster, insecure=parameters.get("insecure_cluster", False), resource=resource)
    return make_checked_plan(
        config,
        "" if config.from_archive else shared_url(parameters["source"]),
        parameters["layout"],
        parameters.get("dataset"),
        camera=shared_camera(parameters.get("camera", GENERIC_CAMERA)),
        options=_options_of(parameters),
        **_choose(parameters, _OF_SOURCE),
    )


def _options_of(parameters: Mapping[str, Any]) -> SourceOptions:
    options = make_source_options(**_choose(parameters, _OF_CHOICE))
    if run_id := parameters.get("only_quarantined"):
        return choose_quarantined(options, shared_url(parameters["archive"]), run_id)
    return options


def _choose(parameters: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: parameters[name] for name in names if name in parameters}
