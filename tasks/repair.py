"""Make corrupt things again: frames from their source, results from intact frames by the recorded methods.

Files of a run's record count only when their recorded digest is met.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

from ldp_core.archive import Address, Archive, Section
from ldp_core.archive.audit import (
    Corruption,
    Damage,
    audit_group,
    audit_item,
    is_same,
    move_corrupt,
    read_remains,
    repair_group,
    repair_pair,
    repair_sidecar,
)
from ldp_core.archive.layout import FRAME_SECTION, METADATA_NAME, RUNS, TRUTHS, address_of
from ldp_core.archive.run_files import list_runs
from ldp_core.cameras.matching import assign_cameras
from ldp_core.catalogue import Selection, SourceOptions, catalogue_to_jsonl, load_pair, read_catalogue
from ldp_core.errors import ItemDamagedError, ItemMissingError, LdpError
from ldp_core.images.traits import SHOT_NAMES
from ldp_core.item_ids import split_item_key
from ldp_core.metrics.summary import scores_table
from ldp_core.storage import join, write_bytes
from ldp_core.types import GENERIC_CAMERA, Item, Score
from tasks.archived import read_again
from tasks.cluster import RunCalls
from tasks.items import Failed, provenance_of, restore_item
from tasks.pipeline import ARCHIVE_KINDS, Pipeline, pipeline_for, pipelines_for
from tasks.progress import advance, expect
from tasks.run import Run
from tasks.sources import without_revisions
from tasks.stage import PipelineConfig, Stage
from tasks.stages import SCORE
from tasks.stored_run import to_lines


class RepairOutcome(StrEnum):
    """What became of something corrupt."""

    IDENTICAL = "identical"
    """Made again; its recorded digest was met."""
    REMADE = "remade"
    """Made again by its stage key; nothing recorded its digest any more, or it came out different."""
    NOT_REPAIRED = "not_repaired"


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of one corrupt path, and why not where it could not be repaired."""

    path: str
    outcome: RepairOutcome
    reason: str = ""


@dataclass(slots=True)
class RebuildPlan:
    """One item with what is corrupt of it: where it came from, and the configuration that makes each result.

    ``refusals``: why a result cannot be made again, by its stage key. ``sections``: wherever runs left
    results of this item.
    """

    corrupt: dict[Address, Damage] = field(default_factory=dict)
    item: Item | None = None
    configs: dict[str, PipelineConfig] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    sections: set[Section] = field(default_factory=set)

    @property
    def of_pair(self) -> list[Address]:
        """What is corrupt of the frames and their measured map."""
        return [address for address in self.corrupt if address.section in (FRAME_SECTION, TRUTHS)]

    @property
    def of_results(self) -> list[Address]:
        """What is corrupt of the results."""
        return [address for address in self.corrupt if address.section.is_result]


def repair_archive(
    archive: str, corrupt: Iterable[Corruption], run_calls: RunCalls, *, when: str
) -> dict[str, Repair]:
    """Make again what can be made again, by path: groups, items, then the records, which draw on them."""
    found = tuple(corrupt)
    repairs = [*_repair_groups(archive, found, when), *_repair_items(archive, found, run_calls, when)]
    repairs += _repair_runs(archive, found, when)
    return {repair.path: repair for repair in repairs}


def _repair_groups(archive: str, corrupt: Iterable[Corruption], when: str) -> Iterator[Repair]:
    for one in corrupt:
        if one.path.rpartition("/")[2] == METADATA_NAME:
            repair_group(archive, one.path, when=when)
            still = audit_group(archive, one.path)
            yield _not(one.path, "still altered") if still else Repair(one.path, RepairOutcome.IDENTICAL)


def _repair_items(
    archive: str, corrupt: Iterable[Corruption], run_calls: RunCalls, when: str
) -> list[Repair]:
    plans = plan_rebuilding(archive, corrupt)
    expect("repair", len(plans))
    repairs: list[Repair] = []
    for outcomes in run_calls(rebuild_item, ((archive, plan, when) for plan in plans)):
        repairs += outcomes
        advance("repair", bad=any(one.outcome is RepairOutcome.NOT_REPAIRED for one in outcomes))
    return sorted(repairs, key=lambda one: one.path)


def plan_rebuilding(archive: str, corrupt: Iterable[Corruption]) -> list[RebuildPlan]:
    """How the corrupt items can be made again, from the records of the archive's runs, the newest first."""
    plans: dict[str, RebuildPlan] = {}
    for one in corrupt:
        if (address := address_of(one.path, ARCHIVE_KINDS)) is not None:
            plans.setdefault(address.item, RebuildPlan()).corrupt[address] = one.damage
    wanted: dict[str, list[str]] = {}
    for key in plans:
        wanted.setdefault(split_item_key(key)[0], []).append(key)
    for run_id in list_runs(archive) if plans else ():
        try:
            run = Run(archive, run_id)
            items, refusal = run.catalogue.items, _refuse(run)
            found = run.found if run.is_finished else {}
            for item in items:
                for key in wanted.get(item.id, ()):
                    if item.key == key or item.id not in found:
                        _add(plans[key], replace(item, version=split_item_key(key)[1]), run, refusal)
        except (ItemMissingError, ItemDamagedError):
            continue
    return list(plans.values())


def _add(plan: RebuildPlan, item: Item, run: Run, refusal: str) -> None:
    plan.item = plan.item or item
    plan.sections.update(run.sections)
    made = () if refusal or not run.specs else pipeline_for(run.config, item).keys.values()
    plan.configs |= {key: run.config for key in made if key not in plan.configs}
    for section in run.sections:
        if section.stage_key not in made:
            plan.refusals.setdefault(section.stage_key, refusal or _name_other_version(run))


def _refuse(run: Run) -> str:
    """Why this installation cannot repeat any stage of a run, or nothing where it can."""
    try:
        pipelines_for(run.config, run.catalogue.items)
    except LdpError as error:
        return _describe(error)
    return ""


def _name_other_version(run: Run) -> str:
    written = run.environment.get("ldp", "another version")
    return f"this installation makes other results than the ldp {written} of {run.run_id}"


def rebuild_item(archive: str, plan: RebuildPlan, when: str) -> list[Repair]:
    """Make again all that is corrupt of one item, its frames first."""
    repairs = _rebuild_pair(archive, plan, when) if plan.of_pair else []
    if any(one.outcome is RepairOutcome.NOT_REPAIRED for one in repairs):
        return repairs + [_not(address.path, "its frames are corrupt") for address in plan.of_results]
    for config, addresses in _by_config(plan):
        repairs += _rebuild_results(config, plan, addresses, when)
    covered = {one.path for one in repairs}
    return repairs + [
        _not(address.path, plan.refusals.get(address.stage_key, "no run's record names it"))
        for address in plan.of_results
        if address.path not in covered
    ]


def _rebuild_pair(archive: str, plan: RebuildPlan, when: str) -> list[Repair]:
    if plan.item is None:
        return [_not(address.path, "no run's record says where it came from") for address in plan.of_pair]
    try:
        known = [*_remains_of_frames(archive, plan), *_recorded_inputs(archive, plan)]
        pair = load_pair(plan.item)
        provenance = provenance_of(plan.item, pair.doubts)
        repair_pair(archive, pair, plan.of_pair, known=known, provenance=provenance, when=when)
    except LdpError as error:
        return [_not(address.path, _describe(error)) for address in plan.of_pair]
    return [_check(archive, address, RepairOutcome.IDENTICAL) for address in plan.of_pair]


def _remains_of_frames(archive: str, plan: RebuildPlan) -> Iterator[str]:
    """What the metadata of the frames says, unless they are another item's."""
    for address in plan.of_pair[:1]:
        frames = Address(FRAME_SECTION, address.item)
        if plan.corrupt.get(frames) is not Damage.MISPLACED:
            yield read_remains(archive, frames).decode(errors="replace")


def _recorded_inputs(archive: str, plan: RebuildPlan) -> Iterator[str]:
    """Digests of the pair that intact results were made from."""
    if plan.item is None:
        return
    for section in plan.sections:
        try:
            record = Archive(archive).read_attributes(section.kind, section.stage_key, plan.item.key)
            yield str(record["input"])
        except (ItemMissingError, ItemDamagedError):
            continue


def _by_config(plan: RebuildPlan) -> Iterator[tuple[PipelineConfig, list[Address]]]:
    groups: dict[PipelineConfig, list[Address]] = {}
    for address in plan.of_results:
        if (config := plan.configs.get(address.stage_key)) is not None:
            groups.setdefault(config, []).append(address)
    yield from groups.items()


def _rebuild_results(
    config: PipelineConfig, plan: RebuildPlan, addresses: list[Address], when: str
) -> list[Repair]:
    """Move corrupt results away and send the item through its pipeline again; intact ones are only read."""
    if plan.item is None:
        return []
    pipeline = pipeline_for(config, plan.item)
    whole = {address.stage_key for address in addresses if not address.kind.owner}
    alone = [a for a in addresses if a.kind.owner and a.stage_key not in whole]
    repairs = [_rebuild_sidecar(config, pipeline, address, when) for address in alone]
    rest = [address for address in addresses if address not in alone]
    if not rest:
        return repairs
    remains = {address: read_remains(config.archive, address) for address in rest}
    for address in rest:
        move_corrupt(config.archive, _with_sidecars(address), when=when)
    wanted = _with_inputs(pipeline, {address.stage_key for address in rest})
    result = restore_item(config, plan.item, pipeline.labels, wanted=wanted)
    if isinstance(result, Failed):
        return repairs + [_not(address.path, f"moved away; {result.record.message}") for address in rest]
    return repairs + [_compare(config.archive, address, remains[address]) for address in rest]


def _with_inputs(pipeline: Pipeline, keys: Collection[str]) -> frozenset[str]:
    """Labels of the stages with these keys, and of all that they are made from."""
    labels = {stage.label for stage in pipeline.stages if stage.key in keys}
    for stage in reversed(pipeline.stages):
        labels |= {*stage.inputs} if stage.label in labels else set()
    return frozenset(labels)


def _with_sidecars(address: Address) -> tuple[str, ...]:
    """The objects of a result, with those of its sidecars, which are written with it."""
    owned = (kind for kind in ARCHIVE_KINDS if kind.owner == address.kind.name)
    sidecars = (path for kind in owned for path in address.sidecar(kind).object_paths)
    return (*address.object_paths, *sidecars)


def _rebuild_sidecar(config: PipelineConfig, pipeline: Pipeline, address: Address, when: str) -> Repair:
    """Make a product again for its sidecar alone, from the archived products it is made of."""
    archive = Archive(config.archive)
    try:
        stage = next(stage for stage in pipeline.stages if stage.key == address.stage_key)
        pair, inputs = archive.read_pair(address.item), _read_inputs(archive, pipeline, stage, address.item)
        pixels = stage.definition.sidecar(stage.definition.run(stage, pair, inputs), address.kind)
        owner = Address(stage.section, address.item)
        repair_sidecar(config.archive, address, owner, pixels, when=when)
    except LdpError as error:
        return _not(address.path, _describe(error))
    return _check(config.archive, address, RepairOutcome.IDENTICAL)


def _read_inputs(archive: Archive, pipeline: Pipeline, stage: Stage, item: str) -> dict[str, object]:
    stages = {label: pipeline[label] for label in stage.inputs}
    return {label: one.definition.read(archive, one, item) for label, one in stages.items()}


def _compare(archive: str, address: Address, remains: bytes) -> Repair:
    try:
        same = is_same(archive, address, remains)
    except (ItemMissingError, ItemDamagedError) as error:
        return _not(address.path, _describe(error))
    return _check(archive, address, RepairOutcome.IDENTICAL if same else RepairOutcome.REMADE)


def _check(archive: str, address: Address, outcome: RepairOutcome) -> Repair:
    """The outcome, once the item has been hashed again."""
    found = [one for one in audit_item(archive, address, ARCHIVE_KINDS) if one.path == address.path]
    return _not(address.path, f"still {found[0].damage}") if found else Repair(address.path, outcome)


def _repair_runs(archive: str, corrupt: Iterable[Corruption], when: str) -> list[Repair]:
    """What became of each corrupt file of a run's record; those that others need come first."""
    of_runs = [one for one in corrupt if one.path.startswith(f"{RUNS}/")]
    return [_repair_run_file(archive, one, when) for one in sorted(of_runs, key=lambda one: one.path)]


def _repair_run_file(archive: str, corrupt: Corruption, when: str) -> Repair:
    _, run_id, name = corrupt.path.split("/")
    make = _MAKERS.get(name)
    if make is None or not corrupt.expected:
        return _not(corrupt.path, "nothing else holds what it says")
    try:
        contents = {hashlib.sha256(content).hexdigest(): content for content in make(Run(archive, run_id))}
    except LdpError as error:
        return _not(corrupt.path, f"{type(error).__name__}: {_describe(error)}")
    if corrupt.expected not in contents:
        return _not(corrupt.path, f"made again, it comes out different: {next(iter(contents))}")
    move_corrupt(archive, [corrupt.path], when=when)
    write_bytes(join(archive, corrupt.path), contents[corrupt.expected])
    return Repair(corrupt.path, RepairOutcome.IDENTICAL)


def _make_catalogue(run: Run) -> Iterator[bytes]:
    """As written now, and as earlier versions wrote it, which recorded no EXIF and no revisions."""
    summary, asked = run.summary, run.asked
    if asked.get("from_archive"):
        yield catalogue_to_jsonl(read_again(run, _choose_again(run))).encode()
        return
    found = read_catalogue(
        summary.source,
        layout=summary.layout,
        dataset=summary.dataset,
        pixels=run.config.pixels,
        options=SourceOptions(asked.get("pair_by", ""), asked.get("methods", {}), _choose_again(run)),
    )
    found = assign_cameras(found, asked.get("camera", GENERIC_CAMERA))
    for items in (found.items, tuple(map(_without_exif, found.items))):
        yield catalogue_to_jsonl(replace(found, items=items)).encode()
        yield catalogue_to_jsonl(replace(found, items=tuple(map(without_revisions, items)))).encode()


def _without_exif(item: Item) -> Item:
    kept = {name: value for name, value in item.metadata.items() if name not in SHOT_NAMES}
    return replace(item, metadata=kept)


def _choose_again(run: Run) -> Selection:
    """The part of the items that a run was over: those that came through, and those that did not."""
    if not run.asked.get("partial"):
        return Selection()
    return Selection(places=frozenset({*run.found, *(record.item for record in run.summary.quarantine)}))


def _make_quarantine(run: Run) -> Iterator[bytes]:
    yield to_lines(asdict(record) for record in run.summary.quarantine)


def _make_scores(run: Run) -> Iterator[bytes]:
    keys = {item: run.key_of(SCORE, pipeline) for pipeline, items in run.listed.items() for item in items}
    scores: list[Score] = []
    for key in run.completed:
        scores += Archive(run.archive).read_scores(keys.get(split_item_key(key)[0], ""), key)
    yield scores_table(scores, run.names, run.metadata)
    yield scores_table(scores, run.names)  # as earlier versions wrote it
    yield scores_table(scores)


_MAKERS: Mapping[str, Callable[[Run], Iterator[bytes]]] = {
    "catalogue.jsonl": _make_catalogue,
    "quarantine.jsonl": _make_quarantine,
    "scores.parquet": _make_scores,
}


def _not(path: str, reason: str) -> Repair:
    return Repair(path, RepairOutcome.NOT_REPAIRED, reason)


def _describe(error: LdpError) -> str:
    return str(error).replace("\n ", ";")
