"""What is particular to training LDP: its batches, its losses, the pairs it is measured on.

The batch of a step depends on the seed, the step and the rank alone, so a resumed run sees the same batches.
Known of the published losses (L_charb, L_bwl, L_bal): what they compare, not their formulas or weights; these
formulas are our own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from ldp_core.blur.clip import calibrate_on_scenes
from ldp_core.blur.clip_model import ClipModel, encode_prompts
from ldp_core.blur.clip_settings import CellFormat
from ldp_core.cameras.kernel_numbers import mirror_kernel_planes
from ldp_core.cameras.profile import mirror_kernel
from ldp_core.deblur.ldp import LdpSettings, restore_views
from ldp_core.deblur.ldp_network import LdpNetwork, NetworkSettings, arrange_for, coc_planes, hide_sign
from ldp_core.errors import WeightsError
from ldp_core.optics.kernels import DEFAULT_KERNEL, Kernel
from ldp_core.optics.render import render_views
from ldp_core.training.frames import Frame, FrameCache
from ldp_core.training.options import OptionGroup
from ldp_core.training.scenes import draw_window
from ldp_core.training.trainer import Batch, FitSettings
from ldp_core.training.validation import ValidationSample, draw_sheet, measure

Array = NDArray[np.generic]
# Differences below .001, a quarter of a step of 8 bit, count quadratically.
EPSILON = 1e-6
PROMPT = "A blurry image"
# The cells of the published map: 40 px a side. Nine of them see an image of 128 px nearly whole.
CELL_PX = 40
CELLS_A_SIDE = 3


class LdpBatchSettings(OptionGroup):
    """How crops are cut, and what the network is told. Shares are probabilities per batch."""

    heading = "Batches"

    # Restoration then works in tiles of at most 384 px: the network weighs channels by their means over what
    # it is shown, and lost .05 to .13 dB on whole photographs (decision 0006).
    crop_px: int = Field(default=128, ge=32)
    """Side of the crops, in pixels."""
    batch: int = Field(default=4, ge=1)
    """Crops of a batch."""
    map: Literal["disparity", "truth"] = "disparity"
    """The map that the network is told: the estimator's, as restoration will have it, or the true one."""
    # One batch in five trains what the network does where no signed map is at hand (decision 0004).
    unsigned_share: float = Field(default=0.1, ge=0, le=1)
    """How often the map comes without its sign, and without wiener, which needs the sign."""
    mapless_share: float = Field(default=0.1, ge=0, le=1)
    """How often there is no map at all, and no wiener."""


class LdpFitSettings(FitSettings):
    """How to train, and how the terms of the loss are weighed."""

    heading = "Loss"

    learning_rate: float = Field(default=5e-4, gt=0)
    # .5 trained the weights that ship; in 300 steps it moves no set by more than .02 dB.
    blur_weight: float = Field(default=0.0, ge=0)
    """Weight of L_bwl, which counts what is blurred and wrong."""
    reblur_weight: float = Field(default=0.0, ge=0)
    """Weight of the reblur loss, with the true circle of confusion."""
    clip_weight: float = Field(default=0.0, ge=0)
    """Weight of the CLIP loss, L_bal."""


@dataclass(frozen=True)
class LdpBatch(Batch):
    """`left`, `right`, `sharp` and `wiener` (b, 3, h, w) in 0..1; `coc_px` (b, 1, h, w) is the truth.

    `planes` is the map as the network reads it; `kernel` (b, 11, h, w) are the numbers of the kernel that
    it is told; `kernels` are the true ones in the middle of each crop.
    """

    left: Tensor
    right: Tensor
    sharp: Tensor
    coc_px: Tensor
    planes: Tensor | None
    wiener: Tensor | None
    kernel: Tensor
    kernels: tuple[Kernel, ...]


def draw_batch(
    cache: FrameCache, settings: LdpBatchSettings, *, seed: int, step: int, frames: int, rank: int = 0
) -> LdpBatch:
    """The batch of one step and one process, from the first `frames` frames of the cache."""
    rng = np.random.default_rng([seed, step, rank])
    crops = [draw_crop(rng, cache, settings.crop_px, frames=frames) for _ in range(settings.batch)]
    views = torch.from_numpy(np.stack([crop.views for crop in crops]).transpose(0, 1, 4, 2, 3).copy())
    maps = torch.from_numpy(np.stack([crop.maps for crop in crops]))
    left, right, sharp, wiener = (views.float() / 255).unbind(1)
    truth, estimate = maps[:, :1], maps[:, 1:]
    planes = coc_planes(estimate if settings.map == "disparity" else truth)
    told = torch.stack([crop.kernel_planes for crop in crops]), tuple(crop.kernel for crop in crops)
    kind = rng.random()
    if kind < settings.mapless_share:
        return LdpBatch(left, right, sharp, truth, None, None, *told)
    if kind < settings.mapless_share + settings.unsigned_share:
        return LdpBatch(left, right, sharp, truth, hide_sign(planes), None, *told)
    return LdpBatch(left, right, sharp, truth, planes, wiener, *told)


@dataclass(frozen=True, slots=True)
class Crop:
    """Views (4, side, side, 3), maps (2, side, side), numbers of the kernel told (11, side, side), and the
    true kernel in its middle."""

    views: Array
    maps: Array
    kernel_planes: Tensor
    kernel: Kernel


def draw_crop(rng: np.random.Generator, cache: FrameCache, side: int, *, frames: int) -> Crop:
    """One crop, mirrored at random."""
    frame = cache[int(rng.integers(frames))]
    window = draw_window(rng, frame.maps.shape[1:], (side, side))
    across, down = rng.random() < 0.5, rng.random() < 0.5
    place = (slice(None), *window)
    views, maps = mirror(frame.matched_views[place], frame.maps[place], across=across, down=down)
    planes = mirror_kernel_planes(frame.kernel_planes[place], across=across, down=down)
    return Crop(views, maps, planes, _true_kernel(frame, window, across=across, down=down))


def _true_kernel(frame: Frame, window: tuple[slice, slice], *, across: bool, down: bool) -> Kernel:
    """The kernel in the middle of a window of a frame, as the window turned over has it."""
    if frame.lens is None:
        return DEFAULT_KERNEL
    # Its own copy: a camera keeps every kernel that it was asked for, a quarter of a MiB each.
    camera = replace(frame.lens.camera, _kernels={})
    places = camera.places(*frame.maps.shape[1:])
    y, x = ((part.start + part.stop) // 2 for part in window)
    return mirror_kernel(camera.kernel_at(*places[:, y, x].tolist()), in_x=across, in_y=down)


def mirror(views: Array, maps: Array, *, across: bool, down: bool) -> tuple[Array, Array]:
    """Turn a crop over. Across, left and right change places: the sign of the blur stays."""
    if across:
        views, maps = views[[1, 0, 2, 3], :, ::-1], maps[:, :, ::-1]
    return (views[:, ::-1], maps[:, ::-1]) if down else (views, maps)


def charbonnier(restored: Tensor, sharp: Tensor) -> Tensor:
    """L_charb: mean of sqrt((restored - sharp)**2 + 1e-6); 0.001 at equality."""
    return _distance(restored, sharp).mean()


def blur_weighted(restored: Tensor, sharp: Tensor, *, blur: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """L_bwl: the same distance where the map says blurred and the input is wrong.

    Args:
        restored, sharp, left, right: (b, c, h, w) in 0..1.
        blur: (b, 1, h', w') unsigned map in 0..1, resized to the images; takes no gradient.
    """
    with torch.no_grad():
        error = ((left + right) / 2 - sharp).abs()
        largest = error.amax((1, 2, 3), keepdim=True).clamp_min(EPSILON)
        weight = F.interpolate(blur, sharp.shape[-2:], mode="bilinear") * error / largest
    return (weight * _distance(restored, sharp)).mean()


def blur_absence(
    restored: Tensor, *, score: Callable[[Tensor], Tensor], sharp_score: float, blurred_score: float
) -> Tensor:
    """L_bal: how far a single-image estimator still calls the result blurred; 0 at `sharp_score`.

    Not clipped at 1, so that gradients survive strong blur.

    Args:
        restored: (b, c, h, w) in 0..1.
        score: differentiable; images to scores of cells of any shape.
        sharp_score, blurred_score: the estimator's score of sharp and of fully blurred cells.
    """
    return F.relu((sharp_score - score(restored)) / (sharp_score - blurred_score)).mean()


def reblur(
    restored: Tensor, *, left: Tensor, right: Tensor, blur: Callable[[Tensor], tuple[Tensor, Tensor]]
) -> Tensor:
    """The result, blurred again with the estimated circle of confusion, against both views.

    After DDDNet (Pan et al., CVPR 2021); the distance is ours. `blur` is differentiable, sharp
    images to a left and a right view.
    """
    again_left, again_right = blur(restored)
    return (charbonnier(again_left, left) + charbonnier(again_right, right)) / 2


def blur_each(sharp: Tensor, *, coc_px: Tensor, kernels: Sequence[Kernel]) -> tuple[Tensor, Tensor]:
    """Both views (b, c, h, w) of sharp images (b, c, h, w), each through a kernel of its own."""
    views = [
        render_views(image[None], coc[None], kernel)
        for image, coc, kernel in zip(sharp, coc_px, kernels, strict=True)
    ]
    left, right = (torch.cat(side) for side in zip(*views, strict=True))
    return left, right


def _distance(restored: Tensor, sharp: Tensor) -> Tensor:
    return ((restored - sharp) ** 2 + EPSILON).sqrt()


@dataclass(frozen=True)
class ClipLoss:
    """L_bal: how blurred the restored image still looks to a sentence.

    Known of the published term: it drives the CLIP blur map of the result to zero. Shown beside itself a
    result is symmetric whatever it is, so single cells are asked; prompt, cells and formula are our own.
    Thresholds are fitted to simulated blur; the CLIP's weights take no gradient.
    """

    model: ClipModel

    def __post_init__(self) -> None:
        self.model.network.requires_grad_(False)

    def __call__(self, restored: Tensor) -> Tensor:
        """L_bal of restored images (b, 3, h, w) in 0..1, at least 40 px a side.

        Raises:
            WeightsError: with these weights the sentence does not tell sharp from blurred.
        """
        limits = calibrate_on_scenes(self.model, PROMPT, CellFormat.SINGLE, DEFAULT_KERNEL)
        a, b = limits.sharp_logit, limits.blurred_logit
        return blur_absence(restored, score=self.score, sharp_score=a, blurred_score=b)

    def score(self, images: Tensor) -> Tensor:
        """Logits (b, 9) of the sentence for nine cells of each image; differentiable."""
        cells = cut_cells(images)
        fitted = F.interpolate(cells, size=self.model.image_size, mode="bicubic", antialias=True)
        features = self.model.encode_images(self.model.normalise(fitted.clamp(0, 1)))
        text = encode_prompts(self.model, (PROMPT,)).clone()
        return self.model.logits(features, text).view(len(images), -1)


def cut_cells(images: Tensor) -> Tensor:
    """Nine cells (9 b, 3, 40, 40) of images (b, 3, h, w), spread evenly over each."""
    height, width = images.shape[-2:]
    tops, lefts = (
        [round(k * (side - CELL_PX) / (CELLS_A_SIDE - 1)) for k in range(CELLS_A_SIDE)]
        for side in (height, width)
    )
    windows = [images[..., y : y + CELL_PX, x : x + CELL_PX] for y in tops for x in lefts]
    return torch.stack(windows, dim=1).flatten(0, 1)


@dataclass(frozen=True)
class LdpTask:
    """Frames of dual-pixel pairs, and the network that restores them.

    `samples` are named sets to measure on; nothing is selected by them.
    """

    settings: NetworkSettings
    fit: LdpFitSettings
    cache: FrameCache
    batch: LdpBatchSettings
    samples: Mapping[str, Sequence[ValidationSample]] = field(default_factory=dict)
    frames: int | None = None
    """Train on the first so many frames; on all that are there, if not given."""
    clip_loss: ClipLoss | None = None
    begin: Mapping[str, Tensor] = field(default_factory=dict)
    """First weights, for the parts that have any."""
    begun_with: str = "nothing"

    relative_rates: ClassVar[Mapping[str, float]] = {}

    @cached_property
    def network(self) -> LdpNetwork:
        torch.manual_seed(self.fit.seed)
        network = LdpNetwork(self.settings)
        begin_with(network, self.begin)
        return network

    def draw(self, step: int, *, rank: int) -> LdpBatch:
        frames = self.frames or len(self.cache)
        return draw_batch(self.cache, self.batch, seed=self.fit.seed, step=step, frames=frames, rank=rank)

    def loss(self, forward: Callable[..., Tensor], batch: LdpBatch) -> Tensor:
        """Charbonnier, and the terms that `fit` weighs."""
        planes = None if batch.planes is None else arrange_for(self.settings, batch.planes, batch.kernel)
        restored = forward(batch.left, batch.right, planes, batch.wiener).float()
        loss = charbonnier(restored, batch.sharp)
        if self.fit.blur_weight:
            # A circle of confusion of 10 px counts in full, one of 1 px a tenth.
            blur = (batch.coc_px.abs() / 10).clamp(0, 1)
            weighted = blur_weighted(restored, batch.sharp, blur=blur, left=batch.left, right=batch.right)
            loss = loss + self.fit.blur_weight * weighted
        if self.fit.reblur_weight:
            to_views = partial(blur_each, coc_px=batch.coc_px[:, 0], kernels=batch.kernels)
            again = reblur(restored.clamp(0, 1), left=batch.left, right=batch.right, blur=to_views)
            loss = loss + self.fit.reblur_weight * again
        if self.fit.clip_weight and self.clip_loss is not None:
            loss = loss + self.fit.clip_weight * self.clip_loss(restored)
        return loss

    def measure(self, network: nn.Module) -> dict[str, dict[str, float]]:
        """Mean PSNR in dB by set: of the mean of the views, of wiener, and restored."""
        return measure_sets(network, self.samples)

    def draw_pictures(self, network: nn.Module, folder: Path, *, step: int) -> None:
        """A contact sheet of each set."""
        for name, samples in self.samples.items():
            draw_sheet(folder / f"{name}-{step:07d}.png", samples, partial(restore_sample, network))

    def describe(self) -> dict[str, Any]:
        return {
            "network_settings": self.settings.model_dump(mode="json"),
            "batch_settings": self.batch.model_dump(mode="json"),
            "loss_settings": {
                name: getattr(self.fit, name) for name in ("blur_weight", "reblur_weight", "clip_weight")
            },
            "begun_with": self.begun_with,
            "sources": self.cache.source_names,
            "frames": {"count": len(self.cache), "seed": self.cache.seed},
        }


def begin_with(network: LdpNetwork, weights: Mapping[str, Tensor]) -> None:
    """Give a network the weights of a smaller one of its width.

    Blocks that the smaller one lacks stay as they are, which is the identity; inputs that it lacks weigh 0.

    Raises:
        WeightsError: a weight is of another size than this network has.
    """
    own = network.state_dict()
    for name, given in weights.items():
        held = own.get(name)
        place = tuple(slice(side) for side in given.shape)
        if held is None or held.shape[:1] != given.shape[:1] or held[place].shape != given.shape:
            raise WeightsError(
                "these weights are not those of a part of this network",
                where=name,
                expected="no such weight" if held is None else str(tuple(held.shape)),
                got=str(tuple(given.shape)),
                remedy="begin with weights of the same width and stem",
            )
        held.zero_()[place] = given.to(held.dtype)


def measure_sets(
    network: nn.Module, sets: Mapping[str, Sequence[ValidationSample]]
) -> dict[str, dict[str, float]]:
    """Mean PSNR in dB by set, restored with the map of the disparity estimator."""
    return {name: measure(samples, partial(restore_sample, network)) for name, samples in sets.items()}


def restore_sample(network: nn.Module, sample: ValidationSample) -> Tensor:
    """The network's image (3, h, w) of a sample, in tiles as it will restore; on the CPU, not clamped."""
    own = cast(LdpNetwork, network.eval())
    arrays = dict(sample.inputs)
    kernel = arrays.pop("kernel")[None]
    planes = arrange_for(own.settings, arrays.pop("planes")[None], kernel)
    if planes is not None:
        arrays["plane"] = planes[0]
    return restore_views(own, LdpSettings(), **arrays)
