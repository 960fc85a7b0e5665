"""Input and restored of the same items, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ldp_core.report.measures import Measure

FEW_ITEMS = 250
"""Up to as many items, each has a mark of its own that names it and opens it."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Values of a metric for input and restored, and what restoring gained, item by item."""

    measure: Measure
    items: tuple[str, ...]
    source: tuple[float, ...]
    restored: tuple[float, ...]

    @classmethod
    def of(cls, measure: Measure, source: Mapping[str, float], restored: Mapping[str, float]) -> Pairing:
        """The items that have both, in order of their ids."""
        items = tuple(sorted(source.keys() & restored.keys()))
        return cls(measure, items, tuple(source[i] for i in items), tuple(restored[i] for i in items))

    @property
    def gains(self) -> tuple[float, ...]:
        return tuple(
            self.measure.gain(after, over=before)
            for before, after in zip(self.source, self.restored, strict=True)
        )

    @property
    def few(self) -> bool:
        return len(self.items) <= FEW_ITEMS
