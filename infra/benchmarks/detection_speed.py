"""Blur detection: the shipped light network against the published VGG16 one, in the same run.

    python infra/benchmarks/detection_speed.py --threads 1

Random weights serve: time does not depend on them.
"""

from __future__ import annotations

from functools import partial

import torch
from harness import make_parser, parse, print_costs, time_in_turns

from ldp_core.blur.dd_network import LIGHT, PUBLISHED, DdNetwork
from ldp_core.tensors import autocast, choose_device


def main() -> None:
    parser = make_parser(__doc__, repeats=7)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--batch", type=int, default=1)
    asked = parse(parser)
    device = torch.device(choose_device())
    images = torch.rand(asked.batch, 3, asked.side, asked.side, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    works = {
        name: partial(detect, DdNetwork(form).eval().to(device).to(memory_format=torch.channels_last), images)
        for name, form in (("light", LIGHT), ("published", PUBLISHED))
    }
    synchronise = torch.cuda.synchronize if device.type == "cuda" else None
    costs = time_in_turns(works, repeats=asked.repeats, synchronise=synchronise)
    print(f"{asked.side}x{asked.side}, batch {asked.batch}, {device}, {torch.get_num_threads()} threads")
    print_costs(costs, reference="light")


@torch.inference_mode()
def detect(network: DdNetwork, images: torch.Tensor) -> torch.Tensor:
    with autocast(images.device):
        found: torch.Tensor = network(images)
    return found


if __name__ == "__main__":
    main()
