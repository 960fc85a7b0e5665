"""Train the same network several times, one choice changed each time, and print what each is worth.

    python infra/benchmarks/ablation.py RUNS --cache FRAMES --hold-out FRAMES --measure FOLDER:44

Every arm gets the same frames, the same steps and the same order of crops; arms that are done are not
trained again. The network is small (200,000 parameters) so that a CPU is enough. A map from CLIP is that
of LDP-tiny; like every map without a sign it is given without wiener, so it is compared with the arms
that start from the mean of the views.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch

from ldp_core.blur import make_estimator
from ldp_core.blur.clip_model import load_clip
from ldp_core.deblur.ldp_network import COC_SCALE_PX, NetworkSettings, coc_planes, hide_sign
from ldp_core.training.frames import Frame, FrameCache, require_other_frames
from ldp_core.training.ldp import ClipLoss, LdpBatchSettings, LdpFitSettings, LdpTask
from ldp_core.training.session import Intervals, RunFolder, Session
from ldp_core.training.trainer import Trainer
from ldp_core.training.validation import ValidationSample, pair_samples, read_pairs
from ldp_core.types import Pair

NETWORK = {"width": 16, "encoder": (1, 1), "middle": 2, "decoder": (1, 1), "stem": 2, "guided_scales": 1}
UNSIGNED = {"unsigned_share": 1}
HOLD_OUT = "hold-out"


@dataclass(frozen=True)
class Arm:
    """What one arm changes; `map` is `disparity`, `truth` or `clip`."""

    network: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    batch: Mapping[str, Any] = field(default_factory=dict)
    map: str = "disparity"


MEAN = {"residual": "mean", "bpa": "spatial"}
WIENER = {"residual": "wiener", "bpa": "spatial"}
RELEASED = {"bpa": "released", "width": 32}
"""It fits one width only; those arms have three times the parameters of the others."""
ARMS = {
    "mean, no map": Arm({**MEAN, "bpa": "none"}),
    "mean, map concatenated": Arm({**MEAN, "bpa": "concat"}),
    "mean, released BPA, width 32": Arm({**MEAN, **RELEASED}),
    "mean, spatial BPA": Arm(MEAN),
    "mean, spatial BPA, sign hidden": Arm(MEAN, batch=UNSIGNED),
    "mean, spatial BPA, map from CLIP": Arm(MEAN, batch=UNSIGNED, map="clip"),
    "mean, spatial BPA, true map": Arm(MEAN, batch={"map": "truth"}, map="truth"),
    "no residual, spatial BPA": Arm({**MEAN, "residual": "none"}),
    "wiener, no map": Arm({**WIENER, "bpa": "none"}),
    "wiener, map concatenated": Arm({**WIENER, "bpa": "concat"}),
    "wiener, released BPA, width 32": Arm({**WIENER, **RELEASED}),
    "wiener, spatial BPA": Arm(WIENER),
    "wiener, spatial BPA, L_bwl": Arm(WIENER, fit={"blur_weight": 0.5}),
    "wiener, spatial BPA, reblur loss": Arm(WIENER, fit={"reblur_weight": 0.2}),
    "wiener, spatial BPA, L_bal": Arm(WIENER, fit={"clip_weight": 0.003}),
}


class ClipFrames(FrameCache):
    """Frames whose estimated map is that of the small CLIP, as if it were a circle of confusion."""

    def __getitem__(self, index: int) -> Frame:
        frame = super().__getitem__(index)
        path = self.folder / "clip" / f"{index}.npy"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            np.save(path, clip_map(frame.views[0], frame.views[1]).astype(np.float16))
        return replace(frame, maps=np.stack([frame.maps[0], np.load(path) * np.float32(COC_SCALE_PX)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--hold-out", type=Path, required=True)
    parser.add_argument("--measure", action="append", default=[], metavar="FOLDER[:TOP[:align]]")
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--frames", type=int, default=700, help="use the first so many, as all arms must")
    parser.add_argument("--arm", action="append", choices=ARMS, help="only this one; may be repeated")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sets = dict(read_pairs(text) for text in options.measure)
    hold_out = FrameCache(options.hold_out)
    require_other_frames([FrameCache(options.cache).seed], [hold_out])
    sets[HOLD_OUT] = pair_samples(hold_out)
    for name in options.arm or ARMS:
        folder = options.runs / name.replace(" ", "-").replace(",", "")
        if not (folder / "result.json").exists():
            result = run_arm(ARMS[name], folder, sets, options)
            (folder / "result.json").write_text(json.dumps(result))
        print_row(name, json.loads((folder / "result.json").read_text()))
    for start in () if options.arm else ("input", "wiener"):
        print_row(start, {name: mean(s.starting_scores[start] for s in kept) for name, kept in sets.items()})


def run_arm(
    arm: Arm, folder: Path, sets: Mapping[str, Sequence[ValidationSample]], options: argparse.Namespace
) -> dict[str, float]:
    """Mean PSNR in dB by set after training one arm."""
    common = {"learning_rate": 8e-4, "average_decay": 0.99, "seed": 0}
    fit = LdpFitSettings.parse({"steps": options.steps, **common, **arm.fit})
    task = LdpTask(
        NetworkSettings.parse({**NETWORK, **arm.network}),
        fit,
        (ClipFrames if arm.map == "clip" else FrameCache)(options.cache),
        LdpBatchSettings.parse({"batch": 6, "mapless_share": 0, "unsigned_share": 0, **arm.batch}),
        {name: show_map(arm, kept, options) for name, kept in sets.items() if has_map(arm, name)},
        frames=options.frames,
        clip_loss=ClipLoss(load_clip("ldp-tiny")) if fit.clip_weight else None,
    )
    session = Session(RunFolder(folder), Trainer(task, fit), Intervals(measure=options.steps + 1))
    *_, last = session.run()
    return {name: scores["restored"] for name, scores in last["measured"].items()}


def has_map(arm: Arm, name: str) -> bool:
    """Photographs have no true map."""
    return arm.map != "truth" or name == HOLD_OUT


def show_map(
    arm: Arm, samples: Sequence[ValidationSample], options: argparse.Namespace
) -> list[ValidationSample]:
    """The samples with the map of this arm."""
    if arm.map == "truth":
        truths = FrameCache(options.hold_out)
        maps = [torch.from_numpy(truths[index].maps[0])[None, None] for index in range(len(samples))]
        return [with_planes(one, coc_planes(coc)[0]) for one, coc in zip(samples, maps, strict=True)]
    if arm.map == "clip":
        samples = [with_planes(one, read_clip_planes(one)) for one in samples]
    if arm.batch == UNSIGNED:
        return [with_planes(one, hide_sign(one.inputs["planes"][None])[0]) for one in samples]
    return [*samples]


def with_planes(sample: ValidationSample, planes: torch.Tensor) -> ValidationSample:
    return replace(sample, inputs={**sample.inputs, "planes": planes})


def read_clip_planes(sample: ValidationSample) -> torch.Tensor:
    views = (sample.inputs[name] for name in ("left", "right"))
    left, right = ((255 * view).byte().permute(1, 2, 0).numpy() for view in views)
    return coc_planes(torch.from_numpy(clip_map(left, right))[None, None] * COC_SCALE_PX)[0]


def clip_map(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The small CLIP's map (h, w) in 0..1 of 8-bit views (h, w, 3)."""
    return make_estimator("clip").estimate(Pair("ablation", left, right)).values


def print_row(name: str, means: Mapping[str, float]) -> None:
    print(
        f"| {name} | " + " | ".join(f"{key} {value:.2f}" for key, value in means.items()) + " |", flush=True
    )


if __name__ == "__main__":
    main()
