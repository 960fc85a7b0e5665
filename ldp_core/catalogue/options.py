"""What is asked of a source besides its layout: a pattern for names, other methods, a part of its items."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from ldp_core.errors import CatalogueError, SettingsError, suggest
from ldp_core.item_ids import slug

T = TypeVar("T")
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of the items of a source: those named, then a random sample, then the first few in id order.

    ``ids`` are item ids, or names of items as the source has them; None: all items. ``places`` are
    further ids, and addresses of pictures whose items are meant; those that are gone are passed over.

    Raises:
        SettingsError: a count is not positive.
    """

    limit: int | None = None
    sample: int | None = None
    seed: int = 0
    ids: frozenset[str] | None = None
    places: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for option, count in (("--limit", self.limit), ("--sample", self.sample)):
            if count is not None and count < 1:
                raise SettingsError(
                    "a choice of no items", where=option, expected="1 or more", got=str(count)
                )

    @property
    def is_partial(self) -> bool:
        """Whether anything is chosen at all."""
        return (self.limit, self.sample, self.ids) != (None, None, None) or bool(self.places)

    def choose(self, named: Mapping[str, T], *, dataset: str) -> dict[str, T]:
        """The chosen ones of items by id. The values have a ``name``, ``where`` and ``pictures``.

        A sample of one seed draws the same items from the same ids.

        Raises:
            CatalogueError: an id is none of them, or nothing is left.
        """
        kept = sorted(named) if self.ids is None and not self.places else self._find(named, dataset)
        if self.sample is not None and self.sample < len(kept):
            kept = sorted(random.Random(self.seed).sample(kept, self.sample))
        return {item_id: named[item_id] for item_id in kept[: self.limit]}

    def _find(self, named: Mapping[str, T], dataset: str) -> list[str]:
        by_name = {getattr(spec, "name", ""): item_id for item_id, spec in named.items()}
        found: set[str] = set()
        unknown = []
        for text in sorted(self.ids or ()):
            plain = text.partition("@")[0]
            candidates = (plain, by_name.get(plain, ""), f"{dataset}/{plain}", f"{dataset}/{slug(plain)}")
            match = next((item_id for item_id in candidates if item_id in named), None)
            found |= {match} if match else set()
            unknown += [] if match else [text]
        found |= {item_id for item_id, spec in named.items() if self._is_placed(item_id, spec)}
        if unknown or not found:
            raise _refuse_ids(unknown, named)
        return sorted(found)

    def _is_placed(self, item_id: str, spec: object) -> bool:
        addresses = {item_id, getattr(spec, "where", ""), *getattr(spec, "pictures", {}).values()}
        return not self.places.isdisjoint(addresses)


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


def _refuse_ids(unknown: list[str], ids: Collection[str]) -> CatalogueError:
    some = ", ".join(sorted(ids)[:_NAMED])
    return CatalogueError(
        "these items are not in the source" if unknown else "none of the chosen items is in the source",
        where="--ids",
        expected=f"ids or names of its {len(ids)} items, such as {some}",
        got=", ".join(unknown[:_NAMED]) + (f" and {len(unknown) - _NAMED} more" if unknown[_NAMED:] else ""),
        remedy=(suggest(unknown[0], ids) if unknown else "") or "`ldp catalogue SOURCE` lists all ids",
    )
