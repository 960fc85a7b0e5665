"""Photographs and truths in two folders, as restoration sets name them; what is no pair stays as it was."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ldp_core import storage
from ldp_core.catalogue import read_catalogue
from ldp_core.images import encode_image
from ldp_core.types import Catalogue

ROOT = "memory://folders/set"


@pytest.fixture(autouse=True)
def _empty_store() -> Iterator[None]:
    yield
    MemoryFileSystem.store.clear()


def read(*paths: str, layout: str = "single") -> Catalogue:
    picture = encode_image(np.arange(64, dtype=np.uint8).reshape(8, 8, 1))
    for path in paths:
        storage.write_bytes(storage.join(ROOT, path), picture)
    return read_catalogue(ROOT, layout=layout)


def truths(catalogue: Catalogue) -> dict[str, str | None]:
    """Path of the truth by item id, both without the dataset."""
    return {
        item.id.removeprefix("set/"): item.target.uri.partition("/set/")[2] if item.target else None
        for item in catalogue.items
    }


def kinds(catalogue: Catalogue) -> list[str]:
    return [problem.kind for problem in catalogue.problems]


@pytest.mark.parametrize(
    ("photographs", "others"),
    [
        ("train/input", "train/gt"),
        ("train/Input", "train/GT"),
        ("INPUT", "Target"),
        ("blur", "sharp"),
        ("blur", "gt"),
        ("input", "sharp"),
        ("LQ", "HQ"),
        ("a/b/source", "a/b/target"),
        ("test/inputC", "test/target"),
    ],
)
def test_two_folders_are_photographs_and_truths(photographs: str, others: str) -> None:
    catalogue = read(f"{photographs}/x.png", f"{photographs}/s/y.png", f"{others}/x.png", f"{others}/s/y.png")
    above = photographs.rpartition("/")[0].replace("/", "-")
    names = [f"{above}-x", f"{above}-s-y"] if above else ["x", "s-y"]
    assert truths(catalogue) == {names[0]: f"{others}/x.png", names[1]: f"{others}/s/y.png"}
    assert kinds(catalogue) == []


def test_each_folder_has_its_own_pairs_and_what_lacks_a_truth_is_kept() -> None:
    catalogue = read(
        "train/blur/1.png", "train/sharp/1.png", "test/LQ/1.png", "test/GT/1.png", "test/LQ/2.png"
    )
    assert truths(catalogue) == {
        "train-1": "train/sharp/1.png",
        "test-1": "test/GT/1.png",
        "test-2": None,
    }
    assert kinds(catalogue) == []


def test_a_truth_without_its_photograph_is_named() -> None:
    catalogue = read("train/blur/1.png", "train/sharp/1.png", "train/sharp/2.png")
    assert list(truths(catalogue)) == ["train-1"]
    assert kinds(catalogue) == ["missing_partner"]


def test_folders_of_common_words_alone_hold_no_role() -> None:
    """Ids of sets that were read before stay; kinds of blur in folders of their own are photographs."""
    assert set(truths(read("train/input/a.png", "blur/b.png", "sharp/c.png"))) == {
        "train-input-a",
        "blur-b",
        "sharp-c",
    }


def test_folders_named_as_a_pair_without_a_common_name_are_reported() -> None:
    catalogue = read("blur/b.png", "sharp/c.png")
    assert set(truths(catalogue)) == {"blur-b", "sharp-c"}
    [note] = catalogue.problems
    assert note.kind == "folders_do_not_pair"
    assert not note.refuses_item


def test_unknown_folders_of_equal_names_are_reported() -> None:
    catalogue = read(*(f"{folder}/{name}.png" for folder in ("before", "after") for name in "abc"))
    assert len(catalogue.items) == 6
    [note] = catalogue.problems
    assert note.kind == "folders_of_equal_names"
    assert not note.refuses_item
    assert "before" in note.message
    assert note.where.endswith("after")


def test_folders_of_different_names_are_not_reported() -> None:
    assert (
        kinds(read("day/a.png", "day/b.png", "day/c.png", "night/c.png", "night/d.png", "night/e.png")) == []
    )


def test_input_and_truths_at_the_top_pair_before_other_folders() -> None:
    catalogue = read("input/a.png", "gt/a.png", "blur/a.png", "sharp/a.png")
    assert truths(catalogue) == {"a": "gt/a.png", "blur-a": None, "sharp-a": None}
    assert kinds(catalogue) == ["folders_of_equal_names"]


@pytest.mark.parametrize("folder", ["@eaDir", "#recycle", "__MACOSX", "$RECYCLE.BIN", "x/@eaDir/a.png"])
def test_pictures_of_storage_devices_are_no_items(folder: str) -> None:
    catalogue = read("input/a.png", "gt/a.png", f"{folder}/input/b.png", f"{folder}/gt/b.png", "Thumbs.db")
    assert truths(catalogue) == {"a": "gt/a.png"}
    [note] = catalogue.problems
    assert note.kind == "system_files"
    assert note.message.startswith("3 files")
    assert not note.refuses_item


def test_thumbnails_of_storage_devices_are_no_pairs() -> None:
    catalogue = read("left/a.png", "right/a.png", "left/@eaDir/b.png", "right/@eaDir/b.png", layout="folders")
    assert [item.id for item in catalogue.items] == ["set/a"]
    assert kinds(catalogue) == ["system_files"]


def test_folders_whose_names_only_resemble_those_of_systems_are_read() -> None:
    assert set(truths(read("eaDir/a.png", "recycle/b.png"))) == {"eadir-a", "recycle-b"}


COMPOSED, DECOMPOSED = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(("left", "right"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED), ("IMG", "img")])
def test_names_equal_but_for_case_and_form_of_accents_pair(left: str, right: str) -> None:
    catalogue = read(f"left/{left}.png", f"right/{right}.png", f"target/{right}.png", layout="folders")
    [item] = catalogue.items
    assert item.id == ("set/img" if left == "IMG" else "set/cafe")
    assert item.right is not None
    assert item.target is not None
    assert item.left.uri.endswith(f"{left}.png")
    assert kinds(catalogue) == []


def test_truths_pair_by_normalised_names() -> None:
    catalogue = read("train/blur/IMG_1.png", "train/sharp/img_1.png")
    assert truths(catalogue) == {"train-img_1": "train/sharp/img_1.png"}


def test_names_that_only_case_tells_apart_are_not_mixed() -> None:
    paths = ("left/A.png", "right/A.png", "left/a.png", "right/a.png", "left/b.png", "right/B.png")
    catalogue = read(*paths, layout="folders")
    assert [item.id for item in catalogue.items] == ["set/b"]
    assert kinds(catalogue) == ["duplicate_id", "duplicate_id"]
