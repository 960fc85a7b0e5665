"""Whatever happens to a tree of close camera numbers, no item shows two scenes and no file goes unnamed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from ldp_core import storage
from ldp_core.catalogue import load_pair, read_catalogue
from ldp_core.errors import CatalogueError, ImageError
from ldp_core.images import encode_image
from ldp_core.types import Catalogue, Item

ROOT = "memory://dpdd/set"
SCENES = {587: 588, 589: 590, 591: 593}
"""Source and target numbers of scenes 0, 1, 2."""

Tree = dict[str, bytes]


def draw(scene: int, role: int) -> bytes:
    coarse = np.roll(np.diag([200, 120, 90, 60]), scene, axis=1).repeat(16, 0).repeat(16, 1) + 20
    picture = coarse + np.random.default_rng(role).integers(0, 8, (64, 64))
    return encode_image(picture.astype(np.uint8)[..., None])


PICTURES = {draw(scene, role): scene for scene in range(len(SCENES)) for role in range(4)}


def make_tree() -> Tree:
    tree = {}
    for scene, (source, target) in enumerate(SCENES.items()):
        names = f"l/source/A{source}_L", f"r/source/A{source}_R", f"c/source/A{source}", f"c/target/A{target}"
        tree |= {f"test_{name}.png": draw(scene, role) for role, name in enumerate(names)}
    return tree


def rename(tree: Tree, dice: random.Random) -> None:
    old, other = dice.choice(sorted(tree)), dice.choice(sorted(tree))
    number = str(dice.randint(584, 596))
    new = dice.choice([other, other.replace("_c", "_l"), other[:-9] + f"A{number}.png", other.upper()])
    tree[new] = tree.pop(old)


def copy(tree: Tree, dice: random.Random) -> None:
    old = dice.choice(sorted(tree))
    new = dice.choice([old.replace(".png", ".tif"), f"test_c/target/A{dice.randint(584, 596)}.png"])
    tree.setdefault(new, tree[old])


def swap(tree: Tree, dice: random.Random) -> None:
    first, second = dice.sample(sorted(tree), 2)
    tree[first], tree[second] = tree[second], tree[first]


def remove(tree: Tree, dice: random.Random) -> None:
    del tree[dice.choice(sorted(tree))]


def damage(tree: Tree, dice: random.Random) -> None:
    name = dice.choice(sorted(tree))
    tree[name] = tree[name][: dice.randrange(len(tree[name]))]


CHANGES: tuple[Callable[[Tree, random.Random], None], ...] = (rename, copy, swap, remove, damage)


@pytest.fixture(autouse=True)
def _empty_store() -> Iterator[None]:
    yield
    MemoryFileSystem.store.clear()


def test_no_change_of_a_tree_pairs_two_scenes() -> None:
    loaded = refused = 0
    for seed in range(300):
        dice = random.Random(seed)
        tree = make_tree()
        changes = dice.choices(CHANGES, k=dice.randint(1, 3))
        for change in changes:
            change(tree, dice)
        MemoryFileSystem.store.clear()
        for name, content in tree.items():
            storage.write_bytes(storage.join(ROOT, name), content)
        context = f"seed {seed}: {[change.__name__ for change in changes]}"
        try:
            catalogue = read_catalogue(ROOT, layout="dpdd")
        except CatalogueError:
            continue
        check_every_file_is_accounted_for(catalogue, tree, context)
        for item in catalogue.items:
            one = len(scenes_of(item, tree)) == 1
            try:
                load_pair(item)
            except ImageError:
                refused += 1
            else:
                loaded += 1
                assert one, f"{context}: {item.id}"
    assert loaded > 300
    assert refused > 100


def scenes_of(item: Item, tree: Tree) -> set[int]:
    refs = (item.left, item.right, item.target, *item.external.values())
    return {PICTURES.get(tree[path_of(ref.uri)], -1) for ref in refs if ref}


def path_of(uri: str) -> str:
    return uri.removeprefix(f"{ROOT}/")


def check_every_file_is_accounted_for(catalogue: Catalogue, tree: Tree, context: str) -> None:
    refs = {ref for i in catalogue.items for ref in (i.left, i.right, i.target, *i.external.values()) if ref}
    used = {path_of(ref.uri) for ref in refs}
    named = " ".join(f"{problem.where} {problem.message}" for problem in catalogue.problems)
    for path in tree:
        not_read = path.startswith(("test_l/target/", "test_r/target/"))
        assert not_read or path in used or path in named or is_part_of(path, named), f"{context}: {path}"


def is_part_of(path: str, named: str) -> bool:
    """Whether a refused item is named that the file belongs to; for a target, one within reach."""
    number = re.search(r"A(\d+)", path)
    reach = 3 if "target" in path else 0
    near = range(int(number[1]) - reach, int(number[1]) + reach + 1) if number else ()
    return any(f"'test/A{candidate}'" in named for candidate in near)
