"""Whole folders that lost second views or truths stop a run; sound sources do not. Problems by kind."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from ldp_core import storage
from ldp_core.catalogue import check_source, group_problems, read_catalogue, require_whole
from ldp_core.catalogue.pairing import pair_files
from ldp_core.catalogue.problems import NO_SECOND_VIEWS, NO_TRUTHS, STOPPING
from ldp_core.errors import CatalogueError, IncompleteSourceError, SettingsError
from ldp_core.images import encode_image
from ldp_core.types import Catalogue, Problem

PICTURE = encode_image(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


def put(root: Path, paths: Iterable[str]) -> None:
    for path in paths:
        storage.write_bytes(str(root / path), PICTURE)


def names(folder: str, count: int, *, roles: Iterable[str] = ("left", "right")) -> list[str]:
    """Paths of items of a folder in the layout `folders`."""
    return [f"{role}/{folder}/{number}.png" for role in roles for number in range(count)]


def stopping(catalogue: Catalogue) -> list[tuple[str, str]]:
    found = (problem for problem in catalogue.problems if problem.kind in STOPPING)
    return [(problem.kind, problem.message) for problem in found]


def single(folder: str, count: int) -> list[str]:
    return names(folder, count, roles=["left"])


BOTH = ("left", "right")
TRUTH = (*BOTH, "target")
DPDD = [f"{split}_{view}/source/{n}.png" for split in ("train", "val") for view in "lr" for n in range(4)]
DPDD_TRUTHS = [f"train_c/target/{n}.png" for n in range(4)]
CHARTS = [f"flat/1/{n}/{f}/{v}.png" for n in range(4) for f in ("f4", "f20") for v in "lr"]

LOST = {
    "all, one folder": ("folders", [f"left/{n}.png" for n in range(3)], NO_SECOND_VIEWS, "all 3 items"),
    "all, right ones left": ("folders", [f"right/{n}.png" for n in range(3)], NO_SECOND_VIEWS, "all 3 items"),
    "all, with truths": ("folders", names("a", 3, roles=["left", "target"]), NO_SECOND_VIEWS, "all 3 items"),
    "a split": ("folders", [*names("train", 3), *single("val", 2)], NO_SECOND_VIEWS, "2 items in 'val'"),
    "the larger split": ("folders", [*names("val", 3), *single("train", 9)], NO_SECOND_VIEWS, "'train'"),
    "a scene": (
        "folders",
        [*names("train/a", 3), *names("train/b", 3), *single("train/c", 3)],
        NO_SECOND_VIEWS,
        "'train/c'",
    ),
    "a split of scenes": (
        "folders",
        [*names("train/a", 3), *(p for n in range(4) for p in single(f"val/{n}", 1))],
        NO_SECOND_VIEWS,
        "4 items in 'val'",
    ),
    "a scene of two, elsewhere few single": (
        "folders",
        [*(p for n in range(20) for p in names(f"{n}", 3)), "left/0/x.png", *single("lost", 3)],
        NO_SECOND_VIEWS,
        "3 items in 'lost'",
    ),
    "truths of a split": (
        "folders",
        [*names("train", 3, roles=TRUTH), *names("val", 2)],
        NO_TRUTHS,
        "none of the 2 items in 'val' has a truth; 3 of 3 elsewhere have one",
    ),
    "circles of confusion of a split": (
        "folders",
        [*names("train", 3, roles=(*BOTH, "coc")), *names("val", 2)],
        NO_TRUTHS,
        "blur truth",
    ),
    "views in the tree of DPDD": (
        "dpdd",
        [path for path in DPDD if not path.startswith("val_r")],
        NO_SECOND_VIEWS,
        "4 items in 'val'",
    ),
    "truths in the tree of DPDD": ("dpdd", [*DPDD, *DPDD_TRUTHS], NO_TRUTHS, "4 items in 'val'"),
    "boxes": (
        "canon-r6m2",
        [*CHARTS, *(f"box/{n}/l.png" for n in range(3))],
        NO_SECOND_VIEWS,
        "3 items in 'box'",
    ),
    "truths beside inputs": (
        "single",
        [
            *(f"train/{r}/{n}.png" for r in ("input", "gt") for n in range(3)),
            "val/input/0.png",
            "val/input/1.png",
        ],
        NO_TRUTHS,
        "2 items in 'val",
    ),
    "truths by suffix": (
        "single",
        [
            *(f"train/{n}_{r}.png" for r in ("input", "gt") for n in range(3)),
            "val/0_input.png",
            "val/1_input.png",
        ],
        NO_TRUTHS,
        "2 items in 'val'",
    ),
}

SOUND = {
    "one single view": ("folders", ["left/0.png"]),
    "pairs": ("folders", names("a", 3)),
    "some single in one folder": (
        "folders",
        [*(f"{r}/{n}.png" for r in BOTH for n in range(4)), "left/x.png"],
    ),
    "most single in one folder": (
        "folders",
        ["left/0.png", "right/0.png", *(f"left/x{n}.png" for n in range(5))],
    ),
    "a scene of one item": ("folders", [*names("a", 3), *single("b", 1)]),
    "scenes of one item, every fifth single": (
        "folders",
        [p for n in range(20) for p in (single(f"{n}", 1) if n % 5 == 0 else names(f"{n}", 1))],
    ),
    "many scenes of two, single by chance": (
        "folders",
        [
            *(p for n in range(60) for p in (*names(f"{n}", 2), *([f"left/{n}/x.png"] if n % 3 else []))),
            *single("chance", 2),
        ],
    ),
    "no truth at all": ("folders", [*names("train", 3), *names("val", 3)]),
    "truths of few": ("folders", [*names("train", 2, roles=TRUTH), *names("a", 3), *names("b", 3)]),
    "truths of some in each": (
        "folders",
        [*names("train", 3, roles=TRUTH), *names("val", 3), "target/val/0.png"],
    ),
    "single views on purpose": ("single", [f"{n}.jpg.png" for n in range(5)]),
    "photographs beside a set with truths": (
        "single",
        [*(f"train/{r}/{n}.png" for r in ("input", "gt") for n in range(3)), "extra/0.png", "extra/1.png"],
    ),
    "combined pictures": ("canon-dpdd-combined", [f"{n}_{v}.png" for n in range(3) for v in ("c", "gt")]),
    "the whole tree of DPDD": ("dpdd", [*DPDD, *DPDD_TRUTHS, *(f"val_c/target/{n}.png" for n in range(4))]),
    "charts with targets, boxes without": (
        "canon-r6m2",
        [*CHARTS, *(f"box/{n}/{v}.png" for n in range(3) for v in "lr")],
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_a_folder_that_lost_all_stops_a_run(name: str, tmp_path: Path) -> None:
    layout, paths, kind, message = LOST[name]
    put(tmp_path, paths)
    catalogue = read_catalogue(str(tmp_path), layout=layout, dataset="set")
    [(found, text)] = stopping(catalogue)
    assert found == kind
    assert message in text
    with pytest.raises(IncompleteSourceError) as caught:
        require_whole(catalogue.problems, where=catalogue.source)
    assert message in caught.value.got
    assert "--allow-single" in caught.value.remedy
    require_whole(catalogue.problems, where=catalogue.source, allow_single=True)
    with pytest.raises(IncompleteSourceError):
        check_source(str(tmp_path), layout=layout)
    check_source(str(tmp_path), layout=layout, allow_single=True)


@pytest.mark.parametrize("name", SOUND)
def test_sound_sources_go_on(name: str, tmp_path: Path) -> None:
    layout, paths = SOUND[name]
    put(tmp_path, paths)
    assert stopping(read_catalogue(str(tmp_path), layout=layout, dataset="set")) == []
    check_source(str(tmp_path), layout=layout, dataset="set")


def test_rows_of_a_manifest_may_be_single_views(tmp_path: Path) -> None:
    put(tmp_path, names("a", 3))
    rows = [f"left/a/{n}.png," for n in range(3)]
    (tmp_path / "list.csv").write_text("\n".join(["left,right", *rows]))
    check_source(str(tmp_path / "list.csv"), layout="manifest")
    assert stopping(read_catalogue(str(tmp_path / "list.csv"), layout="manifest")) == []


@pytest.mark.parametrize("layout", ["folders", "single", "dpdd"])
def test_an_empty_source_is_refused_by_its_listing(layout: str, tmp_path: Path) -> None:
    for source in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CatalogueError, match="no item was found"):
            check_source(str(source), layout=layout)


def test_a_wrong_layout_is_refused_by_its_listing(tmp_path: Path) -> None:
    put(tmp_path, names("a", 3))
    with pytest.raises(CatalogueError, match="6 stray_file"):
        check_source(str(tmp_path), layout="dpdd")
    with pytest.raises(CatalogueError, match="shelves"):
        check_source(str(tmp_path), layout="shelves")


@pytest.mark.parametrize(
    ("source", "hint"), [("C:\\data\\set", "Windows"), ("D:/data", "Windows"), ("set ", "blank")]
)
def test_what_an_address_looks_like_is_said(source: str, hint: str) -> None:
    with pytest.raises(CatalogueError, match="no file at all") as caught:
        check_source(source, layout="folders")
    assert hint in caught.value.remedy


class TestLinks:
    """That lead nowhere."""

    def test_to_a_picture_refuses_its_item(self, tmp_path: Path) -> None:
        put(tmp_path, names("a", 3))
        (tmp_path / "right/a/0.png").unlink()
        (tmp_path / "right/a/0.png").symlink_to("gone.png")
        catalogue = read_catalogue(str(tmp_path), layout="folders", dataset="set")
        assert len(catalogue.items) == 2
        assert all(item.has_both_views for item in catalogue.items)
        [problem] = catalogue.problems
        assert (problem.kind, problem.refuses_item) == ("image_missing", True)
        assert "a symbolic link to 'gone.png', where nothing is" in problem.message

    @pytest.mark.parametrize(
        ("link", "role"), [("right", "right"), ("target", "target"), ("right/b", "right")]
    )
    def test_in_place_of_a_folder_stops_a_run(self, tmp_path: Path, link: str, role: str) -> None:
        roles = ("left",) if link == "right" else BOTH
        put(tmp_path, [*names("a", 3, roles=roles), "left/b/0.png"])
        (tmp_path / link).symlink_to("/nowhere")
        catalogue = read_catalogue(str(tmp_path), layout="folders", dataset="set")
        found = {problem.kind: problem.message for problem in catalogue.problems}
        assert f"leads to '/nowhere', where nothing is: the {role} pictures" in found["missing_folder"]
        assert "stray_file" not in found
        with pytest.raises(IncompleteSourceError):
            check_source(str(tmp_path), layout="folders")

    def test_elsewhere_is_named_and_nothing_more(self, tmp_path: Path) -> None:
        put(tmp_path, names("a", 3))
        (tmp_path / "notes").symlink_to("nowhere")
        (tmp_path / "round").symlink_to("round")
        catalogue = read_catalogue(str(tmp_path), layout="folders", dataset="set")
        assert [problem.kind for problem in catalogue.problems] == ["dangling_link"] * 2
        check_source(str(tmp_path), layout="folders")

    @pytest.mark.parametrize("link", ["notes", "right"])
    def test_twice_as_many_take_twice_the_looks_at_a_name(self, tmp_path: Path, link: str) -> None:
        looks = {}
        for count in (20, 40):
            root = tmp_path / str(count)
            put(root, names("a", count, roles=["left"]))
            (root / link).mkdir()
            for number in range(count):
                (root / link / f"{number}").symlink_to("nowhere")
            looked = Counter[str]()

            def rule(path: str, looked: Counter[str] = looked) -> tuple[str, str] | None:
                looked[path] += 1
                role, _, name = path.partition("/")
                known = path.endswith(".png") and role != "notes"
                return (name.removesuffix(".png"), role) if known else None

            found = pair_files(str(root), rule)
            assert sum("leads to 'nowhere'" in problem.message for problem in found.problems) == count
            looks[count] = looked.total()
        assert looks[40] <= 2.2 * looks[20]
        assert looks[40] <= 8 * 40


class TestNamesThatAreNoUnicode:
    def test_of_the_source(self, tmp_path: Path) -> None:
        source = os.fsdecode(bytes(tmp_path) + b"/\xff")
        put(Path(source), names("a", 2))
        for read in (read_catalogue, check_source):
            with pytest.raises(SettingsError, match="not Unicode") as caught:
                read(source, layout="folders")
            assert caught.value.where.endswith("\\udcff")
            str(caught.value).encode()

    @pytest.mark.parametrize("layout", ["folders", "single", "dpdd", "canon-dpdd"])
    def test_of_files(self, tmp_path: Path, layout: str) -> None:
        files = {
            "folders": names("a", 2),
            "single": ["0.png", "1.png"],
            "dpdd": [*DPDD, *DPDD_TRUTHS, os.fsdecode(b"train_c/target/\xff1.png")],
            "canon-dpdd": [f"{n}_{v}.png" for n in range(3) for v in "lr"],
        }
        put(tmp_path, [*files[layout], os.fsdecode(b"left/\xfe.png"), os.fsdecode(b"\xfe_l.png")])
        catalogue = read_catalogue(str(tmp_path), layout=layout, dataset="set")
        for problem in catalogue.problems:
            "".join((problem.where, problem.message, problem.remedy)).encode()
        assert "\\udcfe" in "".join(problem.where for problem in catalogue.problems)

    def test_of_columns(self, tmp_path: Path) -> None:
        put(tmp_path, names("a", 2))
        cell = '{"left": "left/a/0.png", "right": "right/a/0.png", "peer:\\udcff": "left/a/1.png"}'
        (tmp_path / "list.jsonl").write_text(cell)
        with pytest.raises(CatalogueError, match="not Unicode"):
            check_source(str(tmp_path / "list.jsonl"), layout="manifest")


def test_problems_by_kind() -> None:
    problems = [Problem(f"{n}", "stray_file", "no place", refuses_item=False) for n in range(5)]
    problems += [
        Problem("x", "size_mismatch", "differs"),
        Problem("y", "size_mismatch", "", refuses_item=False),
    ]
    problems += [Problem("z", NO_TRUTHS, "none", refuses_item=False)]
    groups = group_problems(problems)
    assert [(one.kind, one.count, one.refused) for one in groups] == [
        (NO_TRUTHS, 1, 0),
        ("stray_file", 5, 0),
        ("size_mismatch", 2, 1),
    ]
    assert [example.where for example in groups[1].examples] == ["0", "1", "2"]
