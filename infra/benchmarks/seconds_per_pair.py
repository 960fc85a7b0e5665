"""Seconds per photograph, blur map included, of every way to restore it; and of the published network.

    python infra/benchmarks/seconds_per_pair.py --size 1680x1120

All are measured in one run, each once to warm up and then the best of a few; trust the ratios.
The published network has random weights here: its time does not depend on them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import perf_counter

import numpy as np
import torch

from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.deblur.ldp import LdpSettings, restore_views
from ldp_core.deblur.ldp_network import PUBLISHED, LdpNetwork
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.tensors import choose_device
from ldp_core.types import Pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="1680x1120", metavar="WIDTHxHEIGHT")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    width, height = map(int, options.size.split("x"))
    pair = simulate_pair(1, SimulationSettings(width=width, height=height))
    estimator = make_estimator("disparity")
    blur_map = estimator.estimate(pair)
    seconds = {
        "blur map (disparity)": best(lambda: estimator.estimate(pair), options.repeats),
        "wiener": best(lambda: make_deblurrer("wiener").restore(pair, blur_map), options.repeats),
        "ldp, wiener included": best(lambda: make_deblurrer("ldp").restore(pair, blur_map), options.repeats),
        "published network alone": best(published_network(pair), options.repeats),
    }
    whole = seconds["blur map (disparity)"] + seconds["ldp, wiener included"]
    seconds["ldp end to end"] = whole
    for name, value in seconds.items():
        print(f"{name:26} {value:8.3f} s   {value / whole:5.2f} of ldp end to end")
    print(f"{options.size}, {choose_device()}, {options.threads} threads")


def published_network(pair: Pair) -> Callable[[], object]:
    network = LdpNetwork(PUBLISHED).eval().to(choose_device())
    settings = LdpSettings(tile_px=max(pair.left.shape))
    left, right = (to_planes(view) for view in (pair.left, pair.right))
    return lambda: restore_views(network, settings, left=left, right=right, plane=torch.zeros_like(left[:1]))


def to_planes(view: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(view.astype(np.float32) / 255).permute(2, 0, 1).contiguous()


def best(work: Callable[[], object], repeats: int) -> float:
    work()
    seconds = []
    for _ in range(repeats):
        began = perf_counter()
        work()
        seconds.append(perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    main()
