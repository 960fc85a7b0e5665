"""Catalogues as JSON lines: typed refusals of what is not one. The round trip is a law of its own."""

from __future__ import annotations

import json

import pytest

from ldp_core.catalogue import catalogue_from_jsonl, catalogue_to_jsonl
from ldp_core.errors import CatalogueError
from ldp_core.types import Catalogue, ImageRef, Item, Problem

LEFT = ImageRef("s3://b/é\u2028_l.png", 4, 5, 3, 16, 99)
ITEM = Item("d/a", LEFT, LEFT, target=LEFT, external={"z": LEFT, "a": LEFT})
PROBLEM = Problem("x", "stray_file", "line\nfeed", "do")
CATALOGUE = Catalogue("d", "folders", "s3://b", (ITEM, ITEM), (PROBLEM,))
TEXT = catalogue_to_jsonl(CATALOGUE)


def test_shape_of_the_text() -> None:
    head, *lines = TEXT.splitlines()
    assert json.loads(head) == {
        "schema": "ldp-catalogue",
        "version": 1,
        "dataset": "d",
        "layout": "folders",
        "source": "s3://b",
        "items": 2,
        "problems": 1,
    }
    assert [next(iter(json.loads(line))) for line in lines] == ["item", "item", "problem"]
    assert TEXT.isascii()


def test_same_catalogue_same_bytes() -> None:
    turned = Item("d/a", LEFT, LEFT, target=LEFT, external={"a": LEFT, "z": LEFT})
    assert catalogue_to_jsonl(Catalogue("d", "folders", "s3://b", (turned, turned), (PROBLEM,))) == TEXT


def change_line(number: int, **changes: object) -> str:
    lines = TEXT.splitlines()
    record = json.loads(lines[number])
    target = record.get("item", record)
    target.update(changes)
    lines[number] = json.dumps(record)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "cannot|can be read"),
        ("left,right\n", "can be read"),
        ("[1]\n", "can be read"),
        ("[" * 100_000, "can be read"),
        (change_line(0, schema="other"), "got: other version 1"),
        (change_line(0, version=2), "got: ldp-catalogue version 2"),
        (change_line(0, items="2"), "line 1"),
        (change_line(0, more=1), "line 1"),
        (TEXT[: len(TEXT) // 2], "cut short"),
        (TEXT[:-1], "cut short"),
        (TEXT + TEXT.splitlines()[1] + "\n", "cut short"),
        (change_line(1, id=7), "line 2"),
        (change_line(1, extra=7), "line 2"),
        (change_line(1, left=None), "line 2"),
        (change_line(1, left={"uri": "a"}), "line 2"),
        (change_line(2, blur_truth_kind="metres"), "line 3"),
        ("\n".join([*TEXT.splitlines()[:3], "{}"]) + "\n", "line 4"),
        ("\n".join([*TEXT.splitlines()[:3], "nonsense"]) + "\n", "line 4"),
    ],
)
def test_what_is_no_catalogue_is_refused(text: str, match: str) -> None:
    with pytest.raises(CatalogueError, match=match):
        catalogue_from_jsonl(text)
