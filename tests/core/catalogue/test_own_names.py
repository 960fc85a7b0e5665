"""Pictures under the names that their users gave: pairs, ids, other methods, what is told where none fits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ldp_core import storage
from ldp_core.catalogue import (
    SourceOptions,
    catalogue_from_jsonl,
    catalogue_to_jsonl,
    load_pair,
    read_catalogue,
)
from ldp_core.errors import CatalogueError, SettingsError
from ldp_core.images import encode_image
from ldp_core.types import Catalogue, Item

ROOT = "memory://own/set"
ROLES = ("left", "right", "target", "blur_truth")


@pytest.fixture(autouse=True)
def clean() -> None:
    MemoryFileSystem.store.clear()


def put(*names: str, root: str = ROOT) -> None:
    """Pictures of 6 x 8 px whose values tell their names apart."""
    for number, name in enumerate(names):
        storage.write_bytes(storage.join(root, name), encode_image(np.full((6, 8, 3), number + 1, np.uint8)))


def read(*, layout: str = "folders", **options: object) -> Catalogue:
    return read_catalogue(ROOT, layout=layout, options=SourceOptions(**options))  # type: ignore[arg-type]


def files_of(item: Item) -> dict[str, str]:
    """The files of an item by role, relative to the source."""
    known = {"left": item.left, "right": item.right, "target": item.target, "blur_truth": item.blur_truth}
    return {role: ref.uri.partition("/set/")[2] for role, ref in {**known, **item.external}.items() if ref}


def kinds(catalogue: Catalogue) -> list[str]:
    return [problem.kind for problem in catalogue.problems]


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (("left/IMG_0001_L.png", "right/IMG_0001_R.png", "target/IMG_0001.png"), "IMG_0001"),
        (("left/IMG_0001_l.png", "right/IMG_0001_r.png", "gt/IMG_0001_gt.png"), "IMG_0001"),
        (("left/a-left.png", "right/a-right.png", "GT/a.png"), "a"),
        (("Left/L_a.png", "Right/R_a.png", "sharp/a.png"), "a"),
        (("LEFT/a.tif", "RIGHT/a.png", "ground_truth/a.png"), "a"),
        (("l/a.png", "r/a.png", "Target/a.png"), "a"),
        (("train/left/a_L.png", "train/right/a_R.png", "train/gt/a_L.png"), "train/a"),
        (("left/test/a_L.png", "right/test/a_R.png", "target/test/a.png"), "test/a"),
        (("a_L.png", "a_R.png", "a_gt.png"), "a"),
        (("a_L.png", "a_R.png", "gt/a.png"), "a"),
        (("val/a_left.png", "val/a_right.png", "val/a_sharp.png"), "val/a"),
        (("scene 1/left.png", "scene 1/right.png", "scene 1/gt.png"), "scene 1"),
    ],
)
def test_names_of_users_pair_by_themselves(names: tuple[str, ...], name: str) -> None:
    put(*names)
    [item] = (found := read()).items
    assert files_of(item) == dict(zip(ROLES, names, strict=False))
    assert item.title == name
    assert found.problems == ()
    assert load_pair(item).has_both_views


@pytest.mark.parametrize(
    "names",
    [
        ("left/a_L.png", "right/a_L.png"),  # equal names pair as they are
        ("left/R_a.png", "right/R_a.png", "target/R_a.png"),
        ("left/left/a.png", "right/left/a.png"),
        ("left/gt/a_gt.png", "right/gt/a_gt.png", "target/gt/a_gt.png"),
    ],
)
def test_equal_names_stay_names(names: tuple[str, ...]) -> None:
    put(*names)
    [item] = read().items
    assert item.title == names[0].removeprefix("left/").removesuffix(".png")
    assert files_of(item) == dict(zip(ROLES, names, strict=False))


def test_a_mark_alone_makes_no_pair_and_renames_nothing() -> None:
    put("left/a_L.png", "left/b.png", "right/b.png", "right/c_L.png", "target/b.png")
    found = read()
    assert [item.title for item in found.items] == ["a_L", "b", "c_L"]
    assert kinds(found) == ["second_view_missing", "second_view_missing"]


def test_where_marks_pair_a_lone_view_loses_its_mark_too() -> None:
    """So that its item keeps its id when the other view comes."""
    put("left/a_L.png", "right/a_R.png", "left/b_L.png")
    assert [item.id for item in read().items] == ["set/a", "set/b"]


def test_folders_beside_usual_ones_hold_no_role() -> None:
    put("left/a.png", "right/a.png", "backup/left/a.png", "backup/right/a.png", "gt/a.png", "target/a.png")
    found = read()
    assert [list(files_of(item).values()) for item in found.items] == [
        ["left/a.png", "right/a.png", "target/a.png"]
    ]
    assert kinds(found) == ["stray_file"] * 3
    assert "--pair-by" in found.problems[0].remedy


def test_a_split_that_lost_its_right_views_is_told() -> None:
    put(*(f"train/{side}/{n}.png" for side in ("left", "right") for n in range(6)))
    put("val/left/1.png", "val/left/2.png")
    assert kinds(read()).count("folder_without_second_views") == 1


def test_of_two_truths_the_one_of_the_very_name_counts_and_the_other_is_named() -> None:
    put("left/a_L.png", "right/a_R.png", "target/a.png", "target/a_gt.png")
    [item] = (found := read()).items
    assert files_of(item)["target"] == "target/a.png"
    assert kinds(found) == ["missing_partner"]
    assert found.problems[0].where.endswith("target/a_gt.png")


class TestOtherMethods:
    def test_their_folders_in_the_source(self) -> None:
        put("left/a_L.png", "right/a_R.png", "methods/Restormer/a.png", "methods/ours/a_ours.png")
        [item] = (found := read()).items
        assert files_of(item)["Restormer"] == "methods/Restormer/a.png"
        assert item.external.keys() == {"Restormer", "ours"}
        assert found.problems == ()
        put("methods/restored/a.png")
        assert kinds(read()) == ["stray_file"]

    @pytest.mark.parametrize("layout", ["folders", "pixel4"])
    @pytest.mark.parametrize("name", ["a.png", "A.png", "a_NAF.png", "a_l.png", "test/a.png"])
    def test_their_folders_elsewhere(self, layout: str, name: str) -> None:
        views = ("a_l.png", "a_r.png") if layout == "pixel4" else ("left/a.png", "right/a.png")
        put(*views)
        put(name, root="memory://own/naf")
        [item] = (found := read(layout=layout, methods={"NAF": "memory://own/naf"})).items
        assert item.external["NAF"].uri == f"memory://own/naf/{name}"
        assert found.problems == ()

    def test_what_belongs_to_nothing_or_is_missing_is_counted(self) -> None:
        put("left/a.png", "right/a.png", "left/b.png", "right/b.png")
        put("a.png", "c.png", root="memory://own/naf")
        found = read(methods={"NAF": "memory://own/naf"})
        assert kinds(found) == ["method_incomplete", "method_without_item"]
        assert not any(problem.refuses_item for problem in found.problems)
        assert len(found.items) == 2

    def test_a_name_that_two_items_have_is_neither(self) -> None:
        put(*(f"{split}/{side}/a.png" for split in ("train", "test") for side in ("left", "right")))
        put("a.png", root="memory://own/naf")
        with pytest.raises(CatalogueError, match="no picture of this folder has the name of an item"):
            read(methods={"NAF": "memory://own/naf"})

    @pytest.mark.parametrize("name", ["restored", "left", "a/b", ""])
    def test_names_that_mean_something_else_are_refused(self, name: str) -> None:
        put("left/a.png", "right/a.png")
        with pytest.raises(SettingsError, match="cannot have this name"):
            read(methods={name: ROOT})


class TestPattern:
    @pytest.mark.parametrize(
        "pattern",
        [
            r"cam(?P<role>L|R|gt)/f(?P<scene>\d+)\.png",
            r"cam((?P<left>L)|(?P<right>R)|(?P<target>gt))/f(?P<scene>\d+)\.png",
        ],
    )
    def test_pairs(self, pattern: str) -> None:
        put("camL/f1.png", "camR/f1.png", "camgt/f1.png", "notes/f1.png")
        [item] = (found := read(pair_by=pattern)).items
        assert files_of(item) == {"left": "camL/f1.png", "right": "camR/f1.png", "target": "camgt/f1.png"}
        assert (item.id, kinds(found)) == ("set/1", ["stray_file"])

    def test_other_words_are_other_methods(self) -> None:
        put("1_L.png", "1_R.png", "1_NAF.png")
        [item] = read(pair_by=r"(?P<scene>.+)_(?P<role>\w+)\.png").items
        assert files_of(item)["NAF"] == "1_NAF.png"

    @pytest.mark.parametrize(
        ("pattern", "error", "told"),
        [
            (r"(?P<scene>.+", SettingsError, "no regular expression"),
            (r"(?P<scene>x{99999999999})(?P<role>L)", SettingsError, "no regular expression"),
            ("(" * 3000, SettingsError, "no regular expression"),
            (r"(.+)_(L|R)\.png", SettingsError, "named groups 'scene' and 'role'"),
            (r"(?P<scene>\d)-(?P<role>A|B)\.png", CatalogueError, "'1_A.png', '1_B.png', '2_A.png' ..."),
            (r"(?P<scene>\d)_(?P<role>A|B)\.png", CatalogueError, "'A' (2 files), 'B' (2 files)"),
        ],
    )
    def test_what_cannot_pair_is_refused_with_examples(
        self, pattern: str, error: type[Exception], told: str
    ) -> None:
        put("1_A.png", "1_B.png", "2_A.png", "2_B.png")
        with pytest.raises(error) as caught:
            read(pair_by=pattern)
        assert told in str(caught.value)
        assert "(?P<scene>" in str(caught.value)

    def test_a_layout_of_its_own_takes_no_pattern(self) -> None:
        put("1_l.png", "1_r.png")
        with pytest.raises(SettingsError, match="leave out --layout"):
            read(layout="pixel4", pair_by=r"(?P<scene>.+)_(?P<role>.)\.png")


class TestSuggestions:
    def test_a_layout_with_a_place_for_more_files_is_named(self) -> None:
        put(*(f"{n}_{suffix}.png" for n in (1, 2) for suffix in ("l", "r", "gt", "c", "dpdnet")))
        for layout, used in (("folders", 6), ("dpdd", 0)):
            with pytest.raises(CatalogueError) as caught:
                read(layout=layout)
            assert f"of the files, 10 fit the layout 'canon-dpdd', {used} fit '{layout}'" in str(caught.value)
            assert caught.value.remedy == "give --layout canon-dpdd"

    def test_a_wrong_layout_over_folders_of_users_is_told_of_folders(self) -> None:
        put("left/a_L.png", "right/a_R.png")
        with pytest.raises(CatalogueError, match="try the layout 'folders'"):
            read(layout="dpdd")

    def test_most_files_without_a_place_make_a_problem(self) -> None:
        put("left/a.png", "right/a.png", *(f"{n}_{s}.png" for n in (1, 2) for s in ("l", "r", "gt")))
        assert "layout_fits_better" in kinds(read())

    def test_a_table_is_told_of_the_layout_manifest(self, tmp_path: Path) -> None:
        (tmp_path / "pairs.csv").write_text("left,right\n")
        for source in (tmp_path, tmp_path / "pairs.csv"):
            with pytest.raises(CatalogueError, match="--layout manifest"):
                read_catalogue(str(source), layout="folders")


class TestNamesAsWritten:
    def test_they_are_kept_where_ids_are_others(self) -> None:
        put("left/IMG_0001 Été.png", "right/IMG_0001 Été.png", "left/b.png", "right/b.png")
        found = read()
        assert [(item.id, item.name, item.title) for item in found.items] == [
            ("set/b", "", "b"),
            ("set/img_0001-ete", "IMG_0001 Été", "IMG_0001 Été"),
        ]
        text = catalogue_to_jsonl(found)
        assert catalogue_from_jsonl(text) == found
        assert text.count('"name"') == 1  # texts of lower-case sets stay as they were
