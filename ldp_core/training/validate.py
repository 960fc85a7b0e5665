"""How good a network is on pairs with a truth: simulated ones kept out of training, and real ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from torch import Tensor

from ldp_core.deblur.ldp import LdpSettings, restore_views
from ldp_core.deblur.ldp_network import LdpNetwork, arrange_for, coc_planes, lay_planes
from ldp_core.tensors import to_rgb
from ldp_core.training.frames import Frame, FrameCache, restore_untrained
from ldp_core.training.sources import read_pixels
from ldp_core.types import Pair, Region

FULL = Region()


@dataclass(frozen=True, slots=True)
class Trial:
    """A pair with its truth and its wiener restoration, (1, 3, h, w) in 0..1, and its map's planes.

    `shift_px` > 0 forgives a displaced truth.
    """

    name: str
    left: Tensor
    right: Tensor
    sharp: Tensor
    planes: Tensor
    wiener: Tensor
    region: Region = FULL
    shift_px: int = 0

    @property
    def floors(self) -> dict[str, float]:
        """PSNR in dB of the mean of the views, and of wiener."""
        return {"input": self.score((self.left + self.right) / 2), "wiener": self.score(self.wiener)}

    def score(self, restored: Tensor) -> float:
        """PSNR in dB of an image of this trial's size, the best within `shift_px`."""
        window = (..., *self.region.slices)
        return best_psnr(restored[window].clamp(0, 1), self.sharp[window], reach_px=self.shift_px)


def read_trials(folder: Path, *, region: Region = FULL, shift_px: int = 0) -> list[Trial]:
    """Pairs of a folder of `NAME_l.png`, `NAME_r.png`, `NAME_gt.png`, in order of their names."""
    names = sorted(path.name.removesuffix("_gt.png") for path in folder.glob("*_gt.png"))
    return [_read_trial(folder, name, region=region, shift_px=shift_px) for name in names]


def frame_trials(cache: FrameCache) -> list[Trial]:
    """Every frame of a cache; one that no run trains on."""
    return [_frame_trial(cache[index], index) for index in range(len(cache))]


def _frame_trial(frame: Frame, index: int) -> Trial:
    left, right, sharp, wiener = (to_rgb(view)[None] for view in frame.views)
    planes = coc_planes(torch.from_numpy(frame.maps[1])[None, None])
    return Trial(f"frame-{index:04d}", left, right, sharp, planes, wiener)


def _read_trial(folder: Path, name: str, *, region: Region, shift_px: int) -> Trial:
    views = [read_pixels(folder / f"{name}_{view}.png") for view in ("l", "r", "gt")]
    pair = Pair(f"trial/{name}", views[0], views[1])
    blur_map, wiener = restore_untrained(pair)
    left, right, sharp, restored = (to_rgb(view)[None] for view in (*views, wiener))
    return Trial(name, left, right, sharp, lay_planes(blur_map), restored, region, shift_px)


def mean_floors(trials: Sequence[Trial]) -> dict[str, float]:
    """Mean PSNR in dB of what a network starts from, over trials."""
    return {name: mean(trial.floors[name] for trial in trials) for name in ("input", "wiener")}


def measure(network: LdpNetwork, trials: Iterable[Trial]) -> dict[str, float]:
    """PSNR in dB of each trial, restored with the map of the disparity estimator."""
    return {trial.name: trial.score(restore_trial(network, trial)) for trial in trials}


def restore_trial(network: LdpNetwork, trial: Trial) -> Tensor:
    """The network's image (1, 3, h, w) of a trial, in tiles as it will restore; on the CPU, not clamped."""
    arrays = {"left": trial.left, "right": trial.right, "guess": trial.wiener}
    plane = arrange_for(network.settings.bpa, trial.planes)
    if plane is not None:
        arrays["plane"] = plane
    network.eval()
    views = {name: array[0] for name, array in arrays.items()}
    return restore_views(network, LdpSettings(), **views)[None]


def best_psnr(restored: Tensor, sharp: Tensor, *, reach_px: int) -> float:
    """PSNR in dB, the best over shifts of up to `reach_px` pixels each way."""
    inner = _cut(sharp, reach_px, reach_px, margin=reach_px)
    offsets = range(2 * reach_px + 1)
    return max(psnr(_cut(restored, dy, dx, margin=reach_px), inner) for dy in offsets for dx in offsets)


def _cut(image: Tensor, top: int, left: int, *, margin: int) -> Tensor:
    height, width = (n - 2 * margin for n in image.shape[-2:])
    return image[..., top : top + height, left : left + width]


def psnr(restored: Tensor, sharp: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of values in 0..1; 100 at equality."""
    error = float(((restored - sharp) ** 2).mean())
    return -10 * float(np.log10(max(error, 1e-10)))
