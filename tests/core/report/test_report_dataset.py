"""The dataset card: every fact of a catalogue, in words, and a digest that depends on pixels alone."""

from __future__ import annotations

from dataclasses import replace

from ldp_core.report import describe_dataset
from ldp_core.report.facts import digest_items
from ldp_core.types import BlurTruthKind, Catalogue, ImageRef, Item, Problem, Region


def _ref(width: int = 840, height: int = 560, channels: int = 3, bit_depth: int = 8) -> ImageRef:
    return ImageRef("s3://bucket/picture.png", height, width, channels, bit_depth, 1_500_000)


def _item(name: str, ref: ImageRef | None = None, **fields: object) -> Item:
    ref = ref or _ref()
    return Item(name, ref, ref, **fields)  # type: ignore[arg-type]


def _facts(*items: Item, digests: dict[str, str] | None = None, **fields: object) -> dict[str, str]:
    catalogue = replace(Catalogue("set", "folders", "s3://bucket/set", items), **fields)  # type: ignore[arg-type]
    return {fact.name: fact.text for fact in describe_dataset(catalogue, digests)}


def test_a_plain_dataset_in_words() -> None:
    facts = _facts(_item("set/a"), _item("set/b"))
    assert facts["Source"] == "s3://bucket/set"
    assert facts["Layout"] == "folders"
    assert facts["Pairs"] == "2"
    assert facts["Size"] == "840 x 560 px"
    assert facts["Pixels"] == "8 bit RGB"
    assert facts["Target"] == "none"
    assert facts["Scored region"] == "full"
    assert facts["Encoded size"] == "6.0 MB"
    assert "External results" not in facts
    assert "Digest of the pixels" not in facts


def test_what_differs_between_items_is_counted_the_most_frequent_first() -> None:
    deep = _ref(560, 840, channels=1, bit_depth=16)
    facts = _facts(_item("set/a", deep), _item("set/b"), _item("set/c"))
    assert facts["Size"] == "840 x 560 px (2), 560 x 840 px (1)"
    assert facts["Pixels"] == "8 bit RGB (2), 16 bit grey (1)"


def test_very_many_sizes_become_a_range() -> None:
    facts = _facts(*(_item(f"set/{n}", _ref(100 * n, 50 * n)) for n in range(1, 10)))
    assert facts["Size"] == "9 sizes, 100 x 50 to 900 x 450 px"


def test_truth_is_counted_and_its_meaning_named() -> None:
    truth = {"blur_truth": _ref(channels=1), "blur_truth_kind": BlurTruthKind.SIGNED_COC_PX}
    facts = _facts(
        _item("set/a", target=_ref(), aligned=False, **truth),
        _item("set/b", target=_ref(), external={"dpdnet": _ref()}, score_region=Region(top=44)),
    )
    assert facts["Target"] == "all pairs; displaced in 1"
    assert facts["Blur truth"] == "1 of 2 pairs; signed circle of confusion, px"
    assert facts["External results"] == "dpdnet"
    assert facts["Scored region"] == "full (1), rows 44: (1)"


def test_what_was_refused_stands_there() -> None:
    problems = (Problem("a", "bad_row", "empty"), Problem("b", "unread_column", "odd", refuses_item=False))
    facts = _facts(_item("set/a"), problems=problems)
    assert facts["Pairs"] == "1, 1 more refused"


def test_a_dataset_without_items_has_a_card() -> None:
    assert _facts()["Pairs"] == "0"


def test_the_digest_changes_with_a_pixel_or_a_name_and_with_nothing_else() -> None:
    digest = digest_items({"set/a": "1f", "set/b": "2e"})
    assert digest == digest_items({"set/b": "2e", "set/a": "1f"})
    assert digest != digest_items({"set/a": "1f", "set/b": "2f"})
    assert digest != digest_items({"set/a": "1f", "set/c": "2e"})
    assert _facts(_item("set/a"), _item("set/b"), digests={"set/a": "1f", "set/b": "2e"})[
        "Digest of the pixels"
    ] == (digest)


def test_a_digest_of_some_items_says_so() -> None:
    facts = _facts(_item("set/a"), _item("set/b"), digests={"set/a": "1f"})
    assert facts["Digest of the pixels"].endswith("(1 item)")
