"""A catalogue as JSON lines: a header, then one line per item, then one per problem.

The same catalogue gives the same bytes: keys sorted, ASCII only, a line feed after every line. The header
counts the lines, so that a text cut short is noticed. External results stand as ``peers``, as ever; what an
item says of its version, camera, peak, colours, name, mask and further columns, and a picture of its
revision, is left out where it says nothing particular.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ldp_core.errors import CatalogueError, count_of
from ldp_core.types import GENERIC_CAMERA, Catalogue, Item, Problem

SCHEMA = "ldp-catalogue"
VERSION = 1
WRITTEN_LATER = "a later version of ldp wrote this catalogue"


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CatalogueHeader(_Line):
    """What its first line says: how many items and problems follow."""

    schema_name: str = Field(alias="schema")
    version: int
    dataset: str
    layout: str
    source: str
    items: int
    problems: int


class _ItemLine(_Line):
    item: Item


class _ProblemLine(_Line):
    problem: Problem


_LineType = TypeVar("_LineType", bound=_Line)
_ITEM = TypeAdapter(Item)
_EXTERNAL_KEY = '"peers":'
_DEFAULTS = {
    "version": 1,
    "camera": GENERIC_CAMERA,
    "peak": None,
    "colour": "",
    "to_srgb": False,
    "name": "",
    "metadata": {},
    "mask": None,
}
"""Of fields that came later: texts without them are the same as before."""
_ROLES = ("left", "right", "target", "blur_truth", "mask")
_PROBLEM = TypeAdapter(Problem)


def catalogue_to_jsonl(catalogue: Catalogue) -> str:
    """The catalogue as text; `catalogue_from_jsonl` gives it back equal."""
    return "".join(_dump(record) + "\n" for record in _list_records(catalogue))


def catalogue_from_jsonl(text: str) -> Catalogue:
    """The catalogue in a text.

    Raises:
        CatalogueError: the text is of another schema or version, cut short, or a line is not valid.
    """
    header, items, problems = _split(text)
    return Catalogue(
        dataset=header.dataset,
        layout=header.layout,
        source=header.source,
        items=tuple(_parse_items(items)),
        problems=tuple(line.problem for line in _parse_all(_ProblemLine, problems, first=2 + len(items))),
    )


def items_from_jsonl(text: str) -> Iterator[Item]:
    """The items of a catalogue one by one, for callers that keep few of them; errors as above."""
    return _parse_items(_split(text)[1])


def rows_from_jsonl(text: str) -> Iterator[dict[str, Any]]:
    """The items of a catalogue as they stand there, unparsed.

    Raises:
        CatalogueError: as `catalogue_from_jsonl`, but for what a line says of its item.
        ValueError: a line is no JSON.
    """
    return (json.loads(line)["item"] for line in _split(text)[1])


def header_from_jsonl(line: str) -> CatalogueHeader:
    """What the first line of a catalogue says.

    Raises:
        CatalogueError: it is of another schema or version, or not valid.
    """
    try:
        found = json.loads(line)
        got = (found["schema"], found["version"])
    except (ValueError, RecursionError, TypeError, KeyError):
        got = ("no header", 0)
    if got == (SCHEMA, VERSION):
        return _parse_line(CatalogueHeader, line, number=1)
    is_later = got[0] == SCHEMA and isinstance(got[1], int) and got[1] > VERSION
    raise CatalogueError(
        WRITTEN_LATER if is_later else "this is not a catalogue that can be read",
        expected=f"{SCHEMA} version {VERSION}",
        got=" version ".join(map(str, got)),
        remedy="install that version, or a later one" if is_later else "make it again from its source",
    )


def _split(text: str) -> tuple[CatalogueHeader, list[str], list[str]]:
    """The header, the lines of the items, and those of the problems."""
    head, *lines = text.split("\n")
    header = header_from_jsonl(head)
    if len(lines) != header.items + header.problems + 1 or lines[-1]:
        items, problems = count_of(header.items, "item"), count_of(header.problems, "problem")
        raise CatalogueError(
            "the catalogue is cut short or has been added to",
            expected=f"{items} and {problems}, each on a line of its own",
            got=f"{count_of(len(lines) - 1, 'line')} after the header",
            remedy="make it again from its source",
        )
    return header, lines[: header.items], lines[header.items : -1]


def _parse_items(lines: Iterable[str]) -> Iterator[Item]:
    return (line.item for line in _parse_all(_ItemLine, map(_from_stored, lines), first=2))


def _list_records(catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    yield CatalogueHeader(
        schema=SCHEMA,
        version=VERSION,
        dataset=catalogue.dataset,
        layout=catalogue.layout,
        source=catalogue.source,
        items=len(catalogue.items),
        problems=len(catalogue.problems),
    ).model_dump(by_alias=True)
    for item in catalogue.items:
        yield {"item": _to_stored(_ITEM.dump_python(item, mode="json"))}
    for problem in catalogue.problems:
        yield {"problem": _PROBLEM.dump_python(problem, mode="json")}


def _to_stored(fields: dict[str, Any]) -> dict[str, Any]:
    fields["peers"] = fields.pop("external")
    usual = {name for name, value in _DEFAULTS.items() if fields[name] == value}
    pictures = [fields[role] for role in _ROLES if fields[role]]
    for picture in (*pictures, *fields["peers"].values(), *fields["auxiliary"].values()):
        if not picture["revision"]:
            del picture["revision"]
    return {name: value for name, value in fields.items() if name not in usual}


def _from_stored(line: str) -> str:
    """The line of an item with the names that `Item` has. Where the name stands once, it is the field."""
    if line.count(_EXTERNAL_KEY) == 1:
        return line.replace(_EXTERNAL_KEY, '"external":')
    try:
        record = json.loads(line)
        record["item"]["external"] = record["item"].pop("peers")
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return line
    return json.dumps(record)


def _dump(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def _parse_all(kind: type[_LineType], lines: Iterable[str], *, first: int) -> Iterator[_LineType]:
    for number, line in enumerate(lines, start=first):
        yield _parse_line(kind, line, number=number)


def _parse_line(kind: type[_LineType], line: str, *, number: int) -> _LineType:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors()[0]
        raise CatalogueError(
            "a line of the catalogue is not valid",
            where=f"line {number}",
            expected=", ".join(kind.model_fields),
            got=f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}",
            remedy="make it again from its source",
        ) from error
