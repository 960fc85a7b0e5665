"""Which weights of `ldp` ship: the rule of infra/docs/training.md, applied.

    python infra/benchmarks/choose_ldp.py ldp RUN/ldp.safetensors --hold-out HOLD \
        --measure canon_dpdd:44:gain --measure pixel4:0:align:pixel-4

The first weights are those that ship now; their card stands beside each file. Printed are, for every set, the
mean PSNR in dB of input, wiener and the network; the least gain of a scene over the better of the two starts;
the mean level over the truth's, on the hold-out; and how sharp pictures come back. What breaks the rule is
out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import torch

from ldp_core.cameras.kernel_numbers import kernel_planes
from ldp_core.deblur.ldp import LDP
from ldp_core.deblur.ldp_network import LdpNetwork, lay_planes
from ldp_core.tensors import to_pixels, to_rgb
from ldp_core.training.frames import FrameCache, restore_untrained
from ldp_core.training.ldp import restore_sample
from ldp_core.training.validation import ValidationSample, pair_samples, read_pairs
from ldp_core.types import Pair
from ldp_core.weights import load_network

LEAST_CHANGE_DB = -0.05
LARGEST_LEVEL_CHANGE = 0.01
LEAST_SHARP_DB = 40.0


@dataclass(frozen=True)
class Outcome:
    """PSNR in dB by set; the least gain of a real scene over its starts; level over truth; sharp pictures."""

    psnr_db: Mapping[str, float]
    least_gain_db: Mapping[str, float]
    level: float
    sharp_db: float

    def faults(self, shipped: Outcome) -> list[str]:
        """What the rule has against weights with this outcome."""
        below = [
            f"{name} {value - shipped.psnr_db[name]:+.2f} dB"
            for name, value in self.psnr_db.items()
            if value - shipped.psnr_db[name] <= LEAST_CHANGE_DB
        ]
        scenes = [
            f"a scene of {name} {gain:+.2f} dB" for name, gain in self.least_gain_db.items() if gain < 0
        ]
        level = [f"level {self.level:.3f}"] if abs(self.level - 1) > LARGEST_LEVEL_CHANGE else []
        sharp = [f"sharp pictures {self.sharp_db:.1f} dB"] if self.sharp_db < LEAST_SHARP_DB else []
        return below + scenes + level + sharp


def measure(
    network: LdpNetwork,
    real: Mapping[str, Sequence[ValidationSample]],
    simulated: Sequence[ValidationSample],
    sharp: Sequence[ValidationSample],
) -> Outcome:
    """What weights do on all sets."""
    psnr_db, least, levels = {}, {}, []
    for name, samples in real.items():
        scores = [sample.score(restore_sample(network, sample)) for sample in samples]
        gains = [a - max(b.starting_scores.values()) for a, b in zip(scores, samples, strict=True)]
        psnr_db[name], least[name] = mean(scores), min(gains)
    restored = [restore_sample(network, sample).clamp(0, 1) for sample in simulated]
    psnr_db["hold-out"] = mean(a.score(b) for a, b in zip(simulated, restored, strict=True))
    levels = [float(b.mean() / a.sharp.mean()) for a, b in zip(simulated, restored, strict=True)]
    kept = mean(sample.score(restore_sample(network, sample)) for sample in sharp)
    return Outcome(psnr_db, least, mean(levels), kept)


def twice(sample: ValidationSample) -> ValidationSample:
    """The truth of a sample as both views of a pair."""
    pixels = to_pixels(sample.sharp, peak=255)
    blur_map, wiener = restore_untrained(Pair(f"sharp/{sample.name}", pixels, pixels))
    view, guess = to_rgb(pixels), to_rgb(wiener)
    inputs = {"left": view, "right": view, "guess": guess, "planes": lay_planes(blur_map)[0]}
    inputs |= {"kernel": kernel_planes(None, *pixels.shape[:2])}
    return replace(sample, inputs=inputs, starts={"input": view, "wiener": guess}, any_gain=False)


def open_network(weights: str) -> LdpNetwork:
    """Shipped weights by name; others by their file, whose digest its card tells."""
    card = Path(weights).with_suffix(".json")
    digest = json.loads(card.read_text())["sha256"] if card.is_file() else ""
    return load_network(LDP, weights, sha256=digest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the outcome of every candidate, and which one the rule chooses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("weights", nargs="+", help="the ones that ship, then the candidates")
    parser.add_argument("--hold-out", type=Path, required=True)
    parser.add_argument("--measure", action="append", default=[], help="as of ldp train ldp")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    real = dict(read_pairs(text) for text in asked.measure)
    simulated = pair_samples(FrameCache(asked.hold_out))
    sharp = [twice(sample) for sample in next(iter(real.values()), simulated[:2])]
    for name, samples in real.items():
        starts = [sample.starting_scores for sample in samples]
        print(name, *(f"{start} {mean(score[start] for score in starts):.2f}" for start in starts[0]))
    found: dict[str, Outcome] = {}
    for weights in asked.weights:
        found[weights] = outcome = measure(open_network(weights), real, simulated, sharp)
        figures = " ".join(f"{name} {value:.3f}" for name, value in outcome.psnr_db.items())
        faults = "; ".join(outcome.faults(found[asked.weights[0]])) or "none"
        print(
            f"{weights}: {figures} level {outcome.level:.4f} sharp {outcome.sharp_db:.1f}; faults: {faults}"
        )
    shipped = found[asked.weights[0]]
    sound = [name for name in asked.weights[1:] if not found[name].faults(shipped)]
    best = max([asked.weights[0], *sound], key=lambda name: mean(found[name].psnr_db.values()))
    print(f"chosen: {best}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
