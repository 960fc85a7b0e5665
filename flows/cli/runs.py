"""Verbs that work on the items of a dataset: what a run would do, the run itself, its frames alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from flows.cli import console, options, parsing
from flows.cli.run_results import print_plan, print_summary
from flows.exits import EXIT_BAD_ITEMS, exits
from flows.settings_file import METHOD_STAGES
from ldp_core.errors import SettingsError
from ldp_core.protocols import ScoringOptions
from ldp_core.types import GENERIC_CAMERA

app = typer.Typer()


@options.command(app, options.DATASETS)
def restore(
    context: typer.Context,
    source: options.SourceOfRun = None,
    from_archive: options.FromArchive = None,
    layout: options.Layout = "folders",
    dataset: options.Dataset = None,
    pair_by: options.PairBy = "",
    method: options.Methods = None,
    limit: options.Limit = None,
    sample: options.Sample = None,
    seed: options.Seed = 0,
    ids: options.Ids = None,
    where: options.Where = "",
    since: options.Since = "",
    only_quarantined: Annotated[
        str | None,
        options.source_option(
            "--only-quarantined",
            metavar="RUN",
            help="Only what this run quarantined; what is not given (source, layout, methods) is as then.",
        ),
    ] = None,
    peak: options.Peak = None,
    to_srgb: options.ToSrgb = False,
    estimator: options.Estimator = "disparity",
    deblurrer: options.Deblurrer = "ldp",
    settings: options.Settings = None,
    baseline: options.Baselines = None,
    protocol: options.Protocols = None,
    lpips_weights: options.LpipsWeights = "",
    camera: options.Camera = GENERIC_CAMERA,
    cluster: options.Cluster = None,
    insecure_cluster: options.InsecureCluster = False,
    resource: options.Resource = "",
    workers: options.Workers = None,
    max_bad: options.MaxBad = 0.05,
    allow_single: options.AllowSingle = False,
    verify_sources: options.VerifySources = False,
    allow_shrink: options.AllowShrink = False,
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    report_items: options.ReportItems = 200,
    prices: options.Prices = None,
    as_json: options.Json = False,
    log_json: options.LogJson = False,
) -> None:
    """Restore every item of a dataset and write a report. What the archive has is not computed again."""
    with exits():
        chosen = parsing.parse_settings(settings, METHOD_STAGES)
        asked = _ask_for(pair_by, method, limit, sample, seed, ids, where, since)
        arguments = {
            "source": source,
            "layout": layout,
            "dataset": dataset,
            "estimator": estimator,
            "deblurrer": deblurrer,
            **{f"{stage}_settings": values for stage, values in chosen.items()},
            "baselines": baseline or (),
            "protocols": protocol or (),
            "lpips_weights": lpips_weights,
            "camera": camera,
            "max_bad": max_bad,
            "peak": peak,
            "to_srgb": to_srgb,
            **asked,
        }
        if from_archive is not None:
            archive = _take_archive(context, from_archive, archive)
            arguments |= _FROM_ARCHIVE
        if only_quarantined is not None:
            arguments |= _as_in_run(context, archive, only_quarantined, arguments)
        _require_source(arguments)
        parsing.require_camera(arguments["camera"])  # a mistake is told before a server starts
        summary = show_restore(
            as_json=as_json,
            prices=prices,
            archive=archive,
            cluster=cluster,
            insecure_cluster=insecure_cluster,
            resource=resource,
            processes=workers,
            report_items=report_items,
            verify_sources=verify_sources,
            allow_shrink=allow_shrink,
            allow_single=allow_single,
            **arguments,
        )
    _exit_for(summary)


@options.command(app, options.DATASETS)
def ingest(
    source: options.Source,
    layout: options.Layout = "folders",
    dataset: options.Dataset = None,
    pair_by: options.PairBy = "",
    method: options.Methods = None,
    limit: options.Limit = None,
    sample: options.Sample = None,
    seed: options.Seed = 0,
    ids: options.Ids = None,
    where: options.Where = "",
    since: options.Since = "",
    camera: options.Camera = GENERIC_CAMERA,
    peak: options.Peak = None,
    to_srgb: options.ToSrgb = False,
    cluster: options.Cluster = None,
    insecure_cluster: options.InsecureCluster = False,
    workers: options.Workers = None,
    max_bad: options.MaxBad = 0.05,
    allow_single: options.AllowSingle = False,
    verify_sources: options.VerifySources = False,
    allow_shrink: options.AllowShrink = False,
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    prices: options.Prices = None,
    as_json: options.Json = False,
    log_json: options.LogJson = False,
) -> None:
    """Archive the frames of a dataset and restore nothing; a later `ldp restore` finds them there."""
    from flows.launch import run_ingest
    from tasks.costs import read_prices

    with exits():
        priced = read_prices(prices)
        parsing.require_camera(camera)  # a mistake is told before a server starts
        asked = _ask_for(pair_by, method, limit, sample, seed, ids, where, since)
        with console.showing_progress():
            summary = run_ingest(
                source=source,
                layout=layout,
                archive=archive,
                dataset=dataset,
                cluster=cluster,
                processes=workers,
                max_bad=max_bad,
                peak=peak,
                to_srgb=to_srgb,
                allow_single=allow_single,
                verify_sources=verify_sources,
                allow_shrink=allow_shrink,
                camera=camera,
                insecure_cluster=insecure_cluster,
                **asked,
            )
    console.print_json(summary) if as_json else print_summary(summary, priced)
    _exit_for(summary)


@options.command(app, options.DATASETS)
def plan(
    context: typer.Context,
    source: options.SourceOfRun = None,
    from_archive: options.FromArchive = None,
    layout: options.Layout = "folders",
    dataset: options.Dataset = None,
    pair_by: options.PairBy = "",
    method: options.Methods = None,
    limit: options.Limit = None,
    sample: options.Sample = None,
    seed: options.Seed = 0,
    ids: options.Ids = None,
    where: options.Where = "",
    since: options.Since = "",
    peak: options.Peak = None,
    to_srgb: options.ToSrgb = False,
    estimator: options.Estimator = "disparity",
    deblurrer: options.Deblurrer = "ldp",
    settings: options.Settings = None,
    baseline: options.Baselines = None,
    protocol: options.Protocols = None,
    lpips_weights: options.LpipsWeights = "",
    camera: options.Camera = GENERIC_CAMERA,
    workers: options.Workers = None,
    allow_single: options.AllowSingle = False,
    archive: options.Archive = options.DEFAULT_ARCHIVE,
    report_items: options.ReportItems = 200,
    prices: options.Prices = None,
    as_json: options.Json = False,
) -> None:
    """Show what `ldp restore` would do: items, problems, bytes, memory, time, what is archived already."""
    from flows.preview import preview_run
    from flows.source_options import make_source_options

    with exits():
        chosen = parsing.parse_settings(settings, METHOD_STAGES)
        place: dict[str, Any] = {"source": source, "layout": layout}
        if from_archive is not None:
            archive = _take_archive(context, from_archive, archive)
            place = {**_FROM_ARCHIVE}
        _require_source(place)
        preview = preview_run(
            archive=archive,
            **place,
            dataset=dataset,
            estimator=(estimator, chosen["estimator"]),
            deblurrer=(deblurrer, chosen["deblurrer"]),
            processes=workers,
            single_settings=(chosen["single_estimator"], chosen["single_deblurrer"]),
            baselines=baseline or (),
            scoring=ScoringOptions.of(protocol or (), lpips_weights),
            camera=camera,
            pixels=parsing.parse_pixels(peak, to_srgb),
            allow_single=allow_single,
            report_items=report_items,
            prices=prices,
            options=make_source_options(**_ask_for(pair_by, method, limit, sample, seed, ids, where, since)),
        )
    console.print_json(preview) if as_json else print_plan(preview)


def _ask_for(
    pair_by: str,
    method: list[str] | None,
    limit: int | None,
    sample: int | None,
    seed: int,
    ids: str | None,
    where: str,
    since: str,
) -> dict[str, Any]:
    """What is asked of a source, as flows take it."""
    return {
        "pair_by": pair_by,
        "methods": parsing.parse_methods(method),
        "limit": limit,
        "sample": sample,
        "seed": seed,
        "ids": parsing.read_ids(ids),
        "where": where,
        "since": since,
    }


_FROM_ARCHIVE: Mapping[str, Any] = {"from_archive": True, "source": "", "layout": ""}
_OF_SOURCES = {
    "source": "SOURCE",
    "layout": "--layout",
    "pair_by": "--pair-by",
    "method": "--method",
    "peak": "--peak",
    "to_srgb": "--to-srgb",
    "camera": "--camera",
    "allow_single": "--allow-single",
    "verify_sources": "--verify-sources",
    "allow_shrink": "--allow-shrink",
}
"""What says how a source is read. An archive has been read: its items are as they were then."""


def _require_source(arguments: Mapping[str, Any]) -> None:
    if arguments["source"] is None:
        remedy = "name a folder or a manifest, or give --from-archive"
        raise SettingsError("no source is named", where="SOURCE", remedy=remedy)


def _take_archive(context: typer.Context, address: str, archive: str) -> str:
    """The archive to work from and to write to; what would be asked of a source is refused.

    Raises:
        SettingsError: something of a source, or another archive, is given as well.
    """
    from ldp_core.storage import absolute_url

    given = [option for name, option in _OF_SOURCES.items() if options.is_given(context, name)]
    if given:
        raise SettingsError(
            "an archive is not read again as a source is",
            where=", ".join(given),
            expected="--from-archive without it: items are as they were archived, with camera and full scale",
            remedy="leave it out, or give the source instead of --from-archive",
        )
    if options.is_given(context, "archive") and absolute_url(archive) != absolute_url(address):
        raise SettingsError(
            "results go into the archive that they are made from",
            where="--archive",
            expected=address,
            got=archive,
            remedy="leave out --archive",
        )
    return address


_ALIASES = {"baselines": "baseline", "methods": "method", "protocols": "protocol"}
"""Parameters of flows by the names that they have as options, where these differ."""
_KNOWN_BAD = 1.0
"""The share of bad items that is allowed where all of them were bad before."""


def _as_in_run(
    context: typer.Context, archive: str, run_id: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """What a run was asked to do, but for what was given to this command."""
    from flows.source_options import find_run_source
    from ldp_core.storage import absolute_url

    def is_given(name: str) -> bool:
        if name.endswith("_settings"):
            return bool(arguments[name])
        if name in _FROM_ARCHIVE and arguments.get("from_archive"):
            return True
        return options.is_given(context, _ALIASES.get(name, name))

    recorded = find_run_source(absolute_url(archive), run_id) | {"max_bad": _KNOWN_BAD}
    taken = {name: value for name, value in recorded.items() if not is_given(name)}
    return {**taken, "only_quarantined": run_id}


def show_restore(*, as_json: bool, prices: str | None = None, **arguments: Any) -> dict[str, Any]:
    from flows.launch import run_restore
    from tasks.costs import read_prices

    priced = read_prices(prices)
    with console.showing_progress():
        summary = run_restore(**arguments)
    console.print_json(summary) if as_json else print_summary(summary, priced)
    return summary


def _exit_for(summary: Mapping[str, Any]) -> None:
    if summary["items"]["quarantined"]:
        raise typer.Exit(EXIT_BAD_ITEMS)
