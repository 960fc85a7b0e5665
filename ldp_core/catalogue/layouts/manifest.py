"""A table of pictures: CSV, JSON lines or Parquet.

The column ``left`` is required; ``right``, ``id``, ``target``, ``blur_truth`` and ``peer:<name>`` are
optional. A row without ``right`` is an item of a single view; without the column, no unknown column may be
there, as that may be a misspelt one. Paths are relative to the manifest, or absolute, or URLs. Without
``id`` an item is named after the file of its left view.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ldp_core.catalogue.drafts import BLUR_TRUTH, LEFT, RIGHT, TARGET, Draft, Drafts
from ldp_core.catalogue.tables import read_table
from ldp_core.errors import CatalogueError
from ldp_core.item_ids import is_unicode
from ldp_core.storage import absolute_url, join
from ldp_core.types import Problem

_EXTERNAL = "peer:"
_ROLES = (LEFT, RIGHT, TARGET, BLUR_TRUTH)
_KNOWN = "left, right, id, target, blur_truth, peer:<name>"


def read_manifest(source: str) -> Drafts:
    """Read the rows of a manifest; a row that cannot be an item is a problem.

    Raises:
        CatalogueError: the file cannot be read as a table, or a required column is missing.
    """
    table = read_table(source)
    roles = _find_roles(table.columns, source=source)
    manifest = absolute_url(source)
    problems = [_unread_column(manifest, name) for name in table.columns if name not in {*roles, "id"}]
    drafts: list[Draft] = []
    for number, row in table.rows:
        outcome = _read_row(row, roles, manifest=manifest, where=f"{manifest} row {number}")
        if isinstance(outcome, Draft):
            drafts.append(outcome)
        else:
            problems.append(outcome)
    return Drafts(tuple(drafts), tuple(problems))


def _find_roles(columns: tuple[str, ...], *, source: str) -> dict[str, str]:
    """Role of each picture column."""
    external = {name: name.removeprefix(_EXTERNAL) for name in columns if name.startswith(_EXTERNAL)}
    unknown = {*columns} - {*_ROLES, *external, "id"}
    needed = (LEFT, RIGHT) if unknown else (LEFT,)  # an unknown column may be a misspelt one
    if missing := [name for name in needed if name not in columns]:
        raise CatalogueError(
            f"the manifest has no column '{missing[0]}'",
            where=source,
            expected=_KNOWN,
            got=", ".join(columns),
            remedy="name the columns in the first row, or in every JSON object",
        )
    return {name: name for name in _ROLES if name in columns} | external


def _read_row(
    row: Mapping[str, Any], roles: Mapping[str, str], *, manifest: str, where: str
) -> Draft | Problem:
    for name in (*roles, "id"):
        cell = row.get(name, "")
        if not isinstance(cell, str) or not is_unicode(cell):
            return _bad_row(where, f"column '{name}' holds {cell!r}, not a text")
    cells = {roles[name]: row[name].strip() for name in roles if row.get(name, "").strip()}
    if LEFT not in cells:
        return _bad_row(where, f"column '{LEFT}' is empty")
    pictures = {role: resolve(path, manifest=manifest) for role, path in cells.items()}
    if pictures[LEFT] == pictures.get(RIGHT):
        return _bad_row(where, f"left and right are the same picture, {cells[LEFT]}")
    name = row.get("id", "").strip() or PurePosixPath(cells[LEFT]).stem
    return Draft(name, where, pictures)


def resolve(path: str, *, manifest: str) -> str:
    """The URL of a picture: as it stands where absolute, else beside the manifest."""
    if "://" in path or path.startswith("/"):
        return path
    scheme, mark, rest = manifest.rpartition("://")
    folder = posixpath.dirname(rest)
    return scheme + mark + posixpath.normpath(join(folder, path) if folder else path)


def _bad_row(where: str, message: str) -> Problem:
    return Problem(where, "bad_row", message, "correct this row of the manifest")


def _unread_column(manifest: str, name: str) -> Problem:
    return Problem(
        manifest,
        "unread_column",
        f"column '{name}' is not known and was not read; known are {_KNOWN}",
        "rename or drop the column",
        refuses_item=False,
    )
