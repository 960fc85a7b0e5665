"""How often the checks of content refuse or doubt sound pairs, and how often pairs that are wrong.

    python infra/benchmarks/false_alarms.py ../shared/data/dp --keep PAIRS     # 25 minutes, 1.6 GB
    python infra/benchmarks/false_alarms.py ../shared/data/dp --keep PAIRS --rounds 10

A round is 14 simulated pairs of 180x120, 5 of 360x240 and 2 of 720x480. They are kept in PAIRS, and read from
there when they are there. Wrong pairs are made of every eighth simulated pair and of every real one: views
exchanged, a picture or a truth of the next pair, one view twice, the views displaced, the axis turned.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from ldp_core.catalogue import load_pair, read_catalogue
from ldp_core.catalogue.checking import check_pair
from ldp_core.errors import PairMismatchError
from ldp_core.images import read_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import BlurTruthKind, DpAxis, Pair

SEED = 1
ROUND: Mapping[tuple[int, int], int] = {(180, 120): 14, (360, 240): 5, (720, 480): 2}
REAL = {
    "canon_dpdd": "canon-dpdd",
    "canon_r6m2": "canon-r6m2",
    "pixel4": "pixel4",
    "pixel4_nogt": "pixel4",
    "pixel4_raw": "pixel4-raw",
    "pixel_vertical": "pixel-vertical",
}
FULL_SIZE = {"canon_full": ("005_L.jpg", "005_R.jpg")}
"""Left and right view of a set that is one pair."""
Change = Callable[[Pair, Pair], Pair]
DISPLACED_PX = 12
EVERY = 8


def exchange(pair: Pair, _: Pair) -> Pair:
    left, right = pair.both_views
    return replace(pair, left=right, right=left)


def displace(pair: Pair, _: Pair) -> Pair:
    return replace(pair, right=np.roll(pair.both_views[1], DISPLACED_PX, axis=0))


CHANGES: Mapping[str, Change] = {
    "sound": lambda pair, _: pair,
    "views exchanged": exchange,
    "right view of the next pair": lambda pair, other: replace(pair, right=other.right),
    "target of the next pair": lambda pair, other: replace(pair, target=other.target),
    "truth of the next pair": lambda pair, other: replace(pair, blur_truth=other.blur_truth),
    "left view twice": lambda pair, _: replace(pair, right=pair.left),
    f"right view {DISPLACED_PX} px lower": displace,
    "said to shift along y": lambda pair, _: replace(pair, dp_axis=DpAxis.Y),
}
OF_REAL = ("sound", "right view of the next pair", "target of the next pair", "left view twice")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of real pairs")
    parser.add_argument("--keep", type=Path, required=True, help="folder for the simulated pairs")
    parser.add_argument("--rounds", type=int, default=96, help="rounds of 21 simulated pairs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.keep.mkdir(parents=True, exist_ok=True)
    for folder, layout in REAL.items():
        items = read_catalogue(str(options.data / folder), layout=layout).items
        report(folder, map(load_pair, items), {name: CHANGES[name] for name in OF_REAL})
    for folder, names in FULL_SIZE.items():
        left, right = (read_image(str(options.data / folder / name)) for name in names)
        report(folder, [Pair(folder, left, right)], {name: CHANGES[name] for name in OF_REAL})
    for size, share in ROUND.items():
        pairs = simulate_or_read(size, options.rounds * share, folder=options.keep)
        report("{}x{}".format(*size), pairs, CHANGES, every=EVERY)


def simulate_or_read(size: tuple[int, int], count: int, *, folder: Path) -> Iterator[Pair]:
    width, height = size
    settings = SimulationSettings(seed=SEED, width=width, height=height)
    for number in range(count):
        path = folder / f"{SEED}_{width}x{height}_{number:05d}.npz"
        if not path.exists():
            pair = simulate_pair(number, settings)
            np.savez(path, left=pair.left, right=pair.right, target=pair.target, coc=pair.blur_truth)
        with np.load(path) as kept:
            views = {name: kept[name] for name in ("left", "right", "target")}
            kind = BlurTruthKind.SIGNED_COC_PX
            yield Pair(str(number), **views, blur_truth=kept["coc"], blur_truth_kind=kind)


def report(title: str, pairs: Iterable[Pair], changes: Mapping[str, Change], *, every: int = 1) -> None:
    counted, found = 0, {name: Counter[str]() for name in changes}
    for pair, other in pairwise(closed(pairs)):
        counted += 1
        for name, change in changes.items():
            if name == "sound" or (counted % every == 0 and not lacks(pair, other, name)):
                found[name][outcome(pair, other, change)] += 1
    for name, outcomes in found.items():
        shown = ", ".join(f"{what} {count}" for what, count in sorted(outcomes.items()))
        print(f"{title}, {counted} pairs, {name}: {shown or 'nothing to change'}", flush=True)


def closed(pairs: Iterable[Pair]) -> Iterator[Pair]:
    """The pairs, and the first one again."""
    first = None
    for pair in pairs:
        first = first or pair
        yield pair
    if first is not None:
        yield first


def lacks(pair: Pair, other: Pair, name: str) -> bool:
    """Whether there is nothing to change: a single view, no target, no other pair."""
    alone = "next pair" in name and other is pair
    return alone or pair.right is None or ("target" in name and pair.target is None)


def outcome(pair: Pair, other: Pair, change: Change) -> str:
    """`passes`, or what the pair is refused or doubted for."""
    try:
        doubts = check_pair(change(pair, other))
    except PairMismatchError as error:
        return f"refused as {error.kind}"
    return f"doubted as {doubts[0].kind}" if doubts else "passes"


if __name__ == "__main__":
    main()
