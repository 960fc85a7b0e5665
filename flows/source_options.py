"""What is asked of a source, from the plain values that commands and deployments give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ldp_core.catalogue import Selection, SourceOptions
from ldp_core.catalogue.since import parse_since
from ldp_core.credentials import hide
from ldp_core.errors import ItemMissingError
from ldp_core.storage import shared_url
from tasks.run import Run


def make_source_options(
    pair_by: str = "",
    methods: Mapping[str, str] | None = None,
    *,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    ids: Sequence[str] | None = None,
    where: str = "",
    since: str = "",
) -> SourceOptions:
    """Folders of methods as every worker finds them; an age as the moment that it means now.

    Raises:
        SettingsError: a count is not positive, or the condition or the moment is none.
        StorageError: a folder is in the memory of this process.
    """
    folders = {name: hide(shared_url(folder)) for name, folder in (methods or {}).items()}
    since = parse_since(since).isoformat() if since else ""
    named = None if ids is None else frozenset(ids)
    chosen = Selection(limit, sample, seed, named, where=where, since=since)
    return SourceOptions(pair_by, folders, chosen)


def choose_quarantined(options: SourceOptions, archive: str, run_id: str) -> SourceOptions:
    """The options with the quarantined items of a run as the only ones; those that are gone are left out.

    Raises:
        ItemMissingError: there is no such run, it did not come to its end, or it quarantined nothing.
    """
    records = Run(archive, run_id).summary.quarantine
    if not records:
        raise ItemMissingError(
            "this run quarantined nothing", where=run_id, remedy="leave out --only-quarantined"
        )
    # What the catalogue refused is known by the address of a picture or row, and has no id.
    places = frozenset(record.item for record in records)
    return replace(options, selection=replace(options.selection, places=places))


def find_run_source(archive: str, run_id: str) -> dict[str, object]:
    """Source, layout, dataset and methods of a run as its flow takes them.

    Raises:
        ItemMissingError: there is no such run.
        ItemDamagedError: its record cannot be read.
    """
    run = Run(archive, run_id)
    config, header, asked = run.config, run.header, run.asked
    return {
        "source": header.source,
        "layout": header.layout,
        "dataset": header.dataset,
        "estimator": config.pair.estimator.name,
        "estimator_settings": config.pair.estimator.values,
        "deblurrer": config.pair.deblurrer.name,
        "deblurrer_settings": config.pair.deblurrer.values,
        "single_estimator_settings": config.single.estimator.values,
        "single_deblurrer_settings": config.single.deblurrer.values,
        "baselines": tuple(method.name for method in config.baselines),
        "protocols": config.scoring.protocols,
        "lpips_weights": config.scoring.lpips_weights,
        "peak": config.pixels.peak,
        "to_srgb": config.pixels.to_srgb,
        **{n: asked[n] for n in ("camera", "pair_by", "methods", "from_archive") if n in asked},
    }
