"""Laws of catalogues: text gives back what was written, no change of a tree pairs two scenes, ids are ids."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ldp_core import storage
from ldp_core.archive.layout import FRAMES, SCORES, Address, Section, address_of
from ldp_core.catalogue import (
    LAYOUTS,
    catalogue_from_jsonl,
    catalogue_to_jsonl,
    load_pair,
    pairing,
    read_catalogue,
)
from ldp_core.errors import CatalogueError
from ldp_core.images import encode_image
from ldp_core.item_ids import is_segment, slug
from ldp_core.types import BlurTruthKind, Catalogue, DpAxis, ImageRef, Item, Problem, Region

COUNTS = st.integers(1, 2**40)
REFS = st.builds(ImageRef, st.text(), COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
EDGES = st.none() | st.integers(0, 9999)
REGIONS = st.builds(Region, st.integers(0, 99), st.integers(0, 99), EDGES, EDGES)
ITEMS = st.builds(
    Item,
    id=st.text(),
    left=REFS,
    right=REFS,
    target=st.none() | REFS,
    blur_truth=st.none() | REFS,
    external=st.dictionaries(st.text(), REFS, max_size=2),
    score_region=REGIONS,
    aligned=st.booleans(),
    blur_truth_kind=st.sampled_from(BlurTruthKind),
    dp_axis=st.sampled_from(DpAxis),
    development=st.text(),
    auxiliary=st.dictionaries(st.text(), REFS, max_size=2),
)
PROBLEMS = st.builds(Problem, st.text(), st.text(), st.text(), st.text(), st.booleans())
CATALOGUES = st.builds(
    Catalogue,
    st.text(),
    st.text(),
    st.text(),
    st.lists(ITEMS, max_size=3).map(tuple),
    st.lists(PROBLEMS, max_size=3).map(tuple),
)


@given(CATALOGUES)
@settings(max_examples=100, deadline=None)
def test_text_gives_the_catalogue_back(catalogue: Catalogue) -> None:
    text = catalogue_to_jsonl(catalogue)
    assert catalogue_from_jsonl(text) == catalogue
    assert catalogue_to_jsonl(catalogue_from_jsonl(text)) == text


@given(CATALOGUES, st.data())
@settings(max_examples=60, deadline=None)
def test_altered_text_is_refused_or_another_catalogue(catalogue: Catalogue, data: st.DataObject) -> None:
    text = catalogue_to_jsonl(catalogue)
    place = data.draw(st.integers(0, len(text) - 1))
    altered = text[:place] + data.draw(st.characters(codec="utf-8")) + text[place + 1 :]
    try:
        read = catalogue_from_jsonl(altered)
    except CatalogueError:
        return
    assert (read == catalogue) == (catalogue_to_jsonl(read) == text)


LETTERS = st.sampled_from("aZ09._-@ é") | st.characters(codec="utf-8", exclude_characters="/\0")
RESERVED = ["zarr.json", "c.0", "c.0.0", "C.0", "Foo.JSON", "c", "a@2", "a.partial", "frames", "x" * 300]
PARTS = st.text(LETTERS, min_size=1, max_size=9) | st.sampled_from(RESERVED)
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


@given(st.lists(NAMES, min_size=1, max_size=12, unique=True), PARTS)
@example(["foo.json", "c.0", "c", "foo", "foo/c.0", "foo/zarr.json"], "canon.json")
@example(["__MACOSX/0"], "0")
@example(["__MACOSX/0", "a", ".b/c"], "0")
@settings(max_examples=150, deadline=None)
def test_every_id_of_a_catalogue_is_one_of_the_archive(names: list[str], folder: str) -> None:
    """However files are called: their items can be archived and found again, and none lies inside another."""
    problems, ids = read_names(names, folder)
    for item_id in ids:
        for section in (Section(FRAMES), Section(SCORES, "scores-1")):
            address = Address(section, item_id)
            assert address_of(address.path) == address
    assert not [(a, b) for a in ids for b in ids if a != b and f"{b}/".startswith(f"{a}/")]
    outside = [name for name in names if "/." in f"/{name}" or pairing.is_of_system(f"{name}.png")]
    assert len(set(ids)) + problems + len(outside) == len(names)


def read_names(names: list[str], folder: str) -> tuple[int, list[str]]:
    """How many of these files are refused, and the ids of the others, in a folder of that name."""
    picture = encode_image(np.zeros((2, 2, 1), np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        listed = {f"{name}.png": storage.Entry(len(picture), None) for name in names}
        patch.setattr(pairing, "list_entries", lambda url: listed)
        patch.setattr(storage, "read_bytes", lambda url, *, start, end: picture[start:end])
        dataset = None if is_segment(slug(folder) or "single") else "d"
        specs = LAYOUTS["single"](f"memory://laws/{folder}")
        if not specs.items:
            return 0, []
        try:
            found = read_catalogue(f"memory://laws/{folder}", layout="single", dataset=dataset)
        except CatalogueError as error:
            counts, _, _ = error.got.partition("; first: ")
            return sum(int(part.split()[0]) for part in counts.split(", ")), []
    return sum(problem.refuses_item for problem in found.problems), [item.id for item in found.items]


SCENES = ("Alpha", "beta", "gamma_l", "delta")
SUFFIXES = {"l": 0, "r": 1, "gt": 2, "c": 3, "dpdnet": 4}
FOLDERS = {"left": 0, "right": 1, "target": 2}
Tree = dict[str, bytes]


def draw_picture(scene: int, role: int) -> bytes:
    """A tiny picture of a size of its own for each scene, whose pixels name the scene and the role."""
    return encode_image(np.full((3 + scene, 4, 1), 10 * scene + role, dtype=np.uint8))


def make_tree(layout: str) -> Tree:
    scenes = list(enumerate(SCENES))
    if layout == "folders":
        return {f"{f}/{n}.png": draw_picture(s, r) for s, n in scenes for f, r in FOLDERS.items()}
    return {f"{n}_{x}.png": draw_picture(s, r) for s, n in scenes for x, r in SUFFIXES.items()}


def rename(tree: Tree, dice: random.Random) -> None:
    """One file takes a new name, which may be that of another scene, role or folder."""
    old, pattern = dice.choice(sorted(tree)), dice.choice(sorted(tree))
    new = dice.choice(
        [pattern, pattern.upper(), pattern.replace(".png", " (1).png"), f"x{pattern}", f".{old}"]
    )
    tree[new] = tree.pop(old)


def copy(tree: Tree, dice: random.Random) -> None:
    """One file is there twice, under another extension or in another folder."""
    old = dice.choice(sorted(tree))
    new = dice.choice([old.replace(".png", ".jpg"), f"sub/{old}", old.lower(), old.replace("l", "r")])
    tree.setdefault(new, tree[old])


def swap(tree: Tree, dice: random.Random) -> None:
    """Two files of different scenes swap their names."""
    first, second = dice.sample(sorted(tree), 2)
    if len({scene_of(tree[first]), scene_of(tree[second])}) == 2:
        tree[first], tree[second] = tree[second], tree[first]


def remove(tree: Tree, dice: random.Random) -> None:
    del tree[dice.choice(sorted(tree))]


def damage(tree: Tree, dice: random.Random) -> None:
    name = dice.choice(sorted(tree))
    tree[name] = tree[name][: dice.randrange(len(tree[name]))]


PICTURES = {draw_picture(s, r): (s, r) for s in range(len(SCENES)) for r in range(len(SUFFIXES))}
CHANGES = (rename, copy, swap, remove, damage)


def scene_of(picture: bytes) -> int:
    return PICTURES.get(picture, (-1, -1))[0]


@pytest.fixture
def root() -> Iterator[str]:
    yield "memory://laws/set"
    MemoryFileSystem.store.clear()


@pytest.mark.parametrize("layout", ["folders", "canon-dpdd"])
def test_no_change_of_a_tree_pairs_two_scenes(layout: str, root: str) -> None:
    for seed in range(300):
        dice = random.Random(seed)
        tree = make_tree(layout)
        changes = dice.choices(CHANGES, k=dice.randint(1, 4))
        for change in changes:
            change(tree, dice)
        MemoryFileSystem.store.clear()
        for name, content in tree.items():
            storage.write_bytes(storage.join(root, name), content)
        try:
            catalogue = read_catalogue(root, layout=layout)
        except CatalogueError:
            continue
        context = f"seed {seed}: {[change.__name__ for change in changes]}"
        for item in catalogue.items:
            check_one_scene(item, tree, context, root=root)
        check_every_file_is_accounted_for(catalogue, tree, context, root=root)


def check_one_scene(item: Item, tree: Tree, context: str, *, root: str) -> None:
    """All pictures of an item bear its name, and their pixels are of one scene."""
    refs = {"left": item.left, "right": item.right, "target": item.target, **item.external}
    names = {role: ref.uri.removeprefix(f"{root}/") for role, ref in refs.items() if ref}
    assert len({name_of(name) for name in names.values()}) == 1, context
    assert len({scene_of(tree[name]) for name in names.values() if tree[name] in PICTURES}) == 1, context
    sound = [role for role, name in names.items() if tree[name] in PICTURES]
    if len(sound) == len(names):
        pair = load_pair(item)
        assert len({int(view[0, 0, 0]) // 10 for view in pair.views.values()}) == 1, context


def check_every_file_is_accounted_for(catalogue: Catalogue, tree: Tree, context: str, *, root: str) -> None:
    used = {
        ref.uri for i in catalogue.items for ref in (i.left, i.right, i.target, *i.external.values()) if ref
    }
    named = " ".join(f"{problem.where} {problem.message}" for problem in catalogue.problems)
    refused = set(re.findall(r"item '([^']*)'", named)) | set(re.findall(r"name '([^']*)'", named))
    for name in tree:
        hidden = name.startswith(".")
        accounted = storage.join(root, name) in used or name in named or name_of(name) in refused
        assert accounted or hidden, f"{context}: {name}"


def name_of(path: str) -> str:
    """The scene a path names, in either layout."""
    stem = path.rsplit(".", 1)[0]
    return stem.split("/", 1)[1] if stem.split("/")[0] in FOLDERS else re.sub(r"_[^_]*$", "", stem)
