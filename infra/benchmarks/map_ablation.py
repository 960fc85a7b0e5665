"""Does the map help, how does it enter best, and which map: one ablation at a budget that decides.

    ldp train cache FRAMES --frames 1000 --scenes layered --photos ... --seed 51
    ldp train cache HOLD_OUT --frames 100 --scenes layered --photos ... --seed 52
    python infra/benchmarks/map_ablation.py RUNS --cache FRAMES --hold-out HOLD_OUT --minutes 60

Arms: no map; a map concatenated, by the released BPA, by the spatial BPA; each with the map of `disparity`,
of LDP-tiny (signed) and the true one. All have one width, that of the released BPA, start from the mean of
the views, and see the same frames in the same order for the same steps. What is done is not done again: the
same command goes on, after `--minutes` too. For every arm the mean gain over no map is printed, and its
paired 95 % bootstrap interval over hold-out scenes, each the mean over seeds.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
import torch

from ldp_core.blur import make_estimator
from ldp_core.deblur.ldp_network import NetworkSettings, coc_planes
from ldp_core.metrics.bootstrap import difference_interval
from ldp_core.training.frames import Frame, FrameCache, require_other_frames
from ldp_core.training.ldp import LdpBatchSettings, LdpFitSettings, LdpTask, restore_sample
from ldp_core.training.session import Intervals, RunFolder, Session
from ldp_core.training.trainer import Trainer
from ldp_core.training.validation import pair_samples
from ldp_core.types import Pair

# The released BPA adds the pooled map to a matrix of 32 x 32 channels, so it fits this width only.
NETWORK = {"width": 32, "encoder": (1, 1), "middle": 2, "decoder": (1, 1), "stem": 2, "guided_scales": 1}
NO_MAP = "no map"
Results = dict[tuple[str, int], list[float]]
"""PSNR in dB of each hold-out frame, by arm and seed."""


@dataclass(frozen=True)
class Arm:
    """How the map enters, and which one: `disparity`, `ldp-tiny` or `truth`."""

    bpa: str
    map: str = "disparity"


ARMS = {
    NO_MAP: Arm("none"),
    **{
        f"{title}, {name}": Arm(bpa, name)
        for title, bpa in (
            ("concatenated", "concat"),
            ("released BPA", "released"),
            ("spatial BPA", "spatial"),
        )
        for name in ("disparity", "ldp-tiny", "truth")
    },
}


class TinyFrames(FrameCache):
    """Frames whose estimated map is the signed one of LDP-tiny, made once and kept beside them."""

    def __getitem__(self, index: int) -> Frame:
        frame = super().__getitem__(index)
        path = self.folder / "ldp-tiny" / f"{index}.npy"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            pair = Pair(f"frame/{index}", frame.views[0], frame.views[1])
            np.save(path, make_estimator("clip", {"mode": "signed"}).estimate(pair).values.astype(np.float16))
        return replace(frame, maps=np.stack([frame.maps[0], np.load(path).astype(np.float32)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--hold-out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, action="append", help="may be repeated; 0 and 1, if not given")
    parser.add_argument("--arm", action="append", choices=ARMS, help="only this one; may be repeated")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop-px", type=int, default=128)
    parser.add_argument("--minutes", type=float, default=math.inf)
    options = parser.parse_args()
    torch.set_num_threads(1)
    require_other_frames([FrameCache(options.cache).seed], [FrameCache(options.hold_out)])
    until = time.monotonic() + 60 * options.minutes
    print_rows(dict(run_arms(options, until=until)))


def run_arms(options: argparse.Namespace, *, until: float) -> Iterator[tuple[tuple[str, int], list[float]]]:
    """Results of the arms that are done, one seed after the other, until the time is over."""
    for seed in options.seed or (0, 1):
        for name in options.arm or ARMS:
            folder = options.runs / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
            result = folder / f"result-{options.steps}.json"
            if not result.exists() and time.monotonic() < until:
                scores = run_arm(ARMS[name], folder, options, seed=seed, until=until)
                if scores:
                    result.write_text(json.dumps(scores))
            if result.exists():
                yield (name, seed), json.loads(result.read_text())


def run_arm(arm: Arm, folder: Path, options: argparse.Namespace, *, seed: int, until: float) -> list[float]:
    """PSNR in dB of each hold-out frame after training; nothing where the time was over before the end."""
    fit = LdpFitSettings(steps=options.steps, learning_rate=8e-4, average_decay=0.998, seed=seed)
    batch = LdpBatchSettings(
        batch=options.batch,
        crop_px=options.crop_px,
        map="truth" if arm.map == "truth" else "disparity",
        unsigned_share=0,
        mapless_share=0,
    )
    network = NetworkSettings.parse({**NETWORK, "residual": "mean", "bpa": arm.bpa})
    task = LdpTask(network, fit, open_frames(options.cache, arm), batch, {})
    trainer = Trainer(task, fit)
    session = Session(RunFolder(folder), trainer, Intervals(log=100, save=250, measure=options.steps + 1))
    session.resume()
    for entry in session.run(minutes=max(0.0, until - time.monotonic()) / 60):
        if "loss" in entry:
            print(f"{folder.name}: step {entry['step']}, loss {entry['loss']:.4f}", flush=True)
    if trainer.step < options.steps:
        return []
    return list(score_frames(trainer.average, open_frames(options.hold_out, arm), arm))


def open_frames(folder: Path, arm: Arm) -> FrameCache:
    return (TinyFrames if arm.map == "ldp-tiny" else FrameCache)(folder)


def score_frames(network: torch.nn.Module, frames: FrameCache, arm: Arm) -> Iterator[float]:
    for index, sample in enumerate(pair_samples(frames)):
        coc_px = torch.from_numpy(frames[index].maps[0 if arm.map == "truth" else 1])[None, None]
        shown = replace(sample, inputs={**sample.inputs, "planes": coc_planes(coc_px)[0]})
        yield sample.score(restore_sample(network, shown))


def print_rows(results: Results) -> None:
    by_arm = {name: average_seeds(results, name) for name in ARMS}
    baseline = by_arm[NO_MAP]
    for name, scores in by_arm.items():
        seeds = tuple(seed for arm, seed in results if arm == name)
        if not scores:
            print(f"| {name} | not done | |")
        elif name == NO_MAP or seeds != tuple(seed for arm, seed in results if arm == NO_MAP):
            print(f"| {name} | {mean(scores):.3f} | |")
        else:
            gain = difference_interval(scores, baseline)
            print(f"| {name} | {mean(scores):.3f} | {gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) |")


def average_seeds(results: Mapping[tuple[str, int], list[float]], name: str) -> list[float]:
    """Of each frame its mean over the seeds that are done."""
    runs = [scores for (arm, _), scores in results.items() if arm == name]
    return [mean(scores) for scores in zip(*runs, strict=True)]


if __name__ == "__main__":
    main()
