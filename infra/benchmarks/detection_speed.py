"""Blur detection: the shipped light network against the published VGG16 one, in the same run.

    python infra/benchmarks/detection_speed.py --threads 1

Random weights serve: time does not depend on them. Rounds alternate, and the median ratio counts.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch

from ldp_core.blur.dd_network import LIGHT, PUBLISHED, DdNetwork
from ldp_core.tensors import autocast, choose_device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(choose_device())
    networks = {
        name: DdNetwork(form).eval().to(device).to(memory_format=torch.channels_last)
        for name, form in (("light", LIGHT), ("published", PUBLISHED))
    }
    images = torch.rand(options.batch, 3, options.side, options.side, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(options.repeats + 1):
        for name, network in networks.items():
            seconds[name].append(measure(network, images) / options.batch)
    kept = {name: values[1:] for name, values in seconds.items()}
    ratios = [slow / fast for fast, slow in zip(kept["light"], kept["published"], strict=True)]
    for name, values in kept.items():
        print(f"{name}: {median(values):.4f} s per image, {1 / median(values):.1f} images per second")
    print(f"published over light: {median(ratios):.1f}")


@torch.inference_mode()
def measure(network: DdNetwork, images: torch.Tensor) -> float:
    began = time.perf_counter()
    with autocast(images.device):
        network(images)
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
