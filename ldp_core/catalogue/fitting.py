"""Which layout has a place for the files of a source: a suggestion where another one was chosen."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Final

from ldp_core.catalogue.pairing import PICTURE_EXTENSIONS, ItemSpecs
from ldp_core.errors import LdpError, count_of
from ldp_core.types import Problem

LAYOUT_FITS_BETTER: Final = "layout_fits_better"
"""The kind of a problem: another layout has a place for more of the files."""

# Each layout lists the source once more, which takes a store 70 s for a million objects.
_MOST_FILES: Final = 100_000
_WITHOUT_PLACE: Final = {"stray_file", "format_not_read", "missing_partner"}
_NOT_SUGGESTED: Final = {"folders", "manifest", "single"}
"""``single`` has a place for every picture, a manifest for none."""
_MANIFESTS: Final = (".csv", ".jsonl", ".parquet")


def find_fitting_layout(root: str, paths: Collection[str], *, used: int, than: str) -> Problem | None:
    """The shipped layout that has a place for most files, as a problem; None where none has for more.

    Args:
        root: URL of the source.
        paths: its files, relative to it.
        used: how many of them have a place in the layout ``than``.
    """
    if len(paths) > _MOST_FILES:
        return None
    from ldp_core.catalogue.layouts import LAYOUTS  # it names the modules that suggest layouts

    names = [name for name in sorted(LAYOUTS.shipped) if name not in _NOT_SUGGESTED and name != than]
    counts = {name: _count_placed(name, root) for name in names}
    best = max(names, key=lambda name: counts[name], default="")
    if best and counts[best] > used:
        message = f"of the files, {counts[best]} fit the layout '{best}', {used} fit '{than}'"
        return _suggest(root, message, f"give --layout {best}")
    tables = [path for path in paths if "/" not in path and path.lower().endswith(_MANIFESTS)]
    if tables and not used:
        message = f"'{tables[0]}' may be a table of the pictures"
        return _suggest(root, message, "give its path as the source, and --layout manifest")
    pictures = sum(PurePosixPath(path).suffix.lower() in PICTURE_EXTENSIONS for path in paths)
    if pictures and not used and than != "folders":
        return _suggest(root, f"no place in '{than}' for {count_of(pictures, 'picture')}", _OTHERS)
    return None


_OTHERS: Final = (
    "try the layout 'folders', which reads left/, right/ and marks such as _L and _R, or 'single' for "
    "photographs without a second view"
)


def _suggest(root: str, message: str, remedy: str) -> Problem:
    return Problem(root, LAYOUT_FITS_BETTER, message, remedy, refuses_item=False)


def _count_placed(layout: str, root: str) -> int:
    """How many files have a place in a layout; none where it finds no item."""
    from ldp_core.catalogue.layouts import LAYOUTS

    try:
        found = LAYOUTS[layout](root)
    except LdpError:
        return 0
    return _count_files(found) if found.items else 0


def _count_files(found: ItemSpecs) -> int:
    lost = sum(problem.kind in _WITHOUT_PLACE for problem in found.problems)
    return len(found.revisions) - lost
