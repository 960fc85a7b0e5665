"""What the parts of depth-distilled detection are worth: its teacher, its weight, its first weights.

    python infra/benchmarks/dbd_arms.py RUNS --masked CUHK --cache FRAMES [--lite0 FILE]

All arms train the light network for the same few steps on the same batches, and are measured on the
validation photographs, every tenth of the split. Known of the paper: gamma was swept over .01 to 5, and
depth is a label of defocus where the camera is fixed. The other arms are ours. "Fixed" blurs the same
scenes through one lens focused at one depth, "random" through a lens and focus of their own each.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ldp_core.blur.dd_network import LIGHT, EncoderName
from ldp_core.masked import split_masked
from ldp_core.optics.kernels import DEFAULT_KERNEL
from ldp_core.optics.render import render_views
from ldp_core.training.dbd import DbdBatchSettings, DbdLossSettings, DbdTask, read_encoder_weights
from ldp_core.training.frames import Frame, FrameCache, to_bytes
from ldp_core.training.session import Intervals, RunFolder, Session
from ldp_core.training.trainer import FitSettings, Trainer

FAR_PX, NEAR_PX = 12.0, -4.0
"""Circles of confusion of the fixed camera, at the farthest and the nearest point of a scene."""
ONLY_SIMULATED = {"photographs": 0, "simulated": 8}


@dataclass(frozen=True)
class Arm:
    """What differs from the shipped recipe. `begin`: `imagenet`, `own` or nothing."""

    gamma: float = 0.1
    batch: dict[str, Any] = field(default_factory=dict)
    begin: str = "imagenet"
    fixed: bool = False


ARMS = {
    "ImageNet, gamma .1": Arm(),
    "no first weights": Arm(begin=""),
    "simulated defocus first (our own pretraining)": Arm(begin="own"),
    **{f"gamma {gamma:g}": Arm(gamma) for gamma in (0.0, 0.01, 0.05, 1.0, 5.0)},
    "teacher |CoC|": Arm(batch={"teacher": "coc"}),
    "no simulated frames": Arm(batch={"photographs": 8, "simulated": 0}),
    "simulated only, random camera, gamma 0": Arm(0.0, ONLY_SIMULATED),
    "simulated only, random camera, gamma .1": Arm(0.1, ONLY_SIMULATED),
    "simulated only, fixed camera, gamma 0": Arm(0.0, ONLY_SIMULATED, fixed=True),
    "simulated only, fixed camera, gamma .1": Arm(0.1, ONLY_SIMULATED, fixed=True),
}


class FixedCamera(FrameCache):
    """The scenes of a cache through one lens focused at one depth, made once and kept beside the runs."""

    def __init__(self, folder: Path, kept: Path, *, count: int) -> None:
        super().__init__(folder)
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, np.stack([self._blur(index) for index in range(count)]))
        self.blurred = np.load(kept)[:count]

    def __len__(self) -> int:
        return len(self.blurred) if hasattr(self, "blurred") else super().__len__()

    def __getitem__(self, index: int) -> Frame:
        frame = super().__getitem__(index)
        view, coc = self.blurred[index], self._coc(frame)
        return Frame(np.stack([view, view, *frame.views[2:]]), np.stack([coc, coc]))

    def _blur(self, index: int) -> np.ndarray:
        frame = super().__getitem__(index)
        sharp = torch.from_numpy(frame.views[2].astype(np.float32) / 255).permute(2, 0, 1)[None]
        left, right = render_views(sharp, torch.from_numpy(self._coc(frame))[None], DEFAULT_KERNEL)
        return to_bytes(((left + right) / 2)[0].permute(1, 2, 0).numpy())

    @staticmethod
    def _coc(frame: Frame) -> np.ndarray:
        """A frame's own circles of confusion are affine in inverse depth, and so are these."""
        own = frame.maps[0]
        farness = (own - own.min()) / max(float(np.ptp(own)), 1e-6)
        return np.asarray(NEAR_PX + (FAR_PX - NEAR_PX) * farness, dtype=np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--masked", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--lite0", type=Path, help="EfficientNet-Lite0 of ImageNet")
    parser.add_argument("--frames", type=int, default=150, help="of the fixed camera")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--arm", action="append", choices=ARMS)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| arm | MAE | F blur | F focus | IoU blur | IoU focus |")
    for name in options.arm or ARMS:
        folder = options.runs / name.translate(str.maketrans(" ", "-", ",.()|"))
        path = folder / "scores.json"
        if not path.exists():
            path.write_text(json.dumps(train(ARMS[name], folder, options)))
        found = json.loads(path.read_text())
        cells = (found[key] for key in ("mae", "f_blur", "f_focus", "iou_blur", "iou_focus"))
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in cells) + " |", flush=True)


def train(arm: Arm, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Measures of one arm after its steps."""
    encoder = open_encoder(arm, options)
    photographs, validation = split_masked(options.masked)
    common = {"side_px": options.side, "late_side_px": options.side}
    kept = options.runs / "fixed.npy"
    frames = (
        FixedCamera(options.cache, kept, count=options.frames) if arm.fixed else FrameCache(options.cache)
    )
    fit = FitSettings(steps=options.steps, warmup_steps=20, learning_rate=1e-3, average_decay=0.97, seed=7)
    task = DbdTask(
        LIGHT,
        DbdBatchSettings.parse({**common, **arm.batch}),
        DbdLossSettings(gamma=arm.gamma),
        photographs,
        validation,
        frames,
        fit.steps,
        fit.seed,
        encoder_weights=encoder,
    )
    session = Session(RunFolder(folder), Trainer(task, fit), Intervals(measure=options.steps + 1))
    session.resume()
    *_, last = session.run()
    measured: dict[str, float] = last["measured"]["validation"]
    return measured


def open_encoder(arm: Arm, options: argparse.Namespace) -> dict[str, torch.Tensor] | None:
    """First weights of an arm; our own pretraining is a run on simulated frames alone, kept beside."""
    if arm.begin == "imagenet":
        return read_encoder_weights(options.lite0, EncoderName.LITE)
    if not arm.begin:
        return None
    before = options.runs / "own-pretraining"
    if not RunFolder(before).has_checkpoint:
        train(Arm(0.1, ONLY_SIMULATED, begin=""), before, options)
    return read_encoder_weights(RunFolder(before).checkpoint, EncoderName.LITE)


if __name__ == "__main__":
    main()
