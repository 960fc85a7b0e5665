"""Tables of text: CSV, JSON lines and Parquet, whole in memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ldp_core.errors import CatalogueError
from ldp_core.storage import read_bytes

Row = tuple[int, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Table:
    """Column names, and rows with the number a reader finds them by (a line, or from 1 in Parquet).

    A cell that is absent or null is not in its row.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(url: str) -> Table:
    """The table in a file, by its extension.

    Raises:
        CatalogueError: the extension is unknown, or the file is not such a table.
        StorageError: there is no such file, or it cannot be reached.
    """
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
    rows = [(reader.line_num, cells) for cells in reader if cells]
    if wrong := [number for number, cells in rows if len(cells) != len(columns)]:
        raise ValueError(f"line {wrong[0]} does not have {len(columns)} cells")
    return Table(columns, tuple((number, dict(zip(columns, cells, strict=True))) for number, cells in rows))


def _read_jsonl(content: bytes) -> Table:
    rows = [
        (number, _parse_object(line, number))
        for number, line in enumerate(content.decode("utf-8-sig").split("\n"), start=1)
        if line.strip()
    ]
    return Table(tuple(dict.fromkeys(name for _, row in rows for name in row)), tuple(rows))


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
    return Table(tuple(table.column_names), tuple(rows))


def _drop_nulls(row: dict[str, Any]) -> dict[str, Any]:
    return {name: cell for name, cell in row.items() if cell is not None}


_READERS: dict[str, Callable[[bytes], Table]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
