"""Trees of every layout, and changes to the names in them, drawn from a number. A name tells its scene."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

import numpy as np

from ldp_core import storage
from ldp_core.catalogue import read_catalogue
from ldp_core.errors import CatalogueError
from ldp_core.images import encode_image
from ldp_core.types import Item

ROOT: Final = "memory://fuzz-trees/set"
_SCENES: Final = ("1111", "2222", "3333", "4444")
_SCENE: Final = re.compile("|".join(_SCENES))
_NAMES: Final = {
    "canon-dpdd": ("{s}_l.png", "{s}_r.png", "{s}_gt.png", "{s}_c.png", "{s}_dpdnet.png"),
    "canon-dpdd-combined": ("{s}_l.png", "{s}_r.png", "{s}_gt.png", "{s}_c.png"),
    "canon-r6m2": ("box/{s}/l.png", "box/{s}/r.png", "flat/{s}/600/f4/l.png", "flat/{s}/600/f4/r.png"),
    "ddd-syn": ("training/dp/{s}_l.png", "training/dp/{s}_r.png", "training/gt/{s}_m.png"),
    "dpdd": (
        "test_l/source/1P0A{s}_L.png",
        "test_r/source/1P0A{s}_R.png",
        "test_c/source/1P0A{s}.png",
        "test_c/target/1P0A{t}.png",
    ),
    "folders": ("left/{s}.png", "right/{s}.png", "target/{s}.png", "coc/{s}.png"),
    "pixel-vertical": ("{s}_leftPd_center.png", "{s}_rightPd_center.png", "{s}_merged_depth_center.png"),
    "pixel4": ("{s}_l.png", "{s}_r.png", "{s}_gt.png", "{s}_defocus.png"),
    "pixel4-raw": (
        "{s}_left.png",
        "{s}_right.png",
        "gt_all_in_focus_im/{s}_gt.png",
        "calibration/white_sheet_left.png",
        "calibration/white_sheet_right.png",
    ),
    "rdpd": (*(f"test_{v}/source/seq_{{s}}/1.png" for v in "lrc"), "test_c/target/seq_{s}/1.png"),
    "single": ("train/input/{s}.png", "train/gt/{s}.png"),
}
LAYOUT_NAMES: Final = tuple(_NAMES)

Tree = dict[str, bytes]


def changed_tree(layout: str, number: int) -> Tree:
    """The files of four scenes, after one to four changes: the same for the same number."""
    dice = random.Random(f"{layout} {number}")
    tree: Tree = {}
    for index, scene in enumerate(_SCENES):
        for role, name in enumerate(_NAMES[layout]):
            pixels = np.full((3 + index, 4, 1), 10 * index + role, np.uint8)
            # The truth of DPDD is a photograph of its own; its number lies one below.
            tree[name.format(s=scene, t=int(scene) - 1)] = encode_image(pixels)
    for _ in range(dice.randint(1, 4)):
        dice.choice(_CHANGES)(tree, dice)
    return tree


def judge_tree(layout: str, number: int) -> str:
    """``equal``: the views of every item are of one scene, by their names; or ``refused``; or a fault."""
    tree = changed_tree(layout, number)
    root = f"{ROOT}-{layout}-{number}"
    for name, content in tree.items():
        storage.write_bytes(storage.join(root, name), content)
    try:
        items = read_catalogue(root, layout=layout).items
    except CatalogueError:
        return "refused"
    if len({item.id for item in items}) < len(items):
        return "wrong: two items of one id"
    faults = [fault for item in items if (fault := _find_fault(item, root, tree, layout))]
    return f"wrong: {faults[0]}" if faults else "equal"


def _find_fault(item: Item, root: str, tree: Tree, layout: str) -> str:
    pictures = [item.left, item.right, *item.external.values()]
    if layout != "dpdd":
        pictures.append(item.target)
    names = [ref.uri.removeprefix(f"{root}/") for ref in pictures if ref]
    if missing := [name for name in names if name not in tree]:
        return f"{missing[0]} is not there"
    scenes = {found[0] for name in names if (found := _SCENE.search(name))}
    return f"{names} are of scenes {sorted(scenes)}" if len(scenes) > 1 else ""


def _rename(tree: Tree, dice: random.Random) -> None:
    old = dice.choice(sorted(tree))
    place = dice.randrange(len(old))
    new = old[:place] + dice.choice("_.-/ 0aAé") + old[place + dice.randint(0, 1) :]
    if new.strip("/") and not new.startswith("/") and "//" not in new and not new.endswith(("/", ".")):
        tree[new] = tree.pop(old)


def _change_case(tree: Tree, dice: random.Random) -> None:
    old = dice.choice(sorted(tree))
    tree[dice.choice([old.upper(), old.lower(), old.title()])] = tree.pop(old)


def _copy(tree: Tree, dice: random.Random) -> None:
    old = dice.choice(sorted(tree))
    tree.setdefault(
        dice.choice([old.replace(".png", ".tif"), f"sub/{old}", f"{old[:-4]} (1).png"]), tree[old]
    )


def _exchange_extension(tree: Tree, dice: random.Random) -> None:
    old = dice.choice(sorted(tree))
    tree[old.removesuffix(".png") + dice.choice([".jpg", ".txt", "", ".PNG", ".heic"])] = tree.pop(old)


def _remove(tree: Tree, dice: random.Random) -> None:
    if len(tree) > 1:
        del tree[dice.choice(sorted(tree))]


def _damage(tree: Tree, dice: random.Random) -> None:
    name = dice.choice(sorted(tree))
    tree[name] = tree[name][: dice.randrange(1 + len(tree[name]))]


_CHANGES: Final[tuple[Callable[[Tree, random.Random], None], ...]] = (
    _rename,
    _rename,
    _change_case,
    _copy,
    _exchange_extension,
    _remove,
    _damage,
)
