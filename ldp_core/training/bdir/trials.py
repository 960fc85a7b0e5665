"""Single views with a truth, to measure on: simulated ones kept out of training, and real ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from torch import Tensor

from ldp_core.deblur.bdir import BdirDeblurSettings, restore_image
from ldp_core.deblur.bdir_network import BdirNetwork
from ldp_core.errors import CatalogueError
from ldp_core.tensors import to_rgb
from ldp_core.training.frames import FrameCache
from ldp_core.training.sources import read_pixels
from ldp_core.training.validate import psnr


@dataclass(frozen=True, slots=True)
class SingleTrial:
    """A view and its truth (3, h, w) in 0..1; rows from `top` count."""

    name: str
    view: Tensor
    sharp: Tensor
    top: int = 0

    def score(self, image: Tensor) -> float:
        """PSNR in dB of an image of this trial's size."""
        return psnr(image[:, self.top :].clamp(0, 1), self.sharp[:, self.top :])


def simulated_trials(cache: FrameCache) -> list[SingleTrial]:
    """Every frame of a cache that no run trains on: the mean of its views."""
    trials = []
    for index in range(len(cache)):
        left, right, sharp, _ = (to_rgb(view) for view in cache[index].views)
        trials.append(SingleTrial(f"frame-{index:04d}", (left + right) / 2, sharp))
    return trials


def read_single(text: str) -> tuple[str, list[SingleTrial]]:
    """Trials of `INPUTS:TRUTHS` or `INPUTS:TRUTHS:TOP`, globs whose sorted files pair one to one.

    Raises:
        CatalogueError: a glob finds nothing, or the two find different numbers of files.
    """
    inputs, truths, *top = text.split(":")
    found = [sorted(Path(glob).parent.glob(Path(glob).name)) for glob in (inputs, truths)]
    if not found[0] or len(found[0]) != len(found[1]):
        raise CatalogueError(
            "views and truths do not pair",
            where=text,
            expected="as many truths as views, and at least one",
            got=f"{len(found[0])} views, {len(found[1])} truths",
            remedy="give two globs, quoted, such as 'lfdof/input/*.png:lfdof/ground_truth/*.png'",
        )
    first_row = int(top[0]) if top else 0
    trials = [
        SingleTrial(view.stem, to_rgb(read_pixels(view)), to_rgb(read_pixels(truth)), first_row)
        for view, truth in zip(*found, strict=True)
    ]
    return "/".join(found[0][0].parts[-3:-1]), trials


def restore_trial(network: BdirNetwork, trial: SingleTrial) -> Tensor:
    """The network's image (3, h, w), in tiles as it will restore; on the CPU, not clamped."""
    return restore_image(network, trial.view, BdirDeblurSettings())


def measure(network: BdirNetwork, trials: Sequence[SingleTrial]) -> dict[str, float]:
    """Mean PSNR in dB of what comes in, of what comes out, and of sharp images sent through."""
    return {
        "input": round(mean(trial.score(trial.view) for trial in trials), 3),
        "restored": round(mean(trial.score(restore_trial(network, trial)) for trial in trials), 3),
    }
