"""Seconds per photograph, blur map included, of every way to restore it; and of the published network.

    python infra/benchmarks/seconds_per_pair.py --size 1680x1120

The published network has random weights here: its time does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from harness import make_parser, parse, parse_size, print_costs, time_in_turns

from ldp_core.blur import make_estimator
from ldp_core.deblur import make_deblurrer
from ldp_core.deblur.ldp import LdpSettings, restore_views
from ldp_core.deblur.ldp_network import PUBLISHED, LdpNetwork
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.tensors import choose_device
from ldp_core.types import Pair


def main() -> None:
    parser = make_parser(__doc__, repeats=2)
    parser.add_argument("--size", default="1680x1120", metavar="WIDTHxHEIGHT")
    asked = parse(parser)
    width, height = parse_size(asked.size)
    pair = simulate_pair(1, SimulationSettings(width=width, height=height))
    estimator, wiener, ldp = make_estimator("disparity"), make_deblurrer("wiener"), make_deblurrer("ldp")
    blur_map = estimator.estimate(pair)
    works: dict[str, Callable[[], object]] = {
        "ldp end to end": lambda: ldp.restore(pair, estimator.estimate(pair)),
        "blur map (disparity)": lambda: estimator.estimate(pair),
        "wiener": lambda: wiener.restore(pair, blur_map),
        "ldp, wiener included": lambda: ldp.restore(pair, blur_map),
        "published network alone": published_network(pair),
    }
    print_costs(time_in_turns(works, repeats=asked.repeats), reference="ldp end to end")
    print(f"{asked.size}, {choose_device()}, {torch.get_num_threads()} threads")


def published_network(pair: Pair) -> Callable[[], object]:
    network = LdpNetwork(PUBLISHED).eval().to(choose_device())
    settings = LdpSettings(tile_px=max(pair.left.shape))
    left, right = (to_planes(view) for view in (pair.left, pair.right))
    return lambda: restore_views(network, settings, left=left, right=right, plane=torch.zeros_like(left[:1]))


def to_planes(view: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(view.astype(np.float32) / 255).permute(2, 0, 1).contiguous()


if __name__ == "__main__":
    main()
