"""Make rotten items again: frames from their source, results from intact frames by the recorded methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ldp_core.archive import Archive
from ldp_core.archive.addresses import Address, ItemKind
from ldp_core.archive.audit import Damage, Rot, audit_item
from ldp_core.archive.contents import address_of, object_paths
from ldp_core.archive.repair import is_same, mend_confidence, mend_pair, read_remains, set_aside
from ldp_core.catalogue import load_pair
from ldp_core.errors import ItemDamagedError, ItemMissingError, LdpError
from tasks.job import Job, all_stages, estimator_for
from tasks.progress import advance, expect
from tasks.recipes import Recipe, find_recipes
from tasks.spread import Spread
from tasks.stages import Failed, Work, provenance_of, restore_item


class Outcome(StrEnum):
    """What became of something rotten."""

    IDENTICAL = "identical"
    """Made again; its recorded digest was met."""
    REMADE = "remade"
    """Made again by its stage key; nothing recorded its digest any more, or it came out different."""
    NOT_MENDED = "not_mended"


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of one rotten path, and why not where it could not be mended."""

    path: str
    outcome: Outcome
    reason: str = ""


def repair_items(archive: str, rotten: Iterable[Rot], spread: Spread, *, when: str) -> list[Mended]:
    """Make again what can be made again, item by item. Runs' records are not among it."""
    by_address = {address: rot for rot in rotten if (address := address_of(rot.path)) is not None}
    recipes = find_recipes(archive, by_address)
    expect("repair", len(recipes))
    calls = ((archive, r, {a: by_address[a].damage for a in r.addresses}, when) for r in recipes.values())
    mended: list[Mended] = []
    for outcomes in spread(mend_item, calls):
        mended += outcomes
        advance("repair", bad=any(one.outcome is Outcome.NOT_MENDED for one in outcomes))
    return sorted(mended, key=lambda one: one.path)


def mend_item(archive: str, recipe: Recipe, damage: dict[Address, Damage], when: str) -> list[Mended]:
    """Mend all that is rotten of one item, its frames first."""
    mended: list[Mended] = []
    if recipe.rotten_pair:
        mended += _mend_pair(archive, recipe, damage, when)
    if any(one.outcome is Outcome.NOT_MENDED for one in mended):
        return mended + [_not(a, "its frames are rotten") for a in recipe.rotten_results]
    for job, addresses in _by_job(recipe):
        mended += _mend_results(job, recipe, addresses, when)
    covered = {one.path for one in mended}
    for address in recipe.rotten_results:
        if address.path not in covered:
            mended.append(_not(address, recipe.refusals.get(address.stage_key, "no run's record names it")))
    return mended


def _mend_pair(archive: str, recipe: Recipe, damage: dict[Address, Damage], when: str) -> list[Mended]:
    addresses = recipe.rotten_pair
    if recipe.item is None:
        return [_not(address, "no run's record says where it came from") for address in addresses]
    try:
        item_id = recipe.item.id
        known = [
            *_remains_of_frames(archive, item_id, damage),
            *_recorded_inputs(archive, item_id, recipe.keys),
        ]
        pair, provenance = load_pair(recipe.item), provenance_of(recipe.item)
        mend_pair(archive, pair, addresses, known=known, provenance=provenance, when=when)
    except LdpError as error:
        return [_not(address, _describe(error)) for address in addresses]
    return [_check(archive, address, Outcome.IDENTICAL) for address in addresses]


def _remains_of_frames(archive: str, item_id: str, damage: dict[Address, Damage]) -> Iterator[str]:
    """What the metadata of the frames says, unless they are another item's."""
    frames = Address(ItemKind.FRAMES, "", item_id)
    if damage.get(frames) is not Damage.MISPLACED:
        yield read_remains(archive, frames).decode(errors="replace")


def _recorded_inputs(archive: str, item_id: str, keys: Iterable[tuple[ItemKind, str]]) -> Iterator[str]:
    """Digests of the pair that intact results were made from."""
    for kind, key in keys:
        try:
            yield str(Archive(archive).read_attributes(kind, key, item_id)["input"])
        except (ItemMissingError, ItemDamagedError):
            continue


def _by_job(recipe: Recipe) -> Iterator[tuple[Job, list[Address]]]:
    groups: dict[Job, list[Address]] = {}
    for address in recipe.rotten_results:
        if (job := recipe.jobs.get(address.stage_key)) is not None:
            groups.setdefault(job, []).append(address)
    yield from groups.items()


def _mend_results(job: Job, recipe: Recipe, addresses: list[Address], when: str) -> list[Mended]:
    """Set rotten results aside and send the item through the stages again; intact ones are only read."""
    if recipe.item is None:
        return []
    maps = {a.stage_key for a in addresses if a.kind is ItemKind.BLUR}
    alone = [a for a in addresses if a.kind is ItemKind.CONFIDENCE and a.stage_key not in maps]
    mended = [_mend_confidence(job.for_item(recipe.item), address, when) for address in alone]
    rest = [address for address in addresses if address not in alone]
    if not rest:
        return mended
    remains = {address: read_remains(job.archive, address) for address in rest}
    for address in rest:
        set_aside(job.archive, _paths_of(address), when=when)
    result = restore_item(job, Work(recipe.item, all_stages(job)))
    if isinstance(result, Failed):
        return mended + [_not(address, f"set aside; {result.record.message}") for address in rest]
    return mended + [_compare(job.archive, address, remains[address]) for address in rest]


def _paths_of(address: Address) -> tuple[str, ...]:
    """The objects of a result, with those of its confidence, which is written with its map."""
    if address.kind is not ItemKind.BLUR:
        return object_paths(address)
    confidence = Address(ItemKind.CONFIDENCE, address.stage_key, address.item_id)
    return (*object_paths(address), *object_paths(confidence))


def _mend_confidence(job: Job, address: Address, when: str) -> Mended:
    try:
        blur_map = estimator_for(job.estimator).estimate(Archive(job.archive).read_pair(address.item_id))
        mend_confidence(job.archive, address, blur_map, when=when)
    except LdpError as error:
        return _not(address, _describe(error))
    return _check(job.archive, address, Outcome.IDENTICAL)


def _compare(archive: str, address: Address, remains: bytes) -> Mended:
    try:
        same = is_same(archive, address, remains)
    except (ItemMissingError, ItemDamagedError) as error:
        return _not(address, _describe(error))
    return _check(archive, address, Outcome.IDENTICAL if same else Outcome.REMADE)


def _check(archive: str, address: Address, outcome: Outcome) -> Mended:
    """The outcome, once the item has been hashed again."""
    rots = [rot for rot in audit_item(archive, address) if rot.path == address.path]
    return _not(address, f"still {rots[0].damage}") if rots else Mended(address.path, outcome)


def _not(address: Address, reason: str) -> Mended:
    return Mended(address.path, Outcome.NOT_MENDED, reason)


def _describe(error: LdpError) -> str:
    return str(error).replace("\n ", ";")
