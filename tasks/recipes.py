"""How rotten items can be made again: from which source, by which recorded methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ldp_core.archive.addresses import TRUTH, Address, ItemKind
from ldp_core.archive.run_records import list_runs
from ldp_core.errors import CatalogueError, ItemDamagedError, ItemMissingError, LdpError
from ldp_core.types import Item
from tasks.job import Job, stages_for
from tasks.records import RunRecord, read_record
from tasks.runs import read_start


@dataclass(slots=True)
class Recipe:
    """One item with what is rotten of it: where it came from, and the job that makes each result.

    ``refusals``: why a result cannot be made again, by its stage key. ``keys``: all the places where
    runs left results of this item.
    """

    addresses: list[Address] = field(default_factory=list)
    item: Item | None = None
    jobs: dict[str, Job] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    keys: set[tuple[ItemKind, str]] = field(default_factory=set)

    @property
    def rotten_pair(self) -> list[Address]:
        """What is rotten of the frames and their measured map."""
        return [a for a in self.addresses if a.kind is ItemKind.FRAMES or a.stage_key == TRUTH]

    @property
    def rotten_results(self) -> list[Address]:
        """What is rotten of the results, in the order of the stages."""
        return [a for a in self.addresses if a not in self.rotten_pair]


def find_recipes(archive: str, rotten: Iterable[Address]) -> Mapping[str, Recipe]:
    """Recipes by item, from the records of the archive's runs, the newest first."""
    recipes: dict[str, Recipe] = {}
    for address in rotten:
        recipes.setdefault(address.item_id, Recipe()).addresses.append(address)
    for run_id in list_runs(archive) if recipes else ():
        try:
            record = read_record(archive, run_id)
            items = read_start(archive, run_id)[1].items
        except (ItemMissingError, ItemDamagedError, CatalogueError, ValueError):
            continue
        refusal = _refuse(record, items)
        for item in items:
            if (recipe := recipes.get(item.id)) is not None:
                _add(recipe, item, record, refusal)
    return recipes


def _add(recipe: Recipe, item: Item, record: RunRecord, refusal: str) -> None:
    recipe.item = recipe.item or item
    recipe.keys.update(record.sections)
    for _, key in record.sections_of(not item.has_both_views):
        if refusal:
            recipe.refusals.setdefault(key, refusal)
        else:
            recipe.jobs.setdefault(key, record.job)


def _refuse(record: RunRecord, items: Iterable[Item]) -> str:
    """Why this installation cannot repeat a run, or nothing where it can."""
    if not record.sections:
        return ""
    try:
        same = stages_for(record.job, items) == (record.stages, record.single_stages)
    except LdpError as error:
        return str(error).replace("\n ", ";")
    written = record.environment.get("ldp", "another version")
    return "" if same else f"this installation makes other results than the ldp {written} of {record.run_id}"
