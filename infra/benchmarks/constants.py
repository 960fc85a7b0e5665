"""What the constants of the training-free methods are worth: one at a time, on a few scenes.

    python infra/benchmarks/constants.py ../shared/data/dp                    # all, about an hour
    python infra/benchmarks/constants.py ../shared/data/dp --only noise_signal

`wiener`: PSNR dB and SSIM on five Canon scenes (rows 44 and below) and three of the Pixel 4 (best shift).
`disparity`: AI(1) and Spearman on three scenes of the Pixel 4 and three simulated pairs.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from ldp_core.blur import make_estimator
from ldp_core.catalogue import load_pair, read_catalogue
from ldp_core.deblur import make_deblurrer
from ldp_core.evaluation.maps import rank, read_measured, simulate_pairs
from ldp_core.metrics import align, psnr_db, ssim
from ldp_core.types import BlurMap, Pair, Pixels, Region

Scenes = Mapping[str, list[Pair]]
SIMULATED_SEED = 80_000
"""Of other pairs than `ldp evaluate` measures: constants are chosen on these."""
LAYOUTS = {"canon-dpdd": "canon_dpdd", "pixel4": "pixel4"}
WIENER: Mapping[str, tuple[Any, ...]] = {
    "noise_signal": (0.02, 0.06),
    "model_penalty": (0.08, 0.3),
    "colour_strictness": (1.0, 10.0),
    "edge_threshold": (0.0, 0.01),
    "edge_stiffness": (0.3, 3.0),
    "edge_rounds": (0, 4),
    "coc_tolerance": (0.0, 0.2),
    "halo_slack": (0.05, 1.0, 10.0),
    "level_growth": (0.08, 0.3),
    "level_step_px": (0.5, 2.0),
}
DISPARITY: Mapping[str, tuple[Any, ...]] = {
    "window_px": (1.0, 2.5),
    "band_px": (2.5, 7.0),
    "smoothness": (0.6, 2.5),
    "guide_edge": (0.015, 0.06),
    "disparity._STEP_PX": (0.125, 0.5),
    "disparity._COUPLINGS": ((0.05,), (0.2,)),
    "disparity._COUPLINGS_LATER": ((0.05,), (0.5,)),
    "spreading._ROUNDS": (1,),
    "disparity._SOLVER_STEPS": (10,),
    "disparity._FINE_SOLVER_STEPS": (8,),
    "disparity._NEAR_STEPS": (1,),
    "disparity._REFINED_PX": (1.0, 4.0),
    "disparity._MEAN_PX": (3.0, 12.0),
    "spreading._CORNER_PX": (0.003, 0.05),
    "matching._LEAST_MISMATCH": (0.001, 0.01),
    "matching._REST": (0.0, 1e-3),
    "matching._ATTENUATION_WEIGHT": (0.0, 1.0),
    "matching._LEAST_EVIDENCE": (0.005, 0.3),
    "matching._NO_MATCH": (-0.3, -2.0),
    "matching._CLEAR_MATCH": (-2.0, -4.0),
}
"""Settings by their name, constants by that of their module as well."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that holds canon_dpdd and pixel4")
    parser.add_argument("--only", default="", help="constants whose name holds this")
    options = parser.parse_args()
    torch.set_num_threads(1)
    wiener, disparity = (list(list_changes(table, options.only)) for table in (WIENER, DISPARITY))
    if wiener:
        compare_wiener(options.data, wiener)
    if disparity:
        compare_disparity(options.data, disparity)


def list_changes(table: Mapping[str, tuple[Any, ...]], only: str) -> Iterator[tuple[str, Any]]:
    yield from ((name, value) for name, values in table.items() if only in name for value in values)


def compare_wiener(data: Path, changes: list[tuple[str, Any]]) -> None:
    scenes = {name: read_scenes(data / folder, name) for name, folder in LAYOUTS.items()}
    every = [pair for pairs in scenes.values() for pair in pairs]
    maps = {pair.id: make_estimator("disparity").estimate(pair) for pair in every}
    for name, value in [("as shipped", None), *changes]:
        restored = make_deblurrer("wiener", {} if value is None else {name: value})
        found = {title: score(restored, pairs, maps) for title, pairs in scenes.items()}
        shown = (f"{title} {psnr:.3f} / {s:.4f}" for title, (psnr, s) in found.items())
        print(f"{name} {value}", *shown, flush=True)


def read_scenes(folder: Path, layout: str) -> list[Pair]:
    items = read_catalogue(str(folder), layout=layout).items
    return [load_pair(item) for item in (items[::2] if layout == "pixel4" else items)]


def score(deblurrer: Any, pairs: list[Pair], maps: Mapping[str, BlurMap]) -> tuple[float, float]:
    crops = [crop(deblurrer.restore(pair, maps[pair.id]), pair) for pair in pairs]
    return mean(psnr_db(*both) for both in crops), mean(ssim(*both) for both in crops)


def crop(picture: Pixels, pair: Pair) -> tuple[Pixels, Pixels]:
    assert pair.target is not None
    if not pair.aligned:
        return align(picture, pair.target, region=Region())
    rows = pair.score_region.slices
    return picture[rows], pair.target[rows]


def compare_disparity(data: Path, changes: list[tuple[str, Any]]) -> None:
    scenes = {
        "pixel4": list(read_measured(data / "pixel4"))[::2],
        "simulated": list(simulate_pairs(3, seed=SIMULATED_SEED)),
    }
    for name, value in [("as shipped", None), *changes]:
        with changed(name, value) as settings:
            estimator = make_estimator("disparity", settings)
            found = {
                title: [rank(estimator.estimate(pair), pair) for pair in pairs]
                for title, pairs in scenes.items()
            }
        shown = (
            f"{title} AI(1) {mean(r.ai1 for r in ranks):.4f}, rho {mean(r.rho for r in ranks):.3f}"
            for title, ranks in found.items()
        )
        print(f"{name} {value}", *shown, flush=True)


@contextmanager
def changed(name: str, value: Any) -> Iterator[dict[str, Any]]:
    """Settings with that value, or none, while a constant of a module has it."""
    if "." not in name:
        yield {} if value is None else {name: value}
        return
    place, constant = name.split(".")
    module = importlib.import_module(f"ldp_core.blur.{place}")
    kept = getattr(module, constant)
    setattr(module, constant, value)
    yield {}
    setattr(module, constant, kept)


if __name__ == "__main__":
    main()
