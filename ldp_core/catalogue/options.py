"""What is asked of a source besides its layout: a pattern for names, other methods, a part of its items."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from ldp_core.catalogue.since import parse_since
from ldp_core.catalogue.where import Condition, facts_of, require_known
from ldp_core.errors import CatalogueError, SettingsError, count_of, suggest
from ldp_core.item_ids import make_segment
from ldp_core.types import Item

_NAMED: Final = 3
_LONGEST: Final = 100  # longer is no name, but a file of another kind


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of the items of a source: those named, then a random sample, then the first few in id order.

    ``ids`` are item ids, or names of items as the source has them; None: all items. ``places`` are
    further ids, and addresses of pictures whose items are meant; those that are gone are passed over.
    ``since`` keeps what has changed since that moment (`ldp_core.catalogue.since`); ``where`` is a
    condition on what is known of them (`ldp_core.catalogue.where`). Both come before the sample.

    Raises:
        SettingsError: a count is not positive, a condition or a moment is none.
    """

    limit: int | None = None
    sample: int | None = None
    seed: int = 0
    ids: frozenset[str] | None = None
    places: frozenset[str] = frozenset()
    where: str = ""
    since: str = ""

    def __post_init__(self) -> None:
        for option, count in (("--limit", self.limit), ("--sample", self.sample)):
            if count is not None and count < 1:
                raise SettingsError(
                    "a choice of no items", where=option, expected="1 or more", got=str(count)
                )
        if self.where:
            Condition(self.where)
        if self.since:
            parse_since(self.since)

    @property
    def is_partial(self) -> bool:
        """Whether anything is chosen at all."""
        counted = (self.limit, self.sample, self.ids) != (None, None, None)
        return counted or bool(self.places or self.where or self.since)

    @property
    def by_name(self) -> Selection:
        """The part of it that needs no picture to be opened."""
        return replace(self, limit=None, sample=None, where="") if self.where else self

    def choose_known(self, items: Sequence[Item]) -> list[Item]:
        """The rest of it, once items are known: of those that `by_name` chose.

        Raises:
            SettingsError: the condition asks for what no item tells.
            CatalogueError: it holds for no item.
        """
        if not self.where:
            return list(items)
        condition = Condition(self.where)
        facts = {item.id: facts_of(item) for item in items}
        require_known(condition, {name for known in facts.values() for name in known})
        fitting = {item.id: item for item in items if condition.holds(facts[item.id])}
        if not fitting:
            raise CatalogueError(
                "this condition holds for no item",
                where=f"--where {self.where}",
                got=count_of(len(items), "item"),
                remedy="`ldp catalogue SOURCE` shows what is known of each",
            )
        rest = Selection(limit=self.limit, sample=self.sample, seed=self.seed)
        return [fitting[item_id] for item_id in rest.choose(dict.fromkeys(fitting, ""), dataset="")]

    def choose(
        self,
        names: Mapping[str, str],
        *,
        dataset: str,
        addresses: Callable[[str], Collection[str]] = lambda item_id: (),
        changed: Callable[[list[str], datetime], Iterable[str]] = lambda ids, since: ids,
        option: str = "--ids",
        of_run: bool = False,
    ) -> list[str]:
        """The ids of the chosen items, sorted.

        A sample of one seed draws the same items from the same ids.

        Args:
            names: what the source calls its items, by id.
            addresses: of the pictures of an item, by its id.
            changed: which of some ids have changed since a moment, or may have.
            option: where ids are given, for errors.
            of_run: the items are those that came through a run, not those of a source.

        Raises:
            CatalogueError: an id is none of them, or nothing is left.
        """
        kept = sorted(names)
        if self.ids is not None or self.places:
            found, unknown = self._find(names, dataset)
            kept = sorted({*found, *self._find_placed(names, addresses)})
            if unknown or not kept:
                raise _refuse_ids(unknown, names, option=option, of_run=of_run)
        if self.since:
            kept = self._keep_changed(kept, changed)
        if self.sample is not None and self.sample < len(kept):
            kept = sorted(random.Random(self.seed).sample(kept, self.sample))
        return kept[: self.limit]

    def _keep_changed(
        self, ids: list[str], changed: Callable[[list[str], datetime], Iterable[str]]
    ) -> list[str]:
        moment = parse_since(self.since)
        if kept := sorted(changed(ids, moment)):
            return kept
        raise CatalogueError(
            "no item has changed since",
            where=f"--since {moment:%F %H:%M} UTC",
            got=f"{count_of(len(ids), 'item')}, too old",
            remedy="leave it out for all items: what is archived is not computed again",
        )

    def _find(self, names: Mapping[str, str], dataset: str) -> tuple[set[str], list[str]]:
        """The ids that are named, and what names no item."""
        by_name = {name: item_id for item_id, name in names.items()}
        found: set[str] = set()
        unknown = []
        for text in sorted(self.ids or ()):
            plain = text.partition("@")[0]
            candidates = (
                plain,
                by_name.get(plain, ""),
                f"{dataset}/{plain}",
                f"{dataset}/{make_segment(plain)}",
            )
            match = next((item_id for item_id in candidates if item_id in names), None)
            found |= {match} if match else set()
            unknown += [] if match else [text]
        return found, unknown

    def _find_placed(
        self, names: Iterable[str], addresses: Callable[[str], Collection[str]]
    ) -> Iterator[str]:
        if self.places:
            yield from (i for i in names if i in self.places or not self.places.isdisjoint(addresses(i)))


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What is asked of a source.

    ``pair_by``: a regular expression (`ldp_core.catalogue.pattern`). ``methods``: folders of results by the
    names of the methods that made them (`ldp_core.catalogue.external`).
    """

    pair_by: str = ""
    methods: Mapping[str, str] = field(default_factory=dict)
    selection: Selection = Selection()


WHOLE_SOURCE: Final = SourceOptions()
"""All items, by the names that the layout asks for."""


def _refuse_ids(unknown: list[str], ids: Collection[str], *, option: str, of_run: bool) -> CatalogueError:
    some = ", ".join(sorted(ids)[:_NAMED])
    place = "among those that came through the run" if of_run else "in the source"
    listed = "items.jsonl of the run lists all ids" if of_run else "`ldp catalogue SOURCE` lists all ids"
    return CatalogueError(
        f"these items are not {place}" if unknown else f"none of the chosen items is {place}",
        where=option,
        expected=f"ids or names of its items ({len(ids)}), such as {some}",
        got=", ".join(map(_shorten, unknown[:_NAMED]))
        + (f" and {len(unknown) - _NAMED} more" if unknown[_NAMED:] else ""),
        remedy=(suggest(unknown[0], ids) if unknown else "") or listed,
    )


def _shorten(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}... ({len(name)} letters)"
