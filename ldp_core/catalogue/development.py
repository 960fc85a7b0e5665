"""Stored pictures that are no views yet, to views: one named rule for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ldp_core.catalogue.layouts.canon_r6m2 import MEAN_TARGET, average_target
from ldp_core.catalogue.layouts.pixel4_raw import PIXEL4_RAW, develop_pixel4_raw
from ldp_core.errors import CatalogueError
from ldp_core.types import Pixels

Development = Callable[[Mapping[str, Pixels]], dict[str, Pixels]]
"""Every picture of an item by role, auxiliary ones included, to ``left``, ``right`` and ``target``."""

DEVELOPMENTS: Mapping[str, Development] = {
    MEAN_TARGET: average_target,
    PIXEL4_RAW: develop_pixel4_raw,
}


def find_development(name: str, *, where: str) -> Development:
    """The rule of that name.

    Raises:
        CatalogueError: there is none; the catalogue was written by another version.
    """
    if name not in DEVELOPMENTS:
        raise CatalogueError(
            "this item is developed by an unknown rule",
            where=where,
            expected=", ".join(DEVELOPMENTS),
            got=name,
            remedy="read the catalogue again with this version",
        )
    return DEVELOPMENTS[name]
