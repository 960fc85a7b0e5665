"""Train the same network several times, one choice changed each time, and print what each is worth.

    python infra/benchmarks/ablation.py RUNS --cache FRAMES --hold-out FRAMES --measure FOLDER:44

Every arm gets the same frames, the same steps and the same order of crops; arms that are done are not
trained again. The network is small (under a million parameters) so that a CPU is enough.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from ldp_core.deblur.ldp_network import NetworkSettings
from ldp_core.training.batches import BatchSettings
from ldp_core.training.fit import FitSettings, Trainer
from ldp_core.training.frames import FrameCache
from ldp_core.training.session import Rhythm, Session
from ldp_core.training.steps import read_set
from ldp_core.training.validate import Trial, frame_trials, mean_floors

NETWORK = {"encoder": (1, 1), "middle": 2, "decoder": (1, 1), "stem": 2, "guided_scales": 1}


@dataclass(frozen=True)
class Arm:
    network: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    batch: Mapping[str, Any] = field(default_factory=dict)


PLAIN = {"residual": "mean"}
ARMS = {
    "no map": Arm({**PLAIN, "bpa": "none"}),
    "map concatenated": Arm({**PLAIN, "bpa": "concat"}),
    "map by released BPA": Arm({**PLAIN, "bpa": "released"}),
    "map by spatial BPA": Arm({**PLAIN, "bpa": "spatial"}),
    "spatial BPA, true map": Arm({**PLAIN, "bpa": "spatial"}, batch={"map_source": "truth"}),
    "spatial BPA, L_bwl": Arm({**PLAIN, "bpa": "spatial"}, fit={"blur_weight": 0.5}),
    "spatial BPA, reblur loss": Arm({**PLAIN, "bpa": "spatial"}, fit={"reblur_weight": 0.2}),
    "no residual, spatial BPA": Arm({"residual": "none", "bpa": "spatial"}),
    "wiener, no map": Arm({"residual": "wiener", "bpa": "none"}),
    "wiener, spatial BPA": Arm({"residual": "wiener", "bpa": "spatial"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--hold-out", type=Path, required=True)
    parser.add_argument("--measure", action="append", default=[], metavar="FOLDER[:TOP[:SHIFT]]")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--frames", type=int, default=700, help="use the first so many, as all arms must")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    trials = dict(read_set(text) for text in options.measure)
    trials["hold-out"] = frame_trials(FrameCache(options.hold_out))
    for name, arm in ARMS.items():
        folder = options.runs / name.replace(" ", "-").replace(",", "")
        if not (folder / "result.json").exists():
            result = run_arm(arm, folder, trials, options)
            (folder / "result.json").write_text(json.dumps(result))
        print_row(name, json.loads((folder / "result.json").read_text()))
    for floor in ("input", "wiener"):
        print_row(floor, {key: mean_floors(value)[floor] for key, value in trials.items()})


def run_arm(
    arm: Arm, folder: Path, trials: Mapping[str, list[Trial]], options: argparse.Namespace
) -> dict[str, float]:
    """Mean PSNR in dB by set after training one arm."""
    trainer = Trainer(
        NetworkSettings.parse({**NETWORK, **arm.network}),
        FitSettings.parse({"steps": options.steps, "average_decay": 0.99, **arm.fit}),
    )
    session = Session(
        folder,
        trainer,
        FrameCache(options.cache),
        BatchSettings.parse({"batch": 6, "mapless_share": 0, "unsigned_share": 0, **arm.batch}),
        trials,
        Rhythm(measure=options.steps + 1),
        frames=options.frames,
    )
    *_, last = session.run()
    return {name: mean(scores.values()) for name, scores in last["psnr_db"].items()}


def print_row(name: str, means: Mapping[str, float]) -> None:
    print(
        f"| {name} | " + " | ".join(f"{key} {value:.2f}" for key, value in means.items()) + " |", flush=True
    )


if __name__ == "__main__":
    main()
