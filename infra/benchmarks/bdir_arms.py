"""What the parts of BDIR are worth: arms trained on one kernel family, judged on the others.

    python infra/benchmarks/bdir_arms.py RUNS --cache FRAMES --hold-out OTHER_FRAMES

Every arm sees the same crops of the same frames, blurred by a full disc. Each is measured on frames no
arm has seen, blurred by every family. "More robust" may be said of an arm only where its drop from the
disc to another family is smaller than the plain network's by an interval that excludes 0.
Our own arms; the method's claim is of the paper's abstract.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ldp_core.deblur.bdir_network import LIGHT, BdirNetwork, BdirSettings
from ldp_core.metrics.bootstrap import difference_interval
from ldp_core.optics.kernels import DEFAULT_KERNEL, FITTED_KERNELS, KernelFamily, KernelSpec
from ldp_core.optics.render import render_views
from ldp_core.training.bdir import BdirBatchSettings, BdirLossSettings, BdirTask, restore_sample
from ldp_core.training.frames import FrameCache, add_noise, require_other_frames, to_bytes
from ldp_core.training.session import Intervals, RunFolder, Session
from ldp_core.training.trainer import FitSettings, Trainer
from ldp_core.training.validation import ValidationSample, single_sample

Image = NDArray[np.float32]
DISC = KernelSpec(family=KernelFamily.DISC)


def add_grain(view: Image, seed: int) -> Image:
    return add_noise(np.random.default_rng(seed), view, read=0.01, shot=0.02)


def compress(view: Image, seed: int) -> Image:
    """JPEG, quality 75."""
    from io import BytesIO

    from PIL import Image as PilImage

    buffer = BytesIO()
    PilImage.fromarray(to_bytes(view)).save(buffer, "JPEG", quality=75)
    return np.asarray(PilImage.open(buffer), dtype=np.float32) / 255


@dataclass(frozen=True)
class Family:
    """A kernel, and what happens to the view after it."""

    kernel: KernelSpec
    spoil: Callable[[Image, int], Image] | None = None


FAMILIES = {
    "disc": Family(DISC),
    "Gaussian": Family(KernelSpec(family=KernelFamily.GAUSSIAN)),
    "half discs, summed": Family(DEFAULT_KERNEL),
    "Butterworth": Family(KernelSpec(family=KernelFamily.BUTTERWORTH, order=3, beta=0.2)),
    "off-axis, as the Pixel 4": Family(FITTED_KERNELS["pixel4"].model_copy(update={"field_x": 0.4})),
    "disc, noise": Family(DISC, add_grain),
    "disc, JPEG 75": Family(DISC, compress),
}


@dataclass(frozen=True)
class Arm:
    """What differs from the full method."""

    form: dict[str, Any] = field(default_factory=dict)
    contrast: float = 0.1
    sharp: int = 2


ARMS = {
    "plain U-Net": Arm({"interference": False}, contrast=0.0, sharp=0),
    "no contrast": Arm(contrast=0.0),
    "no SAID, SAIR": Arm({"interference": False}),
    "full": Arm(),
    "full, contrast .01": Arm(contrast=0.01),
    "no SAID, SAIR, contrast .01": Arm({"interference": False}, contrast=0.01),
}


class DiscViews:
    """Frames of a cache, blurred anew by a full disc; kept beside the runs."""

    def __init__(self, cache: FrameCache, path: Path, *, count: int) -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.stack([to_bytes(blur(cache, index, DISC)) for index in range(count)]))
        self.cache, self.blurred = cache, np.load(path)[:count]

    def __len__(self) -> int:
        return len(self.blurred)

    def read(self, index: int) -> tuple[Image, Image]:
        sharp = self.cache[index].views[2].astype(np.float32) / 255
        return self.blurred[index].astype(np.float32) / 255, sharp


def blur(cache: FrameCache, index: int, kernel: KernelSpec) -> Image:
    """The sharp view of a frame through a lens, both views added up; (h, w, 3) in 0..1."""
    frame = cache[index]
    sharp = torch.from_numpy(frame.views[2].astype(np.float32) / 255).permute(2, 0, 1)[None]
    coc = torch.from_numpy(frame.maps[0])[None]
    left, right = render_views(sharp, coc, kernel, slices=14)
    return ((left + right) / 2)[0].permute(1, 2, 0).clamp(0, 1).numpy()


def make_samples(cache: FrameCache, family: Family) -> list[ValidationSample]:
    samples = []
    for index in range(len(cache)):
        view = blur(cache, index, family.kernel)
        view = family.spoil(view, index) if family.spoil else view
        stored, sharp = (
            torch.from_numpy(x.astype(np.float32) / 255).permute(2, 0, 1)
            for x in (to_bytes(view), cache[index].views[2])
        )
        samples.append(single_sample(f"{index}", stored, sharp))
    return samples


def train(arm: Arm, views: DiscViews, folder: Path, *, steps: int) -> BdirNetwork:
    settings = BdirSettings.parse({**LIGHT.model_dump(), **arm.form})
    batch, loss = BdirBatchSettings(sharp=arm.sharp), BdirLossSettings(contrast=arm.contrast)
    fit = FitSettings(steps=steps, average_decay=0.99, seed=7)
    task = BdirTask(settings, batch, loss, views, {}, fit.seed, {"sources": {}})
    session = Session(RunFolder(folder), Trainer(task, fit), Intervals(measure=steps + 1))
    session.resume()
    for entry in session.run():
        print(folder.name, entry, flush=True)
    average: BdirNetwork = session.trainer.average  # type: ignore[assignment]
    return average


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--hold-out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    frames, held = FrameCache(options.cache), FrameCache(options.hold_out)
    require_other_frames([frames.seed], [held])
    views = DiscViews(frames, options.runs / "disc.npy", count=options.frames)
    sets = {name: make_samples(held, family) for name, family in FAMILIES.items()}
    scores = {"input": {n: [s.starting_scores["input"] for s in kept] for n, kept in sets.items()}}
    for name, arm in ARMS.items():
        folder = options.runs / name.replace(" ", "-").translate(str.maketrans("", "", ",."))
        path = folder / "scores.json"
        if not path.exists():
            network = train(arm, views, folder, steps=options.steps).eval()
            found = {n: [s.score(restore_sample(network, s)) for s in kept] for n, kept in sets.items()}
            found["sharp"] = [s.score(restore_sharp(network, s)) for s in sets["disc"]]
            path.write_text(json.dumps(found))
        scores[name] = json.loads(path.read_text())
    print_table(scores)


def restore_sharp(network: BdirNetwork, sample: ValidationSample) -> torch.Tensor:
    return restore_sample(network, single_sample(sample.name, sample.sharp, sample.sharp))


def print_table(scores: dict[str, dict[str, list[float]]]) -> None:
    """PSNR by family; then by how much less each arm drops from the disc than the plain network."""
    print("| arm | " + " | ".join([*FAMILIES, "sharp"]) + " |")
    for arm, found in scores.items():
        cells = [f"{np.mean(found[name]):.2f}" if name in found else "" for name in (*FAMILIES, "sharp")]
        print(f"| {arm} | " + " | ".join(cells) + " |")
    print("\nhow much smaller the drop from the disc is than the plain network's, dB, 95 % interval")
    for arm in [arm for arm in scores if arm not in ("input", "plain U-Net")]:
        cells = []
        for name in [name for name in FAMILIES if name != "disc"]:
            less = difference_interval(drop(scores["plain U-Net"], name), drop(scores[arm], name))
            cells.append(f"{name} {less.mean:+.3f} [{less.low:+.3f}, {less.high:+.3f}]")
        print(f"{arm}: " + "; ".join(cells))


def drop(found: dict[str, list[float]], family: str) -> NDArray[np.float64]:
    """By image, in dB: on the disc minus on the family."""
    return np.asarray(found["disc"]) - np.asarray(found[family])


if __name__ == "__main__":
    main()
