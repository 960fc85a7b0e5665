"""A table of pictures: CSV, JSON lines or Parquet, read whole into memory.

The column ``left`` is required. Further pictures: ``right``, ``target``, ``blur_truth``, ``mask`` (white
where pixels are scored), ``method:<name>`` (also ``peer:<name>``). How an item is read and scored:
``peak`` (the pixel value of full scale, or ``full``),
``score_region`` (``rows 44:, columns 10:600``), ``aligned``, ``dp_axis``, ``camera``. A column of any other
name is kept as metadata of the items; one that names pictures is told, as it may be a misspelt one, and is
refused where there is no column ``right``. A row without ``right`` is an item of one view. Paths are relative
to the manifest, or absolute, or URLs. Without ``id`` an item is named after the file of its left view.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from ldp_core.catalogue.external import require_method_name
from ldp_core.catalogue.layouts.manifest_cells import (
    CAMERA,
    PARSERS,
    REGION,
    is_empty,
    names_picture,
    to_metadatum,
)
from ldp_core.catalogue.pairing import BLUR_TRUTH, LEFT, MASK, RIGHT, TARGET, ItemSpec, ItemSpecs
from ldp_core.credentials import hide, plain_of, redact
from ldp_core.errors import CatalogueError, SettingsError
from ldp_core.item_ids import is_unicode
from ldp_core.storage import absolute_url, join, read_bytes
from ldp_core.types import Problem

_EXTERNAL: Final = ("method:", "peer:")
_ROLES: Final = (LEFT, RIGHT, TARGET, BLUR_TRUTH, MASK)
_KNOWN: Final = ", ".join((LEFT, RIGHT, "id", TARGET, BLUR_TRUTH, MASK, "method:<name>", *PARSERS))

Row = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """Column names, and rows with the number a reader finds them by (a line, or from 1 in Parquet).

    A cell that is absent or null is not in its row.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_manifest(source: str) -> ItemSpecs:
    """Read the rows of a manifest; a row that cannot be an item is a problem.

    Raises:
        CatalogueError: the file cannot be read as a table, or a required column is missing.
        StorageError: there is no such file, or it cannot be reached.
    """
    table = _read_table(source)
    _require_unicode(table.columns, source=source)
    further = [name for name in table.columns if not _is_known(name)]
    doubtful = [name for name in further if any(names_picture(row.get(name)) for _, row in table.rows)]
    roles = _find_roles(table.columns, doubtful, source=source)
    manifest = absolute_url(source)
    problems = [_unread_column(manifest, name) for name in doubtful]
    items: list[ItemSpec] = []
    for number, row in table.rows:
        found = _read_row(row, roles, further, manifest=manifest, where=f"{manifest} row {number}")
        if isinstance(found, ItemSpec):
            items.append(found)
        else:
            problems.append(found)
    return ItemSpecs(tuple(items), tuple(problems))


def _require_unicode(columns: tuple[str, ...], *, source: str) -> None:
    """Names of columns become names of results in the archive."""
    for name in columns:
        if not is_unicode(name):
            raise CatalogueError("the name of a column is not Unicode", where=source, got=repr(name))


def _is_known(column: str) -> bool:
    return column in {*_ROLES, "id", *PARSERS} or column.startswith(_EXTERNAL)


def _find_roles(columns: tuple[str, ...], doubtful: Sequence[str], *, source: str) -> dict[str, str]:
    """Role of each picture column; ``doubtful`` columns name pictures, and may be misspelt."""
    external = {name: name.partition(":")[2] for name in columns if name.startswith(_EXTERNAL)}
    if len({*external.values()}) < len(external):
        raise CatalogueError("a method has two columns", where=source, got=", ".join(external))
    for name in external:
        require_method_name(external[name], where=f"{source}, column '{name}'")
    needed = (LEFT, RIGHT) if doubtful else (LEFT,)
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
    row: Mapping[str, Any], roles: Mapping[str, str], further: Sequence[str], *, manifest: str, where: str
) -> ItemSpec | Problem:
    for name in (*roles, "id"):
        cell = row.get(name, "")
        if not isinstance(cell, str) or not is_unicode(cell):
            return _bad_row(where, f"column '{name}' holds {cell!r}, not a text")
    cells = {roles[name]: row[name].strip() for name in roles if row.get(name, "").strip()}
    if LEFT not in cells:
        return _bad_row(where, f"column '{LEFT}' is empty")
    pictures = {role: _resolve(path, manifest=manifest) for role, path in cells.items()}
    if relative := [url for url in pictures.values() if re.match(r"(file|local)://(?!/)", url)]:
        return _bad_row(where, f"'{relative[0]}' is no whole address: write file:///, or the path alone")
    if pictures[LEFT] == pictures.get(RIGHT):
        return _bad_row(where, f"left and right are the same picture, {redact(cells[LEFT])}")
    name = row.get("id", "").strip() or PurePosixPath(plain_of(cells[LEFT])).stem
    values: dict[str, Any] = {}
    for column, parse in PARSERS.items():
        if not is_empty(row.get(column)):
            try:
                values[column] = parse(row[column])
            except (SettingsError, ValueError) as error:
                expected = error.expected if isinstance(error, SettingsError) else str(error)
                return _bad_row(where, f"column '{column}' holds {row[column]!r}; expected: {expected}")
    if str(values.get(CAMERA, "")).endswith(".json"):
        values[CAMERA] = _resolve(values[CAMERA], manifest=manifest)
    metadata = {column: to_metadatum(row[column]) for column in further if not is_empty(row.get(column))}
    return ItemSpec(name, where, pictures, own_region=REGION in values, metadata=metadata, **values)


def _resolve(path: str, *, manifest: str) -> str:
    """The URL of a picture: as it stands where absolute, else beside the manifest."""
    if "://" in path or path.startswith("/"):
        return hide(path)
    scheme, mark, rest = manifest.rpartition("://")
    folder = posixpath.dirname(rest)
    return scheme + mark + posixpath.normpath(join(folder, path) if folder else path)


def _bad_row(where: str, message: str) -> Problem:
    return Problem(where, "bad_row", message, "correct this row of the manifest")


def _unread_column(manifest: str, name: str) -> Problem:
    return Problem(
        manifest,
        "unread_column",
        f"column '{name}' names pictures and is kept as metadata only; known are {_KNOWN}",
        "rename the column if its pictures are to be read",
        refuses_item=False,
    )


def _read_table(url: str) -> Table:
    """The table in a file, by its extension."""
    extension = PurePosixPath(url).suffix.lower()
    if extension not in _READERS:
        raise CatalogueError(
            "this is not a manifest",
            where=url,
            expected=" or ".join(_READERS),
            got=extension or "no extension",
        )
    content = read_bytes(url)
    try:
        return _READERS[extension](content)
    except (ValueError, csv.Error) as error:
        raise CatalogueError(
            f"the manifest cannot be read as {extension[1:]}",
            where=url,
            got=str(error),
            remedy="correct the file, or write it again",
        ) from error


def _read_csv(content: bytes) -> Table:
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    columns = tuple(name.strip() for name in next(reader, []))
    if len(set(columns)) < len(columns):
        raise ValueError(f"a column name appears twice in {', '.join(columns)}")
    # Spreadsheets write rows without content as `,,`.
    rows = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    if wrong := [number for number, cells in rows if len(cells) != len(columns)]:
        raise ValueError(f"line {wrong[0]} does not have {len(columns)} cells")
    return Table(columns, tuple((number, dict(zip(columns, cells, strict=True))) for number, cells in rows))


def _read_jsonl(content: bytes) -> Table:
    rows = [
        (number, _parse_object(line, number))
        for number, line in enumerate(content.decode("utf-8-sig").split("\n"), start=1)
        if line.strip()
    ]
    return Table(tuple(dict.fromkeys(name for _, row in rows for name in row)), _drop_blank(rows))


def _parse_object(line: str, number: int) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number} is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"line {number} is not an object")
    return _drop_nulls(parsed)


def _read_parquet(content: bytes) -> Table:
    from pyarrow import parquet
    from pyarrow.lib import ArrowException

    try:
        table = parquet.read_table(io.BytesIO(content))
    except (ArrowException, OSError) as error:
        raise ValueError(str(error)) from error
    rows = enumerate(map(_drop_nulls, table.to_pylist()), start=1)
    return Table(tuple(table.column_names), _drop_blank(rows))


def _drop_blank(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Rows without content, which spreadsheets and data frames leave behind, are no items."""
    return tuple(row for row in rows if any(str(cell).strip() for cell in row[1].values()))


def _drop_nulls(row: dict[str, Any]) -> dict[str, Any]:
    return {name: cell for name, cell in row.items() if cell is not None}


_READERS: Final[Mapping[str, Callable[[bytes], Table]]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
